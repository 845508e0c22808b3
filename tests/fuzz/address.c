/* What remote addresses have open and may publish, against a plain list of the same.
 *
 * Input: operations of three bytes: what, for which name, and by how much time goes on. */
#include <stdlib.h>

#include "fcgi/address.h"
#include "tests/fuzz/fuzz.h"

const char fuzz_name[] = "address";

enum { STREAMS_MAX = 4, OPEN_MAX = 64, PUBLISHED_MAX = 4096 };

/* Several texts of one customer stand side by side; `customer` says which are the same. */
static const struct {
    const char *name;
    unsigned customer;
} names[] = {
    {"192.0.2.1", 0},
    {"::ffff:192.0.2.1", 0},
    {"::ffff:c000:201", 0},
    {"2001:db8:0:1::1", 1},
    {"2001:db8:0:1:ffff::", 1},
    {"2001:DB8::1:0:0:0:5", 1},
    {"2001:db8:0:2::1", 2},
    {"alice", 3},
    {"", 4},
    {"::", 5},
    {"::1", 5},
    {"0.0.0.0", 6},
    {"4", 7},
    {"256.0.0.1", 8},
    {"40000", 9}, /* texts, and the addresses whose bytes they look like */
    {"48.48.48.48", 10},
    {"600000000", 11},
    {"3030:3030:3030:3030::1", 12},
    {"t", 13},
};
enum { N_NAMES = sizeof names / sizeof *names, CUSTOMERS = 14 };

struct model {
    unsigned streams[CUSTOMERS];
    int64_t spent[CUSTOMERS], at_ms[CUSTOMERS]; /* thousandths of a publish, and since when */
};

static bool
may_publish(struct model *m, unsigned customer, int64_t rate, int64_t now_ms)
{
    int64_t passed = now_ms - m->at_ms[customer];
    int64_t left = passed >= 1000 ? 0 : m->spent[customer] - passed * rate;

    m->at_ms[customer] = now_ms;
    m->spent[customer] = left < 0 ? 0 : left;
    if (m->spent[customer] + 1000 > rate * 1000)
        return false;
    m->spent[customer] += 1000;
    return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct fuzz f = fuzz_begin(bytes, n);
    int64_t rate = 1 + fuzz_byte(&f) % 20, now_ms = 1000000;
    struct addresses table;
    struct model model = {.spent = {0}};
    struct {
        struct address *a;
        unsigned customer;
    } open[OPEN_MAX];
    size_t n_open = 0;

    addresses_init(&table);
    while (f.n > 0) {
        unsigned what = fuzz_byte(&f), which = fuzz_byte(&f) % N_NAMES;
        unsigned customer = names[which].customer;
        struct text name = fuzz_copy(text_of(names[which].name));

        now_ms += fuzz_byte(&f) * 4;
        if (what % 4 == 0 && n_open < OPEN_MAX) {
            struct address *a = addresses_begin(&table, name, STREAMS_MAX);

            FUZZ_CHECK(!!a == (model.streams[customer] < STREAMS_MAX), "%s has %u streams",
                       names[which].name, model.streams[customer]);
            if (a) {
                open[n_open].a = a;
                open[n_open++].customer = customer;
                model.streams[customer]++;
            }
        } else if (what % 4 == 1 && n_open > 0) {
            size_t at = what / 4 % n_open;

            addresses_end(&table, open[at].a);
            model.streams[open[at].customer]--;
            open[at] = open[--n_open];
        } else if (what % 4 == 2) {
            bool may = may_publish(&model, customer, rate, now_ms);
            int wait = addresses_publish(&table, name, rate, now_ms);

            FUZZ_CHECK(wait == (may ? 0 : 1), "%s: %d", names[which].name, wait);
        } else if (what % 4 == 3) {
            addresses_trim(&table, now_ms);
        }
        FUZZ_CHECK(table.n_idle <= CUSTOMERS, "%zu idle", table.n_idle);
        fuzz_free(name);
    }
    while (n_open > 0)
        addresses_end(&table, open[--n_open].a);
    addresses_trim(&table, now_ms + 1000);
    FUZZ_CHECK(!table.all && table.n_idle == 0, "something is left");
    addresses_finish(&table);
    return 0;
}
