#include "fcgi/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdbool.h>

#include "base/hash.h"
#include "base/mem.h"

enum { REFILL_MS = 1000, TEXT_MAX = 1023 };

struct address {
    UT_hash_handle by_name;
    TAILQ_ENTRY(address) in_idle; /* while streams == 0 */
    int64_t streams;
    int64_t spent; /* thousandths of a publish; what is spent comes back with time */
    int64_t at_ms; /* when that was so */
    size_t name_n;
    char name[];
};

void
addresses_init(struct addresses *t)
{
    t->all = NULL;
    TAILQ_INIT(&t->idle);
    t->n_idle = 0;
}

static void
take_from_idle(struct addresses *t, struct address *a)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a listed entry has a predecessor */
    TAILQ_REMOVE(&t->idle, a, in_idle);
    t->n_idle--;
}

static void
forget(struct addresses *t, struct address *a)
{
    take_from_idle(t, a);
    assert(t->all); /* an entry that is forgotten is in it */
    HASH_DELETE(by_name, t->all, a);
    mem_free(a);
}

void
addresses_finish(struct addresses *t)
{
    struct address *a;

    while ((a = TAILQ_FIRST(&t->idle)))
        forget(t, a);
    assert(!t->all);
}

/* What is counted under one name: its kind, so that no text is taken for the bytes of an address,
 * and what tells it from others of this kind. */
static struct text
name_of(struct text s, char room[1 + TEXT_MAX + 1])
{
    static const unsigned char mapped[12] = {[10] = 0xff, 0xff};
    char *text = room + 1;
    unsigned char bytes[16];

    if (s.n > TEXT_MAX)
        s.n = TEXT_MAX;
    memcpy(text, s.p ? s.p : "", s.n);
    text[s.n] = '\0';
    if (inet_pton(AF_INET6, text, bytes) == 1 && memcmp(bytes, mapped, sizeof mapped) != 0) {
        room[0] = '6';
        memcpy(text, bytes, 8);
        return (struct text){room, 1 + 8};
    }
    if (inet_pton(AF_INET6, text, bytes) == 1) {
        room[0] = '4';
        memcpy(text, bytes + sizeof mapped, 4);
        return (struct text){room, 1 + 4};
    }
    if (inet_pton(AF_INET, text, bytes) == 1) {
        room[0] = '4';
        memcpy(text, bytes, 4);
        return (struct text){room, 1 + 4};
    }
    room[0] = 't';
    return (struct text){room, 1 + s.n};
}

/* The entry of this name, made if need be; a new one is idle. */
static struct address *
find(struct addresses *t, struct text s)
{
    char room[1 + TEXT_MAX + 1];
    struct text name = name_of(s, room);
    struct address *a;

    HASH_FIND(by_name, t->all, name.p, name.n, a);
    if (a)
        return a;
    if (t->n_idle >= ADDRESSES_IDLE_MAX)
        forget(t, TAILQ_FIRST(&t->idle));
    a = mem_zalloc(sizeof *a + name.n);
    if (!a)
        return NULL;
    memcpy(a->name, name.p, name.n);
    a->name_n = name.n;
    HASH_ADD_KEYPTR(by_name, t->all, a->name, a->name_n, a);
    if (!a->by_name.tbl) { /* out of memory inside uthash */
        mem_free(a);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&t->idle, a, in_idle);
    t->n_idle++;
    return a;
}

struct address *
addresses_begin(struct addresses *t, struct text name, int64_t max)
{
    struct address *a = find(t, name);

    if (!a || a->streams >= max)
        return NULL;
    if (a->streams++ == 0)
        take_from_idle(t, a);
    return a;
}

void
addresses_end(struct addresses *t, struct address *a)
{
    assert(a->streams > 0);
    if (--a->streams > 0)
        return;
    /* At the front: if it did not publish lately there is nothing to remember. */
    TAILQ_INSERT_HEAD(&t->idle, a, in_idle);
    t->n_idle++;
    if (a->spent == 0)
        forget(t, a);
}

int
addresses_publish(struct addresses *t, struct text name, int64_t rate, int64_t now_ms)
{
    struct address *a = find(t, name);
    int64_t passed_ms;

    if (!a)
        return 1;
    passed_ms = now_ms - a->at_ms;
    a->spent = passed_ms >= REFILL_MS ? 0 : a->spent - passed_ms * rate;
    if (a->spent < 0)
        a->spent = 0;
    a->at_ms = now_ms;
    if (a->streams == 0) {
        TAILQ_REMOVE(&t->idle, a, in_idle);
        TAILQ_INSERT_TAIL(&t->idle, a, in_idle);
    }
    if (a->spent + REFILL_MS > rate * REFILL_MS)
        return 1; /* at most a second: with rate 1, one comes back in exactly that time */
    a->spent += REFILL_MS;
    return 0;
}

void
addresses_trim(struct addresses *t, int64_t now_ms)
{
    struct address *a;

    while ((a = TAILQ_FIRST(&t->idle)) && now_ms - a->at_ms >= REFILL_MS)
        forget(t, a);
}
