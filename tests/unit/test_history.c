/* history_read: what the reader's thread makes of a table, without a thread: pages, steps, bounds,
 * and a failure at every allocation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "fcgi/history_read.h"
#include "tests/unit/temp_db.h"

enum { ROWS = 30, SCAN = 8 };

struct world {
    struct temp_db at;
    struct store *store;
    struct dialect dialect;
    struct errbuf eb;
};

static void
append(struct world *w, const char *topic, const char *type, struct text data)
{
    struct event e = {
        .topic = text_of(topic), .type = text_of(type), .data = data, .created_ms = 1000};
    int64_t id;
    bool repeated;

    assert_int_equal(store_begin(w->store, &w->eb), ERR_OK);
    assert_int_equal(store_append(w->store, &e, &id, &repeated, &w->eb), ERR_OK);
    assert_int_equal(store_commit(w->store, &w->eb), ERR_OK);
}

/* Rows 1 … 30: topics t/0, t/1, t/2 in turn. */
static int
set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    temp_db_make(&w->at);
    assert_int_equal(store_open(&w->store, w->at.path, STORE_WRITE, STORE_SYNC_NORMAL, &w->eb),
                     ERR_OK);
    dialect_init(&w->dialect, DIALECT_PLAIN, store_epoch(w->store));
    for (int i = 1; i <= ROWS; i++) {
        char topic[8], data[8];

        snprintf(topic, sizeof topic, "t/%d", i % 3);
        snprintf(data, sizeof data, "%d", i);
        append(w, topic, i % 2 ? NULL : "even", text_of(data));
    }
    *state = w;
    return 0;
}

static int
tear_down(void **state)
{
    struct world *w = *state;

    store_close(w->store);
    temp_db_remove(&w->at);
    free(w);
    return 0;
}

static enum err
begin(struct world *w, const char *query, enum history_what what, struct history_read *h)
{
    struct query_limits limits = {.topics_max = 10,
                                  .where_max = 10,
                                  .dialect = &w->dialect,
                                  .now_ms = 1000000,
                                  .kind = what == HISTORY_PAGE ? QUERY_PAGE : QUERY_TOPICS};
    struct query q;
    enum err err = query_parse(text_of(query), TEXT_NONE, &limits, &q, &w->eb);

    if (err != ERR_OK)
        return err;
    history_read_init(h, &q);
    h->what = what;
    h->dialect = &w->dialect;
    h->limit = h->query.limit ? h->query.limit : 100;
    h->step = (struct store_step){SCAN, SIZE_MAX, 0};
    h->bytes_max = 4096;
    return ERR_OK;
}

static void
finish(struct world *w, struct history_read *h)
{
    for (int steps = 0; !h->job.run(&h->job, w->store, &h->job.err, &w->eb); steps++)
        assert_true(steps < 200);
}

/* The ids (or topics) in the body in their order, such as "1 2 3". */
static void
list(const struct history_read *h, const char *before, char *line, size_t size)
{
    const char *at = h->body.data, *end = at + h->body.length;
    size_t n = strlen(before);

    *line = '\0';
    while ((at = memmem(at, (size_t)(end - at), before, n))) {
        size_t length = strcspn(at + n, "-\""), used = strlen(line);

        snprintf(line + used, size - used, "%s%.*s", used ? " " : "", (int)length, at + n);
        at += n;
    }
}

static bool
contains(const struct buf *b, const char *text)
{
    return memmem(b->data, b->length, text, strlen(text)) != NULL;
}

struct row {
    const char *query, *ids, *next; /* the number of next; NULL = none */
    bool live, fixed;
    enum cursor_reset reset;
};

static void
check_row(struct world *w, const struct row *row, const char *query, bool fixed)
{
    struct history_read h;
    char ids[256], next[32] = "";

    assert_int_equal(begin(w, query, HISTORY_PAGE, &h), ERR_OK);
    finish(w, &h);
    assert_int_equal(h.job.err, ERR_OK);
    list(&h, "{\"id\":\"", ids, sizeof ids);
    if (h.next.length > 0)
        snprintf(next, sizeof next, "%.*s", (int)h.next.length, h.next.data);
    if (strcmp(ids, row->ids) != 0)
        fail_msg("%s gives %s, not %s", query, ids, row->ids);
    if (!row->next ? *next : atoi(next) != atoi(row->next))
        fail_msg("%s goes on at %s, not %s", query, next, row->next);
    if (h.live != row->live || h.fixed != fixed || h.reset != row->reset)
        fail_msg("%s: live %d, fixed %d, reset %d", query, h.live, h.fixed, (int)h.reset);
    history_read_finish(&h);
}

/* The query with the epoch behind the position, "last_event_id=5-k3f9&…"; false when it has none or
 * one already. */
static bool
name_log(struct world *w, const char *query, char named[128])
{
    const char *at = strstr(query, "last_event_id=") ? strstr(query, "last_event_id=")
                                                     : strstr(query, "before=");
    const char *id = at ? strchr(at, '=') + 1 : "";
    size_t digits = strspn(id, "0123456789"), n = (size_t)(id - query) + digits;

    if (digits == 0 || (id[digits] != '\0' && id[digits] != '&'))
        return false;
    snprintf(named, 128, "%.*s-%s%s", (int)n, query, store_epoch(w->store), query + n);
    return true;
}

/* Each as it stands, when it is never fixed: its number is another event in another log. Then with
 * the epoch. */
static void
check_rows(struct world *w, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char named[128];

        check_row(w, &rows[i], rows[i].query, false);
        if (name_log(w, rows[i].query, named))
            check_row(w, &rows[i], named, rows[i].fixed);
        else
            assert_false(rows[i].fixed);
    }
}

static void
a_page_has_what_was_asked_for_and_says_where_it_goes_on(void **state)
{
    static const struct row rows[] = {
        {"", "", "30", true, false, CURSOR_EXACT},
        {"since=earliest&limit=3", "1 2 3", "3", false, false, CURSOR_EXACT},
        {"last_event_id=3&limit=3", "4 5 6", "6", false, true, CURSOR_EXACT},
        {"last_event_id=27&limit=3", "28 29 30", "30", true, false, CURSOR_EXACT},
        {"last_event_id=27&limit=2", "28 29", "29", false, true, CURSOR_EXACT},
        {"last_event_id=30", "", "30", true, false, CURSOR_EXACT},
        {"last=2", "29 30", "30", true, false, CURSOR_EXACT},
        {"last=9&limit=2&topic=t/1", "4 7", "7", false, false, CURSOR_EXACT},
        {"last_event_id=20&topic=t/1", "22 25 28", "30", true, false, CURSOR_EXACT},
        {"last_event_id=20&topic=t/1&topic=t/2&limit=3", "22 23 25", "25", false, true,
         CURSOR_EXACT},
        /* a page that looks at 8 rows a step goes on until it has something */
        {"since=earliest&topic=t/*&type=none", "", "30", true, false, CURSOR_EXACT},
        {"before=now&limit=3", "30 29 28", "28", false, false, CURSOR_EXACT},
        {"before=28&limit=3", "27 26 25", "25", false, true, CURSOR_EXACT},
        {"before=4", "3 2 1", NULL, false, false, CURSOR_EXACT},
        {"before=1", "", NULL, false, false, CURSOR_EXACT},
        {"before=20&topic=t/1&limit=2", "19 16", "16", false, true, CURSOR_EXACT},
        {"before=20&topic=t/1&topic=t/2&limit=3", "19 17 16", "16", false, true, CURSOR_EXACT},
        {"before=31&limit=1", "30", "30", false, true, CURSOR_EXACT},
        {"before=99&limit=1", "30", "30", false, false, CURSOR_FUTURE},
        {"before=5-zzzz&limit=1", "30", "30", false, false, CURSOR_EPOCH},
        {"last_event_id=99&limit=1", "1", "1", false, false, CURSOR_FUTURE},
        {"last_event_id=99&reset=now", "", "30", true, false, CURSOR_FUTURE},
        {"last_event_id=5-zzzz&limit=1", "1", "1", false, false, CURSOR_EPOCH},
        {"last_event_id=x&limit=1", "1", "1", false, false, CURSOR_INVALID},
    };

    check_rows(*state, rows, sizeof rows / sizeof *rows);
}

static void
what_was_deleted_is_told(void **state)
{
    static const struct row rows[] = {
        {"last_event_id=5&limit=2", "11 12", "12", false, false, CURSOR_PRUNED},
        {"last_event_id=5&reset=now", "", "30", true, false, CURSOR_PRUNED},
        {"last_event_id=10&limit=2", "11 12", "12", false, true, CURSOR_EXACT},
        {"since=earliest&limit=2", "11 12", "12", false, false, CURSOR_EXACT},
        {"last=25&limit=2", "11 12", "12", false, false, CURSOR_EXACT},
        {"before=13", "12 11", NULL, false, false, CURSOR_EXACT},
        {"before=11", "", NULL, false, false, CURSOR_PRUNED},
        {"before=4", "", NULL, false, false, CURSOR_PRUNED},
    };
    struct world *w = *state;
    uint32_t deleted;

    assert_int_equal(store_prune(w->store, 10, 100, &deleted, &w->eb), ERR_OK);
    check_rows(w, rows, sizeof rows / sizeof *rows);
}

static void
a_page_ends_at_its_bytes_but_has_one_event(void **state)
{
    struct world *w = *state;
    char *large = calloc(1, 10000);
    struct history_read h;
    char ids[64];

    memset(large, 'x', 9999);
    append(w, "large", NULL, (struct text){large, 9999});
    append(w, "large", NULL, (struct text){large, 1500});
    append(w, "large", NULL, (struct text){large, 1500});
    append(w, "large", NULL, (struct text){large, 1500});
    assert_int_equal(begin(w, "last_event_id=30", HISTORY_PAGE, &h), ERR_OK);
    finish(w, &h);
    list(&h, "{\"id\":\"", ids, sizeof ids);
    assert_string_equal(ids, "31");
    history_read_finish(&h);
    assert_int_equal(begin(w, "last_event_id=31", HISTORY_PAGE, &h), ERR_OK);
    finish(w, &h);
    list(&h, "{\"id\":\"", ids, sizeof ids);
    assert_string_equal(ids, "32 33");
    assert_false(h.live);
    history_read_finish(&h);
    free(large);
}

static void
topics_are_counted_in_steps_and_pages(void **state)
{
    static const struct {
        const char *query, *topics, *next;
    } rows[] = {
        {"topics", "t/0 t/1 t/2 u", ""},
        {"topics&limit=2", "t/0 t/1", "t/1"},
        {"topics=t/1&limit=2", "t/2 u", ""},
        {"topics&topic=t/*&limit=3", "t/0 t/1 t/2", ""},
        {"topics&topic=t/2&topic=t/9&topic=u", "t/2 u", ""},
        {"topics=u", "", ""},
        {"topics&topic=none*", "", ""},
    };
    struct world *w = *state;

    append(w, "u", NULL, TEXT_LIT("x"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct history_read h;
        char topics[64];

        assert_int_equal(begin(w, rows[i].query, HISTORY_TOPICS, &h), ERR_OK);
        finish(w, &h);
        assert_int_equal(h.job.err, ERR_OK);
        list(&h, "{\"topic\":\"", topics, sizeof topics);
        assert_string_equal(topics, rows[i].topics);
        assert_true(text_equal(buf_view(&h.next), text_of(rows[i].next)));
        if (i == 0)
            assert_true(contains(&h.body, "\"topic\":\"t/1\",\"count\":10,\"first\":\"1-"));
        history_read_finish(&h);
    }
}

static void
one_event_is_found_unknown_or_gone(void **state)
{
    static const struct {
        int64_t id;
        const char *query;
        enum history_found found;
    } rows[] = {
        {11, "", HISTORY_FOUND},
        {30, "", HISTORY_FOUND},
        {31, "", HISTORY_UNKNOWN},
        {0, "", HISTORY_UNKNOWN},
        {10, "", HISTORY_GONE},
        {1, "", HISTORY_GONE},
        {11, "topic=t/2", HISTORY_FOUND},
        {11, "topic=t/*", HISTORY_FOUND},
        {11, "topic=t/1", HISTORY_UNKNOWN},
        {11, "topic=a&topic=t/2", HISTORY_FOUND},
        {11, "topic=a*", HISTORY_UNKNOWN},
    };
    struct world *w = *state;
    uint32_t deleted;

    assert_int_equal(store_prune(w->store, 10, 100, &deleted, &w->eb), ERR_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct history_read h;

        assert_int_equal(begin(w, rows[i].query, HISTORY_EVENT, &h), ERR_OK);
        h.query.id = rows[i].id;
        finish(w, &h);
        assert_int_equal(h.job.err, ERR_OK);
        assert_int_equal(h.found, rows[i].found);
        assert_int_equal(h.body.length > 0, rows[i].found == HISTORY_FOUND);
        history_read_finish(&h);
    }
}

static void
one_event_is_fixed_if_its_log_was_named(void **state)
{
    struct world *w = *state;
    struct history_read h;

    for (int named = 0; named < 2; named++) {
        assert_int_equal(begin(w, "", HISTORY_EVENT, &h), ERR_OK);
        h.query.id = 11;
        h.query.requested = mem_copy(named ? TEXT_LIT("11-k3f9") : TEXT_LIT("11"));
        finish(w, &h);
        assert_int_equal(h.found, HISTORY_FOUND);
        assert_int_equal(h.fixed, named);
        history_read_finish(&h);
    }
}

static void
bytes_that_are_no_text_come_out_as_replacement_characters(void **state)
{
    struct world *w = *state;
    struct history_read h;

    append(w, "bytes", NULL, TEXT_LIT("a\xff\xc3\xa9\xe2\x82"));
    assert_int_equal(begin(w, "last=1", HISTORY_PAGE, &h), ERR_OK);
    finish(w, &h);
    assert_true(text_is_utf8(buf_view(&h.body)));
    assert_true(contains(&h.body, "\"data\":\"a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\""));
    history_read_finish(&h);
}

static void
a_failed_allocation_fails_the_read_and_nothing_else(void **state)
{
    static const struct {
        const char *query;
        enum history_what what;
    } rows[] = {
        {"since=earliest&topic=t/1&topic=t/2", HISTORY_PAGE},
        {"before=now&limit=3", HISTORY_PAGE},
        {"last_event_id=5-zzzz", HISTORY_PAGE},
        {"topics", HISTORY_TOPICS},
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool failed = true;

        for (long n = 1; failed; n++) {
            struct history_read h;

            assert_int_equal(begin(w, rows[i].query, rows[i].what, &h), ERR_OK);
            mem_fail_at(n);
            finish(w, &h);
            failed = mem_count() >= n;
            mem_fail_at(0);
            assert_int_equal(h.job.err, failed ? ERR_NOMEM : ERR_OK);
            history_read_finish(&h);
            assert_true(n < 1000);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_page_has_what_was_asked_for_and_says_where_it_goes_on,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_deleted_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_page_ends_at_its_bytes_but_has_one_event, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(topics_are_counted_in_steps_and_pages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_event_is_found_unknown_or_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_event_is_fixed_if_its_log_was_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_that_are_no_text_come_out_as_replacement_characters,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_allocation_fails_the_read_and_nothing_else, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
