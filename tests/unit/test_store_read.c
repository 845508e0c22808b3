/* The store's reading: pages and positions, against a stupid reference that is an array. */
#include "tests/unit/store_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "sql/store_internal.h"

static unsigned long long seed;

/* xorshift: the same numbers everywhere, so that a printed seed repeats a run. */
static uint32_t
dice(uint32_t sides)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed * 0x2545F4914F6CDD1DULL) >> 33) % sides;
}

static const char *const topics[] = {"a",   "a/b", "a/b/c", "a/b/d", "b", "b/\xc3\xa9",
                                     "b/x", "b/y", "c",     "quiet", "*", "a*"};
static const char *const types[] = {NULL, "edit", "new", "message"};
enum { N_TOPICS = 12, N_TYPES = 4, ROWS_MAX = 600 };

struct row {
    int64_t id, created_ms;
    const char *topic, *type;
};
struct reference {
    struct row rows[ROWS_MAX];
    size_t n;
};

static bool
row_matches(const struct subscription *f, const struct row *row)
{
    bool topic_ok = f->n_topics == 0, type_ok = f->n_types == 0;

    for (size_t i = 0; i < f->n_topics; i++) {
        size_t n = f->topics[i].n;

        if (f->topics[i].p[n - 1] == '*')
            topic_ok |= strncmp(f->topics[i].p, row->topic, n - 1) == 0;
        else
            topic_ok |= strcmp(f->topics[i].p, row->topic) == 0;
    }
    for (size_t i = 0; i < f->n_types; i++)
        type_ok |= strcmp(f->types[i].p, row->type ? row->type : "message") == 0;
    return topic_ok && type_ok;
}

/* The exact topics only, prefixes only, types only, or everything mixed. */
static void
random_filter(struct subscription *f)
{
    static const char *const patterns[] = {"a*", "a/b*", "b/*", "nothing*", "*", "c*"};
    uint32_t kind = dice(6), n = dice(5);

    subscription_init(f);
    for (uint32_t i = 0; kind != 0 && i < n; i++) {
        bool prefix = kind == 5 && dice(2);
        struct text topic =
            text_of(prefix ? patterns[dice(6)] : topics[dice(kind == 5 ? N_TOPICS : 10)]);

        assert_int_equal(subscription_add_topic(f, topic, NULL), ERR_OK);
    }
    for (uint32_t i = dice(4) ? 0 : dice(3); i > 0; i--)
        assert_int_equal(subscription_add_type(f, text_of(types[1 + dice(3)]), NULL), ERR_OK);
    assert_int_equal(subscription_seal(f), ERR_OK);
}

static void
random_rows(struct world *w, struct reference *r, uint32_t n)
{
    assert_int_equal(store_begin(w->store, &w->eb), ERR_OK);
    while (n-- > 0 && r->n < ROWS_MAX) {
        struct row *row = &r->rows[r->n];
        int64_t before = r->n ? row[-1].created_ms : 1000;
        struct event e = {.data = TEXT_LIT("some data")};
        bool repeated;

        *row = (struct row){0, before + dice(3), topics[dice(N_TOPICS)], types[dice(N_TYPES)]};
        e.topic = text_of(row->topic);
        e.type = text_of(row->type);
        e.created_ms = row->created_ms;
        assert_int_equal(store_append(w->store, &e, &row->id, &repeated, &w->eb), ERR_OK);
        r->n++;
    }
    assert_int_equal(store_commit(w->store, &w->eb), ERR_OK);
    if (dice(3) == 0) { /* a gap in the ids, as other writers may leave one */
        char sql[120];

        snprintf(sql, sizeof sql, "UPDATE sqlite_sequence SET seq = seq + %u WHERE name = 'events'",
                 1 + dice(9));
        ALLOWS(w, sql);
    }
}

/* Deletes from the front, or one row anywhere. */
static void
random_deletion(struct world *w, struct reference *r)
{
    size_t first = 0, n = 1;
    char sql[120];

    if (r->n == 0)
        return;
    if (dice(2)) {
        uint32_t deleted;

        n = 1 + dice((uint32_t)r->n < 20 ? (uint32_t)r->n : 20);
        assert_int_equal(store_prune(w->store, r->rows[n - 1].id, 1000, &deleted, &w->eb), ERR_OK);
        assert_int_equal(deleted, n);
    } else {
        first = dice((uint32_t)r->n);
        snprintf(sql, sizeof sql, "DELETE FROM events WHERE id = %lld",
                 (long long)r->rows[first].id);
        ALLOWS(w, sql);
    }
    memmove(r->rows + first, r->rows + first + n, (r->n - first - n) * sizeof *r->rows);
    r->n -= n;
}

struct received {
    const struct reference *r;
    const struct subscription *f;
    size_t next; /* in the reference */
    uint32_t n;
    bool picky; /* refuses some */
    int64_t refused;
};

static bool
receive(void *context, const struct event *e)
{
    struct received *c = context;

    if (c->picky && dice(5) == 0) {
        c->refused = e->id;
        return false;
    }
    while (c->next < c->r->n && !row_matches(c->f, &c->r->rows[c->next]))
        c->next++;
    assert_true(c->next < c->r->n);
    assert_int_equal(e->id, c->r->rows[c->next].id);
    assert_true(text_equal(e->topic, text_of(c->r->rows[c->next].topic)));
    assert_true(text_equal(e->type, text_of(c->r->rows[c->next].type)));
    assert_true(text_equal(e->data, TEXT_LIT("some data")));
    assert_int_equal(e->created_ms, c->r->rows[c->next].created_ms);
    assert_null(e->key.p);
    c->next++;
    c->n++;
    return true;
}

/* Reads from a random position to the end in random pages. */
static void
check_pages(struct world *w, const struct reference *r, const struct subscription *f)
{
    struct marks m = marks(w);
    struct received c = {.r = r, .f = f, .picky = dice(3) == 0};
    struct store_query q = {.filter = f, .after = dice((uint32_t)m.newest + 1)};
    struct store_page page = {0};

    while (c.next < r->n && r->rows[c.next].id <= q.after)
        c.next++;
    for (int turns = 0; !page.end; turns++) {
        q.rows_max = 1 + dice(9);
        q.step = (struct store_step){1 + dice(30), SIZE_MAX, 0};
        c.n = 0;
        c.refused = 0;
        assert_int_equal(store_read(w->store, &q, receive, &c, &page, &w->eb), ERR_OK);
        assert_true(c.n <= q.rows_max && c.n <= q.step.rows);
        assert_true(page.through >= q.after);
        assert_true(page.end == (page.through >= m.newest));
        assert_true(c.refused || page.through > q.after || page.end);
        if (c.refused)
            assert_int_equal(page.through, c.refused - 1);
        /* Everything that matches up to through was there, and nothing beyond. */
        while (c.next < r->n && !row_matches(f, &r->rows[c.next]))
            c.next++;
        if (c.next < r->n)
            assert_true(r->rows[c.next].id > page.through);
        if (c.next > 0 && c.n > 0)
            assert_true(page.through >= r->rows[0].id);
        q.after = page.through;
        assert_true(turns < 10000);
    }
    assert_int_equal(page.marks.newest, m.newest);
}

static bool
receive_back(void *context, const struct event *e)
{
    struct received *c = context;

    if (c->picky && dice(5) == 0) {
        c->refused = e->id;
        return false;
    }
    while (c->next > 0 && !row_matches(c->f, &c->r->rows[c->next - 1]))
        c->next--;
    assert_true(c->next > 0);
    c->next--;
    assert_int_equal(e->id, c->r->rows[c->next].id);
    assert_true(text_equal(e->topic, text_of(c->r->rows[c->next].topic)));
    c->n++;
    return true;
}

/* The same downwards, to the oldest. */
static void
check_pages_back(struct world *w, const struct reference *r, const struct subscription *f)
{
    struct marks m = marks(w);
    struct received c = {.r = r, .f = f, .next = r->n, .picky = dice(3) == 0};
    struct store_query q = {.filter = f, .after = 1 + dice((uint32_t)m.newest + 2)};
    struct store_page page = {0};

    while (c.next > 0 && r->rows[c.next - 1].id >= q.after)
        c.next--;
    for (int turns = 0; !page.end; turns++) {
        q.rows_max = 1 + dice(9);
        q.step = (struct store_step){1 + dice(30), SIZE_MAX, 0};
        c.n = 0;
        c.refused = 0;
        assert_int_equal(store_read_back(w->store, &q, receive_back, &c, &page, &w->eb), ERR_OK);
        assert_true(c.n <= q.rows_max && c.n <= q.step.rows);
        assert_true(page.through <= q.after);
        assert_true(page.end == (page.through <= m.oldest));
        assert_true(c.refused || page.through < q.after || page.end);
        /* Everything that matches down to through was there, and nothing below. */
        while (c.next > 0 && !row_matches(f, &r->rows[c.next - 1]))
            c.next--;
        if (c.next > 0)
            assert_true(r->rows[c.next - 1].id < page.through);
        q.after = page.through;
        assert_true(turns < 10000);
    }
    while (c.next > 0 && !row_matches(f, &r->rows[c.next - 1]))
        c.next--;
    assert_int_equal(c.next, 0);
}

/* Every topic that matches is found, in byte order, with its rows counted in pieces. */
static void
check_topics(struct world *w, const struct reference *r, const struct subscription *f)
{
    char *topic, last[64] = "";
    bool seen[N_TOPICS] = {false};

    for (;;) {
        int64_t first, at = 0;
        uint32_t count, total = 0, wanted = 0, rows_max = 1 + dice(20);
        struct row any = {.type = f->n_types ? f->types[0].p : NULL};

        assert_int_equal(store_next_topic(w->store, f, text_of(last), &topic, &w->eb), ERR_OK);
        if (!topic)
            break;
        assert_true(strcmp(topic, last) > 0);
        any.topic = topic;
        assert_true(row_matches(f, &any));
        do {
            assert_int_equal(
                store_count_topic(w->store, text_of(topic), at, rows_max, &count, &at, &w->eb),
                ERR_OK);
            total += count;
        } while (count == rows_max);
        for (size_t i = 0; i < r->n; i++)
            wanted += strcmp(r->rows[i].topic, topic) == 0;
        assert_true(total == wanted && total > 0);
        assert_int_equal(store_first_in_topic(w->store, text_of(topic), 0, &first, &w->eb), ERR_OK);
        assert_true(first > 0 && first <= at);
        for (size_t i = 0; i < N_TOPICS; i++)
            seen[i] |= strcmp(topics[i], topic) == 0;
        snprintf(last, sizeof last, "%s", topic);
        mem_free(topic);
    }
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < N_TOPICS; k++)
            if (r->rows[i].topic == topics[k] && f->n_types == 0 && row_matches(f, &r->rows[i]))
                assert_true(seen[k]);
}

static void
check_last(struct world *w, const struct reference *r, const struct subscription *f)
{
    uint32_t n = dice(20), left = n, matches = 0, found;
    int64_t position = 0;
    bool done = false;

    for (int turns = 0; !done; turns++) {
        struct store_step step = {1 + dice(40), SIZE_MAX, 0};
        int64_t before = position;

        assert_int_equal(
            store_last(w->store, f, before, left, &step, &position, &found, &done, &w->eb), ERR_OK);
        assert_true(found <= left && found <= step.rows);
        assert_true(before == 0 || position < before);
        left -= found;
        assert_true(turns < 10000);
    }
    for (size_t i = 0; i < r->n; i++)
        if (row_matches(f, &r->rows[i]))
            matches += r->rows[i].id > position;
    assert_int_equal(matches, n - left);
    if (left > 0) /* fewer than n: all of them */
        for (size_t i = 0; i < r->n; i++)
            assert_true(r->rows[i].id > position || !row_matches(f, &r->rows[i]));
}

static void
check_since(struct world *w, const struct reference *r)
{
    int64_t created = 990 + dice(800), position;

    assert_int_equal(store_since(w->store, created, &position, &w->eb), ERR_OK);
    for (size_t i = 0; i < r->n; i++)
        assert_true((r->rows[i].id > position) == (r->rows[i].created_ms >= created));
}

static void
pages_and_positions_agree_with_a_stupid_reference(void **state)
{
    struct world *w = *state;
    struct reference *r = calloc(1, sizeof *r);

    assert_non_null(r);
    for (int round = 0; round < 300; round++) {
        struct subscription f;

        random_rows(w, r, dice(12));
        if (dice(4) == 0)
            random_deletion(w, r);
        random_filter(&f);
        check_pages(w, r, &f);
        check_pages_back(w, r, &f);
        check_topics(w, r, &f);
        check_last(w, r, &f);
        check_since(w, r);
        subscription_finish(&f);
    }
    free(r);
}

static void
a_quiet_topics_cursor_moves_on(void **state)
{
    struct world *w = *state;
    struct subscription one, two;
    struct store_page page;
    int rows = 0;

    for (int i = 0; i < 50; i++)
        append(w, "loud", NULL, NULL);
    subscription_init(&one);
    subscription_add_topic(&one, TEXT_LIT("quiet"), NULL);
    subscription_seal(&one);
    subscription_init(&two);
    subscription_add_topic(&two, TEXT_LIT("quiet"), NULL);
    subscription_add_topic(&two, TEXT_LIT("still"), NULL);
    subscription_seal(&two);
    /* A scan of one row is allowed, and needs none: the index knows. */
    for (int i = 0; i < 2; i++) {
        struct store_query q = {i ? &two : &one, 3, 10, {1, SIZE_MAX, 0}};

        assert_int_equal(store_read(w->store, &q, count_rows, &rows, &page, &w->eb), ERR_OK);
        assert_true(page.end && page.through == 50 && rows == 0);
    }
    subscription_finish(&one);
    subscription_finish(&two);
}

static void
a_position_in_the_future_stays_where_it_is(void **state)
{
    struct world *w = *state;
    struct store_query q = {NULL, 1000, 10, {10, SIZE_MAX, 0}};
    struct store_page page;
    int rows = 0;

    append(w, "a", NULL, NULL);
    assert_int_equal(store_read(w->store, &q, count_rows, &rows, &page, &w->eb), ERR_OK);
    assert_true(page.end && page.through == 1000 && page.marks.newest == 1 && rows == 0);
}

/* A thousand exact topics are merged through the index, not scanned for. */
static void
many_topics_are_read_as_one(void **state)
{
    struct world *w = *state;
    struct subscription f;
    struct store_query q = {&f, 0, 5000, {5000, SIZE_MAX, 0}};
    struct store_page page;
    int rows = 0;

    ALLOWS(w, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)"
              " INSERT INTO events(topic, data) SELECT 't' || (i % 4000), i FROM n");
    subscription_init(&f);
    for (int i = 0; i < 1000; i++) {
        char topic[16];

        snprintf(topic, sizeof topic, "t%d", i);
        assert_int_equal(subscription_add_topic(&f, text_of(topic), NULL), ERR_OK);
    }
    assert_int_equal(subscription_seal(&f), ERR_OK);
    assert_int_equal(store_read(w->store, &q, count_rows, &rows, &page, &w->eb), ERR_OK);
    assert_int_equal(rows, 3000);
    assert_true(page.end && page.through == 10000);
    subscription_finish(&f);
}

/* 20 events of 400 KB are about 2,000 pages; none of them is read when its type is not wanted. */
static void
data_that_does_not_match_is_not_read(void **state)
{
    struct world *w = *state;
    struct subscription f;
    struct store_query q = {&f, 0, 100, {100, SIZE_MAX, 0}};
    struct store_page page;
    int rows = 0, misses = 0, most;

    ALLOWS(w, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)"
              " INSERT INTO events(topic, type, key, data)"
              " SELECT 'a', 'large', 'k' || i, printf('%.400000c', 'x') FROM n");
    for (int i = 0; i < 3; i++) { /* by scan, by index, merged */
        subscription_init(&f);
        subscription_add_type(&f, TEXT_LIT("small"), NULL);
        if (i > 0)
            subscription_add_topic(&f, TEXT_LIT("a"), NULL);
        if (i > 1)
            subscription_add_topic(&f, TEXT_LIT("b"), NULL);
        subscription_seal(&f);
        assert_int_equal(store_read(w->store, &q, count_rows, &rows, &page, &w->eb), ERR_OK);
        assert_true(page.end && rows == 0);
        subscription_finish(&f);
    }
    sqlite3_db_status(w->store->db, SQLITE_DBSTATUS_CACHE_MISS, &misses, &most, 0);
    assert_in_range(misses, 1, 200);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(pages_and_positions_agree_with_a_stupid_reference),
        WORLD_TEST(a_quiet_topics_cursor_moves_on),
        WORLD_TEST(a_position_in_the_future_stays_where_it_is),
        WORLD_TEST(many_topics_are_read_as_one),
        WORLD_TEST(data_that_does_not_match_is_not_read),
    };
    const char *given = getenv("SEED");
    int failed;

    seed = given ? strtoull(given, NULL, 10) : (unsigned long long)time(NULL) | 1;
    printf("# SEED=%llu\n", seed);
    world_kind = WORLD_GUEST;
    failed = cmocka_run_group_tests_name("a guest", tests, NULL, NULL);
    world_kind = WORLD_OWN;
    return failed + cmocka_run_group_tests_name("a file of its own", tests, NULL, NULL);
}
