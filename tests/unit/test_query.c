/* query: what a client asks for, row by row: query string, header and grants on the left, where the
 * stream begins and what is filtered on the right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "http/query.h"
#include "stream/dialect.h"

static const struct dialect plain = {DIALECT_PLAIN, "k3f9"};

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

enum { NOW_MS = 1000000000, TOPICS_MAX = 4 };

static enum err
parse(const char *query, const char *header, const char *grants, struct query *q, struct errbuf *eb)
{
    struct grants may;
    struct query_limits limits = {.topics_max = TOPICS_MAX,
                                  .where_max = 20,
                                  .dialect = &plain,
                                  .grants = grants ? &may : NULL,
                                  .now_ms = NOW_MS};
    enum err err;

    grants_init(&may);
    err = grants_parse(&may, text_of(grants), eb);
    if (err == ERR_OK)
        err = query_parse(text_of(query), text_of(header), &limits, q, eb);
    grants_finish(&may);
    return err;
}

/* The result as one line: "now", "after 5", "since 1000", "last 10", "earliest", "reset epoch",
 * then the filter's key, then "reset=now" and the cursor that was sent, as far as there are any. */
static void
describe(const struct query *q, char *line, size_t size)
{
    char start[64] = "?";

    switch (q->start.kind) {
    case START_NOW:
        snprintf(start, sizeof start, "now");
        break;
    case START_EARLIEST:
        snprintf(start, sizeof start, "earliest");
        break;
    case START_AFTER:
        snprintf(start, sizeof start, "after %lld", (long long)q->start.id);
        break;
    case START_SINCE:
        snprintf(start, sizeof start, "since %lld", (long long)q->start.time_ms);
        break;
    case START_LAST:
        snprintf(start, sizeof start, "last %u", q->start.count);
        break;
    case START_BEFORE:
        snprintf(start, sizeof start, "before %lld", (long long)q->start.id);
        break;
    case START_RESET:
        snprintf(start, sizeof start, "reset %s", cursor_reset_name(q->start.reset));
        break;
    }
    snprintf(line, size, "%s [%s]%s%s%s", start, q->what.key,
             q->start.reset_now ? " reset=now" : "", q->requested ? " " : "",
             q->requested ? q->requested : "");
}

struct row {
    const char *query, *header, *result;
};

static void
check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct query q;
        struct errbuf eb = {""};
        char line[1024];

        if (parse(rows[i].query, rows[i].header, NULL, &q, &eb) != ERR_OK)
            fail_msg("\"%s\" is refused: %s", rows[i].query, eb.text);
        describe(&q, line, sizeof line);
        if (strcmp(line, rows[i].result) != 0)
            fail_msg("\"%s\" gives \"%s\", not \"%s\"", rows[i].query, line, rows[i].result);
        query_finish(&q);
    }
}

/* What narrows the answer is understood however it is written, or refused: never ignored. */
static void
nothing_that_narrows_is_ignored(void **state)
{
    static const struct row rows[] = {
        {"topic[0]=a", NULL, "now [topic=a]"},
        {"topic[]=a&topic[]=b", NULL, "now [topic=a&topic=b]"},
        {"topic%5B0%5D=a&type%5b%5d=t", NULL, "now [topic=a&type=t]"},
        {"t%6Fpic=a", NULL, "now [topic=a]"},
        {"where[x][y]=/n", NULL, "now [where=/n]"},
        {"topical=a&mytopic=b&topic.x=c", NULL, "now []"},
        {"reset[]=now&last[0]=3", NULL, "now []"}, /* these narrow nothing */
    };
    static const char *const refused[] = {"Topic=a",  "TOPIC=a",    "topics=a",
                                          "topic+=a", "%20topic=a", "types=t",
                                          "Where=/n", "wheres=/n",  "type%20=t"};

    (void)state;
    check_rows(rows, COUNT_OF(rows));
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct query q;
        struct errbuf eb = {""};

        if (parse(refused[i], NULL, NULL, &q, &eb) != ERR_INVALID)
            fail_msg("\"%s\" is not refused", refused[i]);
        assert_non_null(strstr(eb.text, "is not known; write "));
    }
}

static void
the_start_is_the_strongest_of_what_is_given(void **state)
{
    static const struct row rows[] = {
        {NULL, NULL, "now []"},
        {"", NULL, "now []"},
        {"&&", NULL, "now []"},
        {"", "", "now []"},
        {"", "5-k3f9", "after 5 [] 5-k3f9"},
        {"", "5", "after 5 [] 5"},
        {"", "0", "after 0 [] 0"},
        {"last_event_id=7-k3f9", NULL, "after 7 [] 7-k3f9"},
        {"lastEventId=7", NULL, "after 7 [] 7"},
        {"lastEventID=7", NULL, "after 7 [] 7"},
        {"LASTEVENTID=7", NULL, "now []"},
        {"last_event_id=", NULL, "now []"},
        {"last_event_id", NULL, "now []"},
        {"last_event_id=7&last_event_id=8", NULL, "after 8 [] 8"},
        {"last_event_id=7&lastEventId=8", NULL, "after 8 [] 8"},
        /* a browser that reconnects repeats the URL: its header is newer */
        {"last_event_id=7", "9-k3f9", "after 9 [] 9-k3f9"},
        {"last_event_id=7", "", "after 7 [] 7"},
        {"last_event_id=nonsense", "9", "after 9 [] 9"},
        {"last_event_id=7", "nonsense", "reset invalid [] nonsense"},
        {"since=earliest", "9", "after 9 [] 9"},
        {"since=earliest", "9-zzzz", "reset epoch [] 9-zzzz"},
        {"last=10", "9", "after 9 [] 9"},
        {"last_event_id=7&since=earliest", NULL, "after 7 [] 7"},
        {"since=earliest&last_event_id=7", NULL, "after 7 [] 7"},
        {"last_event_id=7&last=3", NULL, "after 7 [] 7"},
        {"last_event_id=&last=3", NULL, "last 3 []"},
    };

    (void)state;
    check_rows(rows, COUNT_OF(rows));
}

static void
since_and_last_take_what_the_manual_says(void **state)
{
    static const struct row rows[] = {
        {"since=now", NULL, "now []"},
        {"since=earliest", NULL, "earliest []"},
        {"since=7-k3f9", NULL, "after 7 [] 7-k3f9"},
        {"since=7", NULL, "after 7 [] 7"},
        {"since=7-zzzz", NULL, "reset epoch [] 7-zzzz"},
        {"since=10s", NULL, "since 999990000 []"},
        {"since=250ms", NULL, "since 999999750 []"},
        {"since=10m", NULL, "since 999400000 []"},
        {"since=2h", NULL, "since 992800000 []"},
        {"since=1d", NULL, "since 913600000 []"},
        {"since=20d", NULL, "since -728000000 []"},
        {"since=1970-01-02", NULL, "since 86400000 []"},
        {"since=1970-01-01T00:00:01Z", NULL, "since 1000 []"},
        {"since=1970-01-01T01:00:01%2B01:00", NULL, "since 1000 []"},
        {"since=1970-01-01T01:00:01+01:00", NULL, "since 1000 []"},
        {"since=1970-01-01+00:00:01", NULL, "since 1000 []"},
        {"since=10m&since=now", NULL, "now []"},
        {"last=0", NULL, "last 0 []"},
        {"last=10", NULL, "last 10 []"},
        {"last=1000000", NULL, "last 1000000 []"},
        {"last=1&last=2", NULL, "last 2 []"},
    };

    (void)state;
    check_rows(rows, COUNT_OF(rows));
}

static void
a_cursor_that_is_unusable_is_no_error(void **state)
{
    static const struct row rows[] = {
        {"last_event_id=5-zzzz", NULL, "reset epoch [] 5-zzzz"},
        {"last_event_id=-1", NULL, "reset invalid [] -1"},
        {"last_event_id=99999999999999999999", NULL, "reset invalid [] 99999999999999999999"},
        {"", "undefined", "reset invalid [] undefined"},
        {"", " 5", "reset invalid []  5"},
        {"", "5-K3F9", "reset invalid [] 5-K3F9"},
        {"reset=now", "x", "reset invalid [] reset=now x"},
        {"reset=oldest", "x", "reset invalid [] x"},
        {"last_event_id=a%22b%0A", NULL, "reset invalid [] a\"b\n"},
    };

    (void)state;
    check_rows(rows, COUNT_OF(rows));
}

static void
filters_are_decoded_and_canonical(void **state)
{
    static const struct row rows[] = {
        {"topic=a", NULL, "now [topic=a]"},
        {"topic=b&topic=a", NULL, "now [topic=a&topic=b]"},
        {"topic=a&topic=a", NULL, "now [topic=a]"},
        {"topic=*", NULL, "now []"},
        {"topic=wiki/*&topic=wiki/de", NULL, "now [topic=wiki/*]"},
        {"topic=wiki%2F%2a", NULL, "now [topic=wiki/*]"},
        {"topic=a+b", NULL, "now [topic=a%20b]"},
        {"topic=a%2Bb", NULL, "now [topic=a%2Bb]"},
        {"topic=a%26type%3Db", NULL, "now [topic=a%26type=b]"},
        {"topic=a=b", NULL, "now [topic=a=b]"},
        {"topic=%C3%A9", NULL, "now [topic=\xc3\xa9]"},
        {"topic=\xc3\xa9", NULL, "now [topic=\xc3\xa9]"},
        {"type=edit&type=delete", NULL, "now [type=delete&type=edit]"},
        {"type=message", NULL, "now [type=message]"},
        {"type=edit&topic=a", NULL, "now [topic=a&type=edit]"},
        {"topic=a&topic=b&type=c&type=d", NULL, "now [topic=a&topic=b&type=c&type=d]"},
        {"&topic=a&", NULL, "now [topic=a]"},
        /* a page may add names of its own, with whatever values */
        {"utm_source=x&topics&=c&=", NULL, "now []"},
        {"cachebust=100%&x=%zz", NULL, "now []"},
    };

    (void)state;
    check_rows(rows, COUNT_OF(rows));
}

static void
what_cannot_be_meant_is_an_error_that_names_it(void **state)
{
    static const struct {
        const char *query, *why;
    } rows[] = {
        {"topic=", "topic has 0 bytes"},
        {"topic", "topic has 0 bytes"},
        {"topic=a%0Ab", "control character"},
        {"topic=%FF", "UTF-8"},
        {"topic=%00", "NUL"},
        {"topic=%", "malformed"},
        {"topic=%4", "malformed"},
        {"topic=%4g", "malformed"},
        {"topic=a%", "malformed"},
        {"type=", "type has 0 bytes"},
        {"type=freshet:live", "signals"},
        {"topic=a&topic=b&topic=c&topic=d&topic=e", "more than 4"},
        {"topic=a&topic=b&topic=c&topic=d&type=e", "more than 4"},
        {"since=", "since="},
        {"since=yesterday", "since="},
        {"since=-5m", "since="},
        {"since=10M", "since="},
        {"since=2026-02-30", "since="},
        {"since=99999999999999d", "since="},
        {"last=", "last="},
        {"last=-1", "last="},
        {"last=1000001", "last="},
        {"last=99999999999999999999", "last="},
        {"last=ten", "last="},
        {"since=now&last=1", "exclude"},
        {"reset=", "reset="},
        {"reset=later", "reset="},
        {"last_event_id=%zz", "malformed"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct query q;
        struct errbuf eb = {""};

        if (parse(rows[i].query, NULL, NULL, &q, &eb) != ERR_INVALID)
            fail_msg("\"%s\" is accepted", rows[i].query);
        if (!strstr(eb.text, rows[i].why))
            fail_msg("\"%s\": \"%s\" does not say \"%s\"", rows[i].query, eb.text, rows[i].why);
    }
}

static void
pages_have_names_of_their_own(void **state)
{
    static const struct {
        const char *query, *result;
        uint32_t limit;
        int64_t wait_ms;
        enum query_kind kind;
    } rows[] = {
        {"limit=7&wait=30s", "now []", 7, 30000, QUERY_PAGE},
        {"limit=99999999999", "now []", UINT32_MAX, 0, QUERY_PAGE},
        {"wait=500ms&topic=a", "now [topic=a]", 0, 500, QUERY_PAGE},
        {"before=9", "before 9 [] 9", 0, 0, QUERY_PAGE},
        {"before=9-k3f9&type=x", "before 9 [type=x] 9-k3f9", 0, 0, QUERY_PAGE},
        {"before=now", "before 9223372036854775807 []", 0, 0, QUERY_PAGE},
        {"before=0", "before 1 [] 0", 0, 0, QUERY_PAGE},
        {"before=9-zzzz", "before 9223372036854775807 [] 9-zzzz", 0, 0, QUERY_PAGE},
        {"topics=&before=9", "before 9 [] 9", 0, 0, QUERY_PAGE},
        {"topics&limit=3&other=%01&topic=a", "now [topic=a]", 3, 0, QUERY_TOPICS},
        {"limit=x&since=x&before=x&type=%01&where=&topic=a", "now [topic=a]", 0, 0, QUERY_EVENT},
        {"limit=x&wait=x&before=x&other=%zz", "now []", 0, 0, QUERY_STREAM},
    };
    static const char *const bad[] = {
        "limit=0",          "limit=-1",         "limit=x",
        "limit=",           "wait=soon",        "wait=",
        "before=x",         "before=",          "before=9&last=1",
        "before=9&since=1", "before=9&wait=1s", "before=9&lastEventId=1"};
    static const char *const bad_with_topics[] = {
        "type=a",        "where=/a", "reset=now", "last_event_id=1", "lastEventId=1",
        "lastEventID=1", "since=1",  "last=1",    "before=9",        "wait=1s"};
    struct query_limits limits = {
        .topics_max = TOPICS_MAX, .where_max = 20, .dialect = &plain, .now_ms = NOW_MS};
    struct query q;
    struct errbuf eb;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char line[1024];

        limits.kind = rows[i].kind;
        assert_int_equal(query_parse(text_of(rows[i].query), TEXT_NONE, &limits, &q, &eb), ERR_OK);
        describe(&q, line, sizeof line);
        assert_string_equal(line, rows[i].result);
        assert_int_equal(q.limit, rows[i].limit);
        assert_int_equal(q.wait_ms, rows[i].wait_ms);
        query_finish(&q);
    }
    limits.kind = QUERY_PAGE;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (query_parse(text_of(bad[i]), TEXT_NONE, &limits, &q, &eb) != ERR_INVALID)
            fail_msg("\"%s\" is taken", bad[i]);
    limits.kind = QUERY_TOPICS;
    for (size_t i = 0; i < COUNT_OF(bad_with_topics); i++) {
        size_t n = strcspn(bad_with_topics[i], "=") + 1;

        if (query_parse(text_of(bad_with_topics[i]), TEXT_NONE, &limits, &q, &eb) != ERR_INVALID)
            fail_msg("\"topics&%s\" is taken", bad_with_topics[i]);
        assert_non_null(memmem(eb.text, strlen(eb.text), bad_with_topics[i], n));
    }
}

static void
a_link_has_the_filter_and_another_start(void **state)
{
    static const struct {
        const char *query, *name, *value, *link;
    } rows[] = {
        {"", "last_event_id", "9-k3f9", "?last_event_id=9-k3f9"},
        {"topic=a%20b&last=3&limit=5", "last_event_id", "9-k3f9",
         "?topic=a%20b&limit=5&last_event_id=9-k3f9"},
        {"&before=3&&reset=now&x", "before", "2-k3f9", "?reset=now&x=&before=2-k3f9"},
        {"topics=a&limit=2", "topics", "b &\xc3\xa9", "?limit=2&topics=b%20%26%C3%A9"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf b;

        buf_init(&b, 1024);
        query_link(&b, text_of(rows[i].query), rows[i].name, text_of(rows[i].value));
        assert_true(text_equal(buf_view(&b), text_of(rows[i].link)));
        buf_finish(&b);
    }
}

static void
a_path_may_name_an_event(void **state)
{
    static const struct {
        const char *path_info, *script_name, *event;
    } rows[] = {
        {NULL, "/events", NULL},
        {NULL, "/events/", NULL},
        {NULL, NULL, NULL},
        {"/", "/events", NULL},
        /* the web server passes a whole path as the endpoint: a topic may be in it */
        {NULL, "/rooms/42", NULL},
        {NULL, "/rooms/12-k3f9", NULL},
        {"", "/rooms/4hx0ab", NULL},
        {"/12", "/rooms/42", "12"},
        /* it does not split: all of the path is the endpoint */
        {"/events", "", NULL},
        {"/events", NULL, NULL},
        {"/12-k3f9", "", NULL},
        /* below the endpoint */
        {"/12-k3f9", "/events", "12-k3f9"},
        {"/old", "/events", "old"}, /* the web server says that it is a part of us */
        {"/12/13", "/events", "12/13"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_true(
            text_equal(query_event(text_of(rows[i].path_info), text_of(rows[i].script_name)),
                       text_of(rows[i].event)));
}

static void
the_endpoint_is_the_path_without_the_event(void **state)
{
    (void)state;
    assert_true(
        text_equal(query_endpoint(TEXT_LIT("/12"), TEXT_LIT("/events")), TEXT_LIT("/events")));
    assert_true(text_equal(query_endpoint(TEXT_LIT("/events"), TEXT_LIT("")), TEXT_LIT("/events")));
    assert_true(text_equal(query_endpoint(TEXT_LIT("/events"), TEXT_NONE), TEXT_LIT("/events")));
    assert_null(query_endpoint(TEXT_NONE, TEXT_NONE).p);
}

static void
grants_bound_what_is_read(void **state)
{
    static const struct {
        const char *grants, *query, *key; /* key NULL = not allowed */
    } rows[] = {
        {NULL, "topic=a", "topic=a"},
        {"", "topic=a", NULL},
        {"", "", NULL},
        {"   ", "", NULL},
        {"*", "", ""},
        {"*", "topic=a", "topic=a"},
        {"a b*", "", "topic=a&topic=b*"},
        {"a b*", "topic=*", "topic=a&topic=b*"},
        {"a b*", "topic=a", "topic=a"},
        {"a b*", "topic=b", "topic=b"},
        {"a b*", "topic=bc*", "topic=bc*"},
        {"a b*", "topic=c", NULL},
        {"a b*", "topic=a&topic=c", NULL},
        {"a b*", "topic=ab", NULL},
        {"a b*", "topic=a*", "topic=a"},
        {"wiki/de wiki/fr", "topic=wiki/*", "topic=wiki/de&topic=wiki/fr"},
        {"  a   b  ", "", "topic=a&topic=b"},
        {"a%20b", "", "topic=a%20b"},
        {"a+b", "topic=a%2Bb", "topic=a%2Bb"},
        {"100%25", "topic=100%25", "topic=100%25"},
        {"a", "type=x", "topic=a&type=x"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct query q;
        struct errbuf eb = {""};
        enum err err = parse(rows[i].query, NULL, rows[i].grants, &q, &eb);

        if (err != (rows[i].key ? ERR_OK : ERR_DENIED))
            fail_msg("\"%s\" of \"%s\": %d %s", rows[i].query, rows[i].grants, err, eb.text);
        if (!rows[i].key)
            assert_true(strlen(eb.text) > 0);
        else if (strcmp(q.what.key, rows[i].key) != 0)
            fail_msg("\"%s\" of \"%s\" gives \"%s\"", rows[i].query, rows[i].grants, q.what.key);
        if (err == ERR_OK)
            query_finish(&q);
    }
}

static void
a_query_survives_a_failure_at_every_allocation(void **state)
{
    enum err err = ERR_NOMEM;

    (void)state;
    for (long n = 1; err != ERR_OK; n++) {
        struct query q;
        struct errbuf eb = {""};

        assert_true(n < 200);
        mem_fail_at(n);
        err = parse("topic=a*&topic=b&type=t&last_event_id=7&last_event_id=8&x=y&since=9", "10",
                    "ab* b", &q, &eb);
        mem_fail_at(0);
        if (err != ERR_OK) {
            assert_int_equal(err, ERR_NOMEM);
            continue;
        }
        assert_string_equal(q.what.key, "topic=ab*&topic=b&type=t");
        assert_int_equal(q.start.id, 10);
        query_finish(&q);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_that_narrows_is_ignored),
        cmocka_unit_test(the_start_is_the_strongest_of_what_is_given),
        cmocka_unit_test(since_and_last_take_what_the_manual_says),
        cmocka_unit_test(a_cursor_that_is_unusable_is_no_error),
        cmocka_unit_test(filters_are_decoded_and_canonical),
        cmocka_unit_test(what_cannot_be_meant_is_an_error_that_names_it),
        cmocka_unit_test(grants_bound_what_is_read),
        cmocka_unit_test(pages_have_names_of_their_own),
        cmocka_unit_test(a_link_has_the_filter_and_another_start),
        cmocka_unit_test(a_path_may_name_an_event),
        cmocka_unit_test(the_endpoint_is_the_path_without_the_event),
        cmocka_unit_test(a_query_survives_a_failure_at_every_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
