/* sse: what is encoded comes out of a browser's EventSource as it went in.
 *
 * The decoder below is written from the HTML Living Standard, section 9.2.6 "Interpreting an event
 * stream", and shares nothing with the encoder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "base/mem.h"
#include "stream/sse.h"
#include "stream/dialect.h"

static const struct dialect plain = {DIALECT_PLAIN, "k3f9"};

enum { BIG = 1024 * 1024, DISPATCHED_MAX = 64 };

/* ---- a browser ---- */

struct dispatched {
    struct buf type, data;
    char last_event_id[64];
};

struct browser {
    struct dispatched events[DISPATCHED_MAX];
    int n;
    long retry;
    char last_event_id[64];
    struct buf data, type;
};

static void
dispatch(struct browser *b)
{
    struct dispatched *d = &b->events[b->n];

    if (b->data.length > 0) {
        assert_true(b->n < DISPATCHED_MAX);
        buf_init(&d->type, BIG * 2);
        buf_init(&d->data, BIG * 2);
        buf_text(&d->type, b->type.length ? buf_view(&b->type) : TEXT_LIT("message"));
        buf_append(&d->data, b->data.data, b->data.length - 1); /* without the last LF */
        strcpy(d->last_event_id, b->last_event_id);
        b->n++;
    }
    buf_clear(&b->data);
    buf_clear(&b->type);
}

static void
field(struct browser *b, struct text name, struct text value)
{
    if (text_equal(name, TEXT_LIT("event"))) {
        buf_clear(&b->type);
        buf_text(&b->type, value);
    } else if (text_equal(name, TEXT_LIT("data"))) {
        buf_text(&b->data, value);
        buf_byte(&b->data, '\n');
    } else if (text_equal(name, TEXT_LIT("id"))) {
        if (!value.n || !memchr(value.p, '\0', value.n))
            snprintf(b->last_event_id, sizeof b->last_event_id, "%.*s", (int)value.n, value.p);
    } else if (text_equal(name, TEXT_LIT("retry"))) {
        long long ms;

        if (text_to_int64(value, &ms))
            b->retry = (long)ms;
    }
}

static void
line(struct browser *b, struct text s)
{
    const char *colon = s.n ? memchr(s.p, ':', s.n) : NULL;
    size_t name_n = colon ? (size_t)(colon - s.p) : s.n;
    size_t value_at = colon ? name_n + 1 : s.n;

    if (s.n == 0) {
        dispatch(b);
        return;
    }
    if (colon == s.p)
        return; /* a comment */
    if (value_at < s.n && s.p[value_at] == ' ')
        value_at++;
    field(b, (struct text){s.p, name_n}, (struct text){s.p + value_at, s.n - value_at});
}

static void
browse(struct browser *b, struct text stream)
{
    size_t start = 0;

    b->n = 0; /* what lies beyond is never looked at, and clearing it would be most of the work */
    b->retry = 0;
    b->last_event_id[0] = '\0';
    buf_init(&b->data, BIG * 2);
    buf_init(&b->type, BIG * 2);
    for (size_t i = 0; i < stream.n; i++) {
        if (stream.p[i] != '\n' && stream.p[i] != '\r')
            continue;
        line(b, (struct text){stream.p + start, i - start});
        if (stream.p[i] == '\r' && i + 1 < stream.n && stream.p[i + 1] == '\n')
            i++;
        start = i + 1;
    }
    assert_int_equal(start, stream.n); /* what we send always ends with a line */
}

static void
close_browser(struct browser *b)
{
    for (int i = 0; i < b->n; i++) {
        buf_finish(&b->events[i].type);
        buf_finish(&b->events[i].data);
    }
    buf_finish(&b->data);
    buf_finish(&b->type);
}

/* CR and CRLF, which the format cannot carry, become LF. */
static void
normalised(struct buf *out, struct text s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n')
            continue;
        buf_byte(out, s.p[i] == '\r' ? '\n' : s.p[i]);
    }
}

/* One event through encoder and browser. NULL when all is as it was, else what is not. */
static const char *
round_trip(struct text type, struct text data)
{
    struct event e = {.id = 1234, .topic = TEXT_LIT("t"), .type = type, .data = data};
    struct browser b;
    struct buf stream, expected;
    const char *wrong = NULL;

    buf_init(&stream, BIG * 8);
    buf_init(&expected, BIG * 2);
    normalised(&expected, data);
    dialect_event(&plain, &stream, &e);
    assert_false(buf_failed(&stream));
    browse(&b, buf_view(&stream));
    if (b.n != 1)
        wrong = "not one event";
    else if (!text_equal(buf_view(&b.events[0].data), buf_view(&expected)))
        wrong = "the data";
    else if (!text_equal(buf_view(&b.events[0].type), type.p ? type : TEXT_LIT("message")))
        wrong = "the type";
    else if (strcmp(b.events[0].last_event_id, "1234-k3f9") != 0)
        wrong = "the id";
    else if (b.retry != 0)
        wrong = "a retry out of nothing";
    close_browser(&b);
    buf_finish(&stream);
    buf_finish(&expected);
    return wrong;
}

/* ---- tests ---- */

static void
every_data_arrives_as_it_was(void **state)
{
    static const struct text rows[] = {
        TEXT_LIT(""),
        TEXT_LIT("x"),
        TEXT_LIT(" "),
        TEXT_LIT("  leading blanks"),
        TEXT_LIT("trailing blank "),
        TEXT_LIT(":"),
        TEXT_LIT(": no comment"),
        TEXT_LIT("a: b"),
        TEXT_LIT("data: data"),
        TEXT_LIT("\n"),
        TEXT_LIT("\r"),
        TEXT_LIT("\r\n"),
        TEXT_LIT("\n\n\n"),
        TEXT_LIT("\r\r\r"),
        TEXT_LIT("\n\r"),
        TEXT_LIT("\r\n\r\n"),
        TEXT_LIT("a\nb"),
        TEXT_LIT("a\rb"),
        TEXT_LIT("a\r\nb"),
        TEXT_LIT("a\n"),
        TEXT_LIT("a\r"),
        TEXT_LIT("a\r\n"),
        TEXT_LIT("\na"),
        TEXT_LIT("\ra"),
        TEXT_LIT("a\n\rb\r\n\nc\r\r\nd"),
        TEXT_LIT("{\"title\":\"caf\xc3\xa9 \xf0\x9f\x98\x80\"}"),
        TEXT_LIT("\xef\xbb\xbf byte order mark"),
        TEXT_LIT("\xe2\x80\xa8 no line end to the format \xc2\x85"),
        TEXT_LIT("\x01\x02\t\x0b\x0c\x7f"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *wrong = round_trip(TEXT_NONE, rows[i]);

        if (wrong)
            fail_msg("row %zu: %s", i, wrong);
    }
}

static void
data_cannot_forge_fields(void **state)
{
    struct event e = {.id = 5,
                      .data = TEXT_LIT("a\rid: 999-k3f9\revent: admin\r\rdata: b\nretry: 0\n\n")};
    struct browser b;
    struct buf stream;

    (void)state;
    buf_init(&stream, BIG);
    dialect_event(&plain, &stream, &e);
    browse(&b, buf_view(&stream));
    assert_int_equal(b.n, 1);
    assert_string_equal(b.last_event_id, "5-k3f9");
    assert_true(text_equal(buf_view(&b.events[0].type), TEXT_LIT("message")));
    assert_int_equal(b.retry, 0);
    close_browser(&b);
    buf_finish(&stream);
}

static void
a_type_arrives_as_the_events_name(void **state)
{
    (void)state;
    assert_null(round_trip(TEXT_LIT("edit"), TEXT_LIT("x")));
    assert_null(round_trip(TEXT_LIT(" a: b "), TEXT_LIT("x")));
    assert_null(round_trip(TEXT_LIT("\xf0\x9f\x98\x80"), TEXT_LIT("")));
}

static void
the_bytes_are_those_of_the_manual(void **state)
{
    struct event e = {.id = INT64_MAX, .type = TEXT_LIT("edit"), .data = TEXT_LIT("a\nb")};
    struct buf b;

    (void)state;
    buf_init(&b, BIG);
    sse_retry(&b, 2500);
    sse_comment(&b, TEXT_LIT("freshet"));
    dialect_event(&plain, &b, &e);
    sse_signal(&b, "live", TEXT_LIT("{\"id\":null}"));
    buf_byte(&b, '\0');
    assert_string_equal(b.data, "retry: 2500\n"
                                ": freshet\n"
                                "id: 9223372036854775807-k3f9\nevent: edit\ndata: a\ndata: b\n\n"
                                "event: freshet:live\ndata: {\"id\":null}\n\n");
    buf_finish(&b);
}

static void
a_signal_moves_no_cursor(void **state)
{
    struct event e = {.id = 7, .data = TEXT_LIT("x")};
    struct browser b;
    struct buf stream;

    (void)state;
    buf_init(&stream, BIG);
    dialect_event(&plain, &stream, &e);
    sse_signal(&stream, "reset", TEXT_LIT("{}"));
    sse_comment(&stream, TEXT_LIT(""));
    sse_retry(&stream, 10);
    browse(&b, buf_view(&stream));
    assert_int_equal(b.n, 2);
    assert_string_equal(b.last_event_id, "7-k3f9");
    assert_true(text_equal(buf_view(&b.events[1].type), TEXT_LIT("freshet:reset")));
    assert_int_equal(b.retry, 10);
    close_browser(&b);
    buf_finish(&stream);
}

static void
a_mebibyte_arrives_whole(void **state)
{
    static char data[BIG];

    (void)state;
    memset(data, 'x', sizeof data);
    assert_null(round_trip(TEXT_NONE, (struct text){data, sizeof data}));
    memset(data, '\n', sizeof data); /* the worst case: seven bytes for one */
    assert_null(round_trip(TEXT_NONE, (struct text){data, sizeof data}));
    memset(data, '\r', sizeof data);
    assert_null(round_trip(TEXT_NONE, (struct text){data, sizeof data}));
}

static double
seconds_to_encode(struct text data)
{
    struct event e = {.id = 1234, .topic = TEXT_LIT("t"), .data = data};
    struct buf stream;
    clock_t began;

    buf_init(&stream, 16 * (size_t)BIG);
    began = clock();
    dialect_event(&plain, &stream, &e);
    assert_false(buf_failed(&stream));
    buf_finish(&stream);
    return (double)(clock() - began) / CLOCKS_PER_SEC;
}

/* Once a mebibyte of CR kept the reader busy for six seconds, 200 times as long as one of LF, and
 * everybody waited: each line looked through all that follows for an LF. */
static void
line_ends_of_every_kind_cost_the_same(void **state)
{
    static char lf[BIG], cr[BIG];
    double seconds;

    (void)state;
    memset(lf, '\n', sizeof lf);
    memset(cr, '\r', sizeof cr);
    seconds = seconds_to_encode((struct text){lf, sizeof lf});
    assert_true(seconds_to_encode((struct text){cr, sizeof cr}) < 10 * seconds + 0.1);
}

/* Bytes that mean something to the format, much more often than chance would have them. */
static void
random_data_arrives_as_it_was(void **state)
{
    static const char alphabet[] = "\n\r\n\r: \tdateviry019-x";
    char data[64];

    (void)state;
    for (uint64_t seed = 1; seed <= 20000; seed++) {
        uint64_t random = seed;
        size_t n;
        const char *wrong;

        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        n = (random >> 33) % sizeof data;
        for (size_t i = 0; i < n; i++) {
            random = random * 6364136223846793005ULL + 1442695040888963407ULL;
            data[i] = alphabet[(random >> 33) % (sizeof alphabet - 1)];
        }
        wrong = round_trip(TEXT_NONE, (struct text){data, n});
        if (wrong)
            fail_msg("seed %llu: %s", (unsigned long long)seed, wrong);
    }
}

static void
without_memory_the_block_is_known_to_be_broken(void **state)
{
    struct event e = {.id = 7, .type = TEXT_LIT("t"), .data = TEXT_LIT("x\ny")};
    struct buf b;

    (void)state;
    buf_init(&b, BIG);
    mem_fail_at(1);
    dialect_event(&plain, &b, &e);
    mem_fail_at(0);
    assert_true(buf_failed(&b));
    buf_finish(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_data_arrives_as_it_was),
        cmocka_unit_test(data_cannot_forge_fields),
        cmocka_unit_test(a_type_arrives_as_the_events_name),
        cmocka_unit_test(the_bytes_are_those_of_the_manual),
        cmocka_unit_test(a_signal_moves_no_cursor),
        cmocka_unit_test(a_mebibyte_arrives_whole),
        cmocka_unit_test(line_ends_of_every_kind_cost_the_same),
        cmocka_unit_test(random_data_arrives_as_it_was),
        cmocka_unit_test(without_memory_the_block_is_known_to_be_broken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
