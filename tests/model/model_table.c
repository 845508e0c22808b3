/* The reference: the table, and what matches, as simple as can be. */
#include "tests/model/model.h"

static const char *const topics[] = {"a", "ab", "abc", "b", "b/1"};
static const char *const types[] = {NULL, "x", "y"};
static const char *const conditions[] = {"/n<5", "/n=3", "/n!=3", "/p"};
static const char *const patterns[] = {"a", "ab", "a*", "b*", "b/1", "*", "zzz", "abc*"};
static const char *const type_wishes[] = {"x", "y", "message"};

struct table table;

uint32_t
rnd(uint32_t below)
{
    static uint64_t state;

    if (state == 0)
        state = seed * 2 + 1;
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(state >> 33) % below;
}

/* ---- rows ---- */

void
table_finish(void)
{
    for (size_t i = 0; i < table.n; i++)
        free(table.rows[i].data);
    table.n = 0;
}

void
table_init(void)
{
    table = (struct table){.next_id = 1 + rnd(3)};
    for (uint32_t n = rnd(3); n > 0; n--)
        table_insert();
}

/* Most are short; some do not fit into any window, a few not into a FastCGI record. */
static size_t
filler(void)
{
    if (rnd(2500) == 0)
        return 66000 + rnd(3000);
    return rnd(60) == 0 ? rnd(4000) : rnd(30);
}

void
table_insert(void)
{
    for (uint32_t n = rnd(6); n > 0 && table.n < ROWS_MAX; n--) {
        struct row *r = &table.rows[table.n++];
        size_t fill = filler();

        table.next_id += rnd(10) == 0 ? rnd(5) : 0; /* gaps are legal */
        *r = (struct row){.id = table.next_id++, .topic = topics[rnd(5)], .type = types[rnd(3)]};
        r->n = (int)rnd(10);
        r->data = malloc(fill + 32);
        REQUIRE(r->data);
        sprintf(r->data, "{\"n\":%d,\n\"%s\":\"%*s\"}", r->n, r->n % 2 ? "q" : "p", (int)fill, "");
    }
}

static void delete (struct row *r)
{
    r->deleted = true;
    if (r->id > table.pruned_through)
        table.pruned_through = r->id;
}

void
table_prune(void)
{
    uint32_t n = rnd(4);

    for (size_t i = 0; i < table.n && n > 0; i++) {
        if (table.rows[i].deleted)
            continue;
        delete (&table.rows[i]);
        n--;
    }
}

void
table_delete_one(void)
{
    if (table.n == 0)
        return;
    table.by_hand = true;
    delete (&table.rows[rnd((uint32_t)table.n)]);
}

size_t
table_after(int64_t id)
{
    size_t i = 0;

    while (i < table.n && table.rows[i].id <= id)
        i++;
    return i;
}

static int64_t
oldest(void)
{
    for (size_t i = 0; i < table.n; i++)
        if (!table.rows[i].deleted)
            return table.rows[i].id;
    return table.next_id;
}

/* data: the event as JSON, by the letter of RFC 8259. */
static int
envelope(const struct row *r, char *out, size_t size)
{
    int n = snprintf(out, size,
                     "data: {\"id\":\"%lld-" EPOCH "\",\"topic\":\"%s\",\"type\":%s%s%s,"
                     "\"created\":0,\"data\":\"",
                     (long long)r->id, r->topic, r->type ? "\"" : "", r->type ? r->type : "null",
                     r->type ? "\"" : "");

    for (const char *at = r->data; *at; at++) {
        if (*at == '"' || *at == '\\')
            out[n++] = '\\';
        if (*at == '\n')
            n += snprintf(out + n, size - (size_t)n, "\\n");
        else
            out[n++] = *at;
    }
    return n + snprintf(out + n, size - (size_t)n, "\"}");
}

const char *
row_frame(const struct row *r, enum dialect_kind dialect)
{
    static char frame[2 * FRAME_MAX];
    const char *second = strchr(r->data, '\n') + 1;
    int n = snprintf(frame, sizeof frame, "id: %lld-" EPOCH "\n%s%s%s", (long long)r->id,
                     r->type ? "event: " : "", r->type ? r->type : "", r->type ? "\n" : "");

    if (dialect == DIALECT_ENVELOPE)
        envelope(r, frame + n, sizeof frame - (size_t)n);
    else
        snprintf(frame + n, sizeof frame - (size_t)n, "data: %.*sdata: %s", (int)(second - r->data),
                 r->data, second);
    return frame;
}

/* ---- what matches ---- */

struct wish
wish_random(void)
{
    struct wish w = {.dialect = rnd(4) == 0 ? DIALECT_ENVELOPE : DIALECT_PLAIN};

    for (uint32_t n = rnd(WISHES_MAX + 1); n > 0; n--)
        w.topics[w.n_topics++] = patterns[rnd(8)];
    if (rnd(4) == 0)
        for (uint32_t n = 1 + rnd(2); n > 0; n--)
            w.types[w.n_types++] = type_wishes[rnd(3)];
    if (rnd(4) == 0)
        for (uint32_t n = 1 + rnd(2); n > 0; n--)
            w.where[w.n_where++] = conditions[rnd(4)];
    return w;
}

struct subscription
wish_subscription(const struct wish *w)
{
    struct subscription what;

    subscription_init(&what);
    for (size_t i = 0; i < w->n_topics; i++)
        REQUIRE(subscription_add_topic(&what, text_of(w->topics[i]), NULL) == ERR_OK);
    for (size_t i = 0; i < w->n_types; i++)
        REQUIRE(subscription_add_type(&what, text_of(w->types[i]), NULL) == ERR_OK);
    for (size_t i = 0; i < w->n_where; i++)
        REQUIRE(subscription_add_where(&what, text_of(w->where[i]), NULL) == ERR_OK);
    REQUIRE(subscription_seal(&what) == ERR_OK);
    return what;
}

static bool
topic_fits(const char *pattern, size_t n, const char *topic)
{
    if (n > 0 && pattern[n - 1] == '*')
        return strncmp(pattern, topic, n - 1) == 0;
    return strlen(topic) == n && memcmp(pattern, topic, n) == 0;
}

static bool
type_fits(const char *type, size_t n, const char *of_row)
{
    const char *name = of_row ? of_row : "message";

    return strlen(name) == n && memcmp(type, name, n) == 0;
}

/* It knows n, and that p is there in every other row. */
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

bool
wish_holds(const struct wish *w, const struct row *r)
{
    bool topic = w->n_topics == 0, type = w->n_types == 0;

    for (size_t i = 0; i < w->n_topics; i++)
        topic = topic || topic_fits(w->topics[i], strlen(w->topics[i]), r->topic);
    for (size_t i = 0; i < w->n_types; i++)
        type = type || type_fits(w->types[i], strlen(w->types[i]), r->type);
    for (size_t i = 0; i < w->n_where; i++)
        if (!condition_holds(w->where[i], r))
            return false;
    return topic && type;
}

bool
filter_holds(const struct subscription *what, const struct row *r)
{
    bool topic = what->n_topics == 0, type = what->n_types == 0;

    for (size_t i = 0; i < what->n_topics; i++)
        topic = topic || topic_fits(what->topics[i].p, what->topics[i].n, r->topic);
    for (size_t i = 0; i < what->n_types; i++)
        type = type || type_fits(what->types[i].p, what->types[i].n, r->type);
    for (size_t i = 0; i < what->n_where; i++)
        if (!condition_holds(what->where[i].source.p, r))
            return false;
    return topic && type;
}

/* ---- pages ---- */

struct page *
table_read(const struct subscription *filter, int64_t after, size_t rows_max, size_t bytes_max,
           bool names, const struct dialect *dialect, const struct dialect *second,
           struct question_index *index)
{
    struct page *p = page_create(after, bytes_max, dialect);
    size_t looked = 0, i;

    REQUIRE(p);
    if (second)
        page_add_twin(p, second);
    if (index)
        page_ask(p, index);
    for (i = table_after(after); i < table.n; i++) {
        const struct row *r = &table.rows[i];
        struct event e = {.id = r->id,
                          .topic = text_of(r->topic),
                          .type = text_of(r->type),
                          .data = text_of(r->data)};

        if (r->deleted)
            continue;
        if (looked++ == rows_max)
            break;
        if ((!filter || filter_holds(filter, r)) && page_add(p, &e, names) != PAGE_ADDED)
            break;
        p->through = r->id;
    }
    if (i == table.n)
        p->through = table.next_id - 1 > after ? table.next_id - 1 : after;
    p->marks.oldest = oldest();
    p->marks.newest = table.next_id - 1;
    p->marks.pruned_through = table.pruned_through;
    return p;
}
