/* The stream model: random life of the hub beside a reference that a child could check.
 *
 * The reference is a plain array of events. Each client notes the ids it was given, in order, and
 * what it was told about deletions. After every step: ids only grow, everything given was asked
 * for, and nothing that matches was left out unless it had been deleted and the client was told. At
 * the end all clients catch up and must have everything.
 *
 *   model_stream [--seed N] [--steps N]       the seed of a failure is printed
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "stream/hub.h"
#include "stream/sse.h"

enum { EVENTS_MAX = 400, CLIENTS_MAX = 12, TOPICS = 5, TYPES = 3, REQUESTS_MAX = 4 };

static const char *const topics[TOPICS] = {"a", "ab", "abc", "b", "b/1"};
static const char *const types[TYPES] = {NULL, "x", "y"};
static const char *const conditions[] = {"/n<5", "/n=3", "/n!=3", "/p"};
static const char *const patterns[] = {"a", "ab", "a*", "b*", "b/1", "*", "zzz", "abc*"};

/* ---- the table, as simple as can be ---- */

struct row {
    int64_t id;
    int topic, type;
    bool deleted;
    int n;
    char data[64];
};

static struct row rows[EVENTS_MAX];
static size_t n_rows;
static int64_t next_id, pruned_through;

struct client {
    bool used;
    struct subscriber sub;
    struct subscription what; /* a copy of its own */
    int64_t start;
    size_t checked; /* rows before this index have been accounted for */
    int64_t last;   /* last id it was given */
    int64_t told;   /* deletions up to here it knows of */
    unsigned lives; /* freshet:live seen */
};

static struct client clients[CLIENTS_MAX];
static struct hub hub;
static struct page_request *fetching[REQUESTS_MAX];
static uint64_t seed;
static unsigned long step_number;

static uint32_t
rnd(uint32_t below)
{
    static uint64_t state;

    if (state == 0)
        state = seed * 2 + 1;
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(state >> 33) % below;
}

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "model_stream: %s:%d: %s does not hold; --seed %llu, step %lu\n",      \
                    __FILE__, __LINE__, #condition, (unsigned long long)seed, step_number);        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static struct event
event_of(const struct row *r)
{
    return (struct event){.id = r->id,
                          .topic = text_of(topics[r->topic]),
                          .type = text_of(types[r->type]),
                          .data = text_of(r->data)};
}

static int64_t
oldest(void)
{
    for (size_t i = 0; i < n_rows; i++)
        if (!rows[i].deleted)
            return rows[i].id;
    return next_id;
}

/* The reference's own idea of the conditions: it knows n and that p is there in every other row. */
static bool
condition_holds(const char *condition, const struct row *r)
{
    if (strcmp(condition, "/n<5") == 0)
        return r->n < 5;
    if (strcmp(condition, "/n=3") == 0)
        return r->n == 3;
    if (strcmp(condition, "/n!=3") == 0)
        return r->n != 3;
    return r->n % 2 == 0;
}

static bool
matches(const struct subscription *what, const struct row *r)
{
    struct event e = event_of(r);

    for (size_t i = 0; i < what->n_where; i++)
        if (!condition_holds(what->where[i].source.p, r))
            return false;
    return subscription_matches(what, e.topic, e.type);
}

/* What the reader does: a page from the table, with limits of any size. */
static struct page *
read_page(const struct subscription *filter, int64_t after, size_t rows_max, size_t bytes_max,
          bool names)
{
    struct page *p = page_create(after, bytes_max);
    size_t looked = 0, i;

    REQUIRE(p);
    for (i = 0; i < n_rows; i++) {
        struct event e = event_of(&rows[i]);

        if (rows[i].id <= after || rows[i].deleted)
            continue;
        if (looked++ == rows_max)
            break;
        if ((!filter || matches(filter, &rows[i])) && page_add(p, &e, "abcd", names) != PAGE_ADDED)
            break;
        p->through = rows[i].id;
    }
    if (i == n_rows)
        p->through = next_id - 1 > after ? next_id - 1 : after;
    p->oldest = oldest();
    p->newest = next_id - 1;
    p->pruned_through = pruned_through;
    return p;
}

/* ---- a client's view ---- */

static void
account(struct client *c, int64_t id)
{
    REQUIRE(id > c->last);
    for (; c->checked < n_rows && rows[c->checked].id <= id; c->checked++) {
        const struct row *r = &rows[c->checked];
        bool wanted = r->id > c->start && matches(&c->what, r);

        if (r->id == id)
            REQUIRE(wanted);
        else if (wanted) /* left out: only if it was deleted, and the client was told */
            REQUIRE(r->deleted && r->id <= c->told);
    }
    REQUIRE(c->checked > 0 && rows[c->checked - 1].id == id);
    c->last = id;
}

/* An independent reading of what arrives: blocks, and in them the lines that matter. */
static void
read_stream(struct client *c, char *bytes)
{
    for (char *block = bytes, *end; *block; block = end + 2) {
        end = strstr(block, "\n\n");
        REQUIRE(end);
        *end = '\0';
        if (strncmp(block, "id: ", 4) == 0)
            account(c, atoll(block + 4));
        else if (strncmp(block, "event: freshet:reset", 20) == 0)
            c->told = pruned_through; /* a little more than it was told; deletions only grow */
        else if (strncmp(block, "event: freshet:live", 19) == 0)
            c->lives++;
        else
            REQUIRE(!"a block that nobody knows");
    }
    REQUIRE(c->lives <= 1);
}

static void
leave(struct client *c)
{
    hub_leave(&hub, &c->sub);
    subscription_finish(&c->what);
    *c = (struct client){0};
}

static void
wake(void *context, struct subscriber *s)
{
    (void)context;
    REQUIRE(!s->waiting);
}

/* Gathers once; sometimes the socket is full and nothing of it is taken. */
static enum gathered
flush(struct client *c)
{
    static char bytes[1 << 20];
    struct subscriber_position before = c->sub.at;
    struct gather g;
    enum gathered gathered;
    size_t n = 0;

    gather_init(&g, 200 + rnd(3) * rnd(1000));
    gathered = subscriber_gather(&c->sub, &g, "abcd");
    for (int i = 1; i < g.n; i++) {
        REQUIRE(n + g.pieces[i].iov_len < sizeof bytes && g.pieces[i].iov_len > 0);
        memcpy(bytes + n, g.pieces[i].iov_base, g.pieces[i].iov_len);
        n += g.pieces[i].iov_len;
    }
    REQUIRE(n == g.bytes);
    if (rnd(8) == 0) {
        c->sub.at = before;
        return GATHERED_PART;
    }
    bytes[n] = '\0';
    read_stream(c, bytes);
    if (gathered == GATHERED_BEHIND)
        REQUIRE(hub_wait(&hub, &c->sub) == ERR_OK);
    return gathered;
}

/* ---- steps ---- */

static void
step_insert(void)
{
    for (uint32_t n = rnd(6); n > 0 && n_rows < EVENTS_MAX; n--) {
        struct row *r = &rows[n_rows++];

        next_id += rnd(10) == 0 ? rnd(5) : 0; /* gaps are legal */
        *r = (struct row){.id = next_id++, .topic = (int)rnd(TOPICS), .type = (int)rnd(TYPES)};
        r->n = (int)rnd(10);
        snprintf(r->data, sizeof r->data, "{\"n\":%d,\n\"%s\":\"%.*s\"}", r->n,
                 r->n % 2 ? "q" : "p", (int)rnd(30), "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    }
}

static void
step_tail(void)
{
    struct page *p = read_page(NULL, hub.window.head_id, 1 + rnd(8), 100 + rnd(400), true);

    hub_publish(&hub, p);
    page_destroy(p);
    while (hub_next_dirty(&hub))
        ;
}

static void
step_subscribe(void)
{
    struct client *c = &clients[rnd(CLIENTS_MAX)];
    struct subscription what, copy;
    int64_t position;

    if (c->used)
        return;
    subscription_init(&what);
    subscription_init(&copy);
    for (uint32_t n = rnd(4); n > 0; n--) {
        struct text pattern = text_of(patterns[rnd(sizeof patterns / sizeof *patterns)]);

        subscription_add_topic(&what, pattern, NULL);
        subscription_add_topic(&copy, pattern, NULL);
    }
    if (rnd(4) == 0) {
        subscription_add_type(&what, TEXT_LIT("x"), NULL);
        subscription_add_type(&copy, TEXT_LIT("x"), NULL);
    }
    if (rnd(4) == 0) {
        struct text condition = text_of(conditions[rnd(4)]);

        subscription_add_where(&what, condition, NULL);
        subscription_add_where(&copy, condition, NULL);
    }
    REQUIRE(subscription_seal(&what) == ERR_OK && subscription_seal(&copy) == ERR_OK);
    *c = (struct client){.used = true, .what = copy};
    c->sub.feed = hub_hold(&hub, &what);
    REQUIRE(c->sub.feed);
    c->sub.at.cursor = rnd(3) ? rnd((uint32_t)next_id) : hub.window.head_id;
    if (rnd(4) == 0 && feed_last(c->sub.feed, rnd(10), &position))
        c->sub.at.cursor = position;
    c->start = c->last = c->sub.at.cursor;
    hub_join(&hub, &c->sub);
}

static void
step_request(void)
{
    struct page_request **slot = &fetching[rnd(REQUESTS_MAX)];

    if (!*slot) {
        *slot = hub_next_request(&hub);
    } else {
        struct page_request *r = *slot;

        *slot = NULL;
        hub_deliver(&hub, r, read_page(&r->feed->what, r->after, 1 + rnd(12), 60 + rnd(600), false),
                    wake, NULL);
    }
}

static void
step_prune(void)
{
    uint32_t n = rnd(4);

    for (size_t i = 0; i < n_rows && n > 0; i++) {
        if (rows[i].deleted)
            continue;
        rows[i].deleted = true;
        pruned_through = rows[i].id;
        n--;
    }
}

static void
step(void)
{
    struct client *c = &clients[rnd(CLIENTS_MAX)];

    switch (rnd(12)) {
    case 0:
        step_insert();
        break;
    case 1:
    case 2:
        step_tail();
        break;
    case 3:
        step_subscribe();
        break;
    case 4:
    case 5:
    case 6:
        step_request();
        break;
    case 7:
        hub_trim(&hub);
        break;
    case 8:
        if (rnd(6) == 0)
            step_prune();
        break;
    case 9:
        if (c->used && rnd(8) == 0)
            leave(c);
        break;
    default:
        if (c->used && !c->sub.waiting)
            flush(c);
    }
}

/* Everybody who is left reads to the end and must then have been accounted for completely. */
static void
finish(struct client *c)
{
    for (int turns = 0; c->used; turns++) {
        REQUIRE(turns < 100000);
        if (c->sub.waiting)
            step_request();
        else if (flush(c) == GATHERED_ALL && c->sub.at.cursor == next_id - 1 && c->lives == 1)
            break;
    }
    if (!c->used)
        return;
    for (; c->checked < n_rows; c->checked++) {
        if (rows[c->checked].id > c->start && rows[c->checked].id > c->last &&
            matches(&c->what, &rows[c->checked]))
            REQUIRE(rows[c->checked].deleted && rows[c->checked].id <= pruned_through);
    }
    leave(c);
}

static void
one_life(void)
{
    next_id = 1 + rnd(3);
    n_rows = 0;
    pruned_through = 0;
    for (uint32_t n = rnd(3); n > 0; n--)
        step_insert();
    REQUIRE(hub_init(&hub, 128 + rnd(2000), 1 + rnd(64), rnd(2000), rnd(2) ? 0 : next_id - 1) ==
            ERR_OK);
    while (n_rows < EVENTS_MAX) {
        step();
        step_number++;
    }
    while (hub.window.head_id < next_id - 1)
        step_tail();
    for (int i = 0; i < CLIENTS_MAX; i++)
        finish(&clients[i]);
    for (int i = 0; i < REQUESTS_MAX; i++)
        if (fetching[i])
            hub_fail(&hub, fetching[i], wake, NULL);
    memset(fetching, 0, sizeof fetching);
    for (struct page_request *r; (r = hub_next_request(&hub));)
        hub_fail(&hub, r, wake, NULL);
    REQUIRE(hub.n_feeds == 0 && hub.cache_bytes == 0);
    hub_finish(&hub);
}

int
main(int argc, char **argv)
{
    unsigned long steps = 1000000;

    seed = (uint64_t)time(NULL);
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--steps") == 0)
            steps = strtoul(argv[i + 1], NULL, 10);
    }
    printf("model_stream --seed %llu --steps %lu\n", (unsigned long long)seed, steps);
    while (step_number < steps)
        one_life();
    printf("%lu steps, all as in the reference\n", step_number);
    return 0;
}
