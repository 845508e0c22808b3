/* body: what was POSTed, from the FastCGI records that carry it to the events it stands for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "http/body.h"
#include "http/form.h"
#include "fcgi/record.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

enum { BEGIN = 1, ABORT = 2, STDIN = 5, STREAM_MAX = 1 << 20 };

/* ---- records ---- */

static void
put_record(struct buf *b, int type, struct text content, size_t padding)
{
    unsigned char head[RECORD_HEAD] = {1,
                                       (unsigned char)type,
                                       0,
                                       1,
                                       (unsigned char)(content.n >> 8),
                                       (unsigned char)content.n,
                                       (unsigned char)padding,
                                       0};

    buf_append(b, head, sizeof head);
    buf_text(b, content);
    while (padding-- > 0)
        buf_byte(b, '#');
}

/* Three records of a body with and without padding, and the end. */
static void
put_body(struct buf *b)
{
    buf_init(b, STREAM_MAX);
    put_record(b, STDIN, TEXT_LIT("{\"topic\":"), 0);
    put_record(b, STDIN, TEXT_LIT("\"a\",\"da"), 7);
    put_record(b, STDIN, TEXT_LIT("ta\":1}"), 255);
    put_record(b, STDIN, TEXT_LIT(""), 0);
}

static enum record_read
read_piece(struct record_reader *r, struct text bytes, struct buf *body)
{
    return record_read(r, &bytes, body);
}

static void
a_body_in_pieces_of_any_size_is_put_together(void **state)
{
    struct buf stream;

    (void)state;
    put_body(&stream);
    for (size_t piece = 1; piece <= stream.length; piece++) {
        struct record_reader r = {.request_id = 1};
        struct buf body;

        buf_init(&body, STREAM_MAX);
        for (size_t at = 0; at < stream.length; at += piece) {
            size_t n = stream.length - at < piece ? stream.length - at : piece;
            enum record_read said = read_piece(&r, (struct text){stream.data + at, n}, &body);

            assert_int_equal(said, at + n == stream.length ? RECORD_END : RECORD_MORE);
        }
        assert_true(text_equal(buf_view(&body), TEXT_LIT("{\"topic\":\"a\",\"data\":1}")));
        buf_finish(&body);
    }
    buf_finish(&stream);
}

static void
a_body_that_nobody_wants_is_passed_over(void **state)
{
    struct record_reader r = {.request_id = 1};
    struct buf stream;

    (void)state;
    put_body(&stream);
    assert_int_equal(read_piece(&r, buf_view(&stream), NULL), RECORD_END);
    buf_clear(&stream);
    put_record(&stream, ABORT, TEXT_LIT(""), 0);
    assert_int_equal(read_piece(&r, buf_view(&stream), NULL), RECORD_ABORT);
    buf_clear(&stream);
    buf_string(&stream, "not FastCGI");
    r = (struct record_reader){.request_id = 1};
    assert_int_equal(read_piece(&r, buf_view(&stream), NULL), RECORD_INVALID);
    buf_finish(&stream);
}

/* The web server may send the next request only when the response to this one has come. */
static void
nothing_but_an_abort_follows_a_body(void **state)
{
    struct record_reader r = {.request_id = 1};
    struct buf stream;
    struct text rest;

    (void)state;
    buf_init(&stream, STREAM_MAX);
    put_record(&stream, STDIN, TEXT_LIT(""), 3);
    assert_int_equal(read_piece(&r, (struct text){stream.data, stream.length - 1}, NULL),
                     RECORD_MORE);
    assert_false(r.ended);
    assert_int_equal(read_piece(&r, TEXT_LIT("#"), NULL), RECORD_END);
    assert_true(r.ended);
    assert_int_equal(read_piece(&r, TEXT_LIT(""), NULL), RECORD_MORE); /* said once */
    buf_clear(&stream);
    put_record(&stream, BEGIN, TEXT_LIT("\0\1\1\0\0\0\0\0"), 0);
    assert_int_equal(read_piece(&r, buf_view(&stream), NULL), RECORD_INVALID);
    buf_clear(&stream);
    put_record(&stream, STDIN, TEXT_LIT(""), 0);
    put_record(&stream, BEGIN, TEXT_LIT("\0\1\1\0\0\0\0\0"), 0);
    r = (struct record_reader){.request_id = 1};
    rest = buf_view(&stream);
    assert_int_equal(record_read(&r, &rest, NULL), RECORD_END);
    assert_int_equal(rest.n, stream.length - RECORD_HEAD); /* for the reader of the next request */
    assert_int_equal(record_read(&r, &rest, NULL), RECORD_INVALID);
    buf_finish(&stream);
}

static void
what_belongs_to_another_request_is_invalid(void **state)
{
    static const unsigned char records[][RECORD_HEAD] = {
        {1, STDIN, 0, 2, 0, 0, 0, 0}, /* another request */
        {1, STDIN, 1, 1, 0, 0, 0, 0}, {1, ABORT, 0, 2, 0, 0, 0, 0},
        {1, 1, 0, 1, 0, 8, 0, 0}, /* FCGI_BEGIN_REQUEST */
        {1, 4, 0, 1, 0, 0, 0, 0}, /* FCGI_PARAMS */
        {1, 8, 0, 1, 0, 0, 0, 0}, /* FCGI_DATA */
        {1, 9, 0, 0, 0, 0, 0, 0}, /* FCGI_GET_VALUES */
        {2, STDIN, 0, 1, 0, 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        struct record_reader r = {.request_id = 1};
        struct buf body;

        buf_init(&body, STREAM_MAX);
        assert_int_equal(
            read_piece(&r, (struct text){(const char *)records[i], RECORD_HEAD}, &body),
            RECORD_INVALID);
        buf_finish(&body);
    }
}

/* The body of a request is one transaction; an event in memory takes more than its text. */
static void
more_events_than_a_transaction_should_have_are_too_many(void **state)
{
    struct buf text;
    struct body b;
    struct errbuf eb;

    (void)state;
    buf_init(&text, 8 << 20);
    for (int i = 0; i < BODY_EVENTS_MAX; i++)
        buf_string(&text, i ? ",{}" : "[{}");
    buf_string(&text, "]");
    assert_int_equal(body_parse(&b, BODY_JSON, buf_view(&text), &eb), ERR_OK);
    assert_int_equal(b.n, BODY_EVENTS_MAX);
    body_finish(&b);
    text.length--;
    buf_string(&text, ",{}]");
    assert_int_equal(body_parse(&b, BODY_JSON, buf_view(&text), &eb), ERR_FULL);
    assert_non_null(strstr(eb.text, "100000 events"));
    body_finish(&b);
    buf_clear(&text);
    for (int i = 0; i <= BODY_EVENTS_MAX; i++)
        buf_string(&text, "{}\n");
    assert_int_equal(body_parse(&b, BODY_NDJSON, buf_view(&text), &eb), ERR_FULL);
    body_finish(&b);
    buf_finish(&text);
}

static void
a_body_that_is_too_long_is_read_to_its_end(void **state)
{
    struct record_reader r = {.request_id = 1};
    struct buf stream, body;

    (void)state;
    put_body(&stream);
    buf_init(&body, 10);
    assert_int_equal(read_piece(&r, buf_view(&stream), &body), RECORD_END);
    assert_true(buf_failed(&body));
    buf_finish(&body);
    buf_finish(&stream);
}

/* ---- forms ---- */

static void
pairs_are_split_and_decoded(void **state)
{
    struct text rest = TEXT_LIT("&a=1&&b&=c&d=e=f&"), name, value;
    char *decoded;
    size_t n;

    (void)state;
    assert_true(form_next(&rest, &name, &value));
    assert_true(text_equal(name, TEXT_LIT("a")) && text_equal(value, TEXT_LIT("1")));
    assert_true(form_next(&rest, &name, &value));
    assert_true(text_equal(name, TEXT_LIT("b")) && text_equal(value, TEXT_LIT("")));
    assert_true(form_next(&rest, &name, &value));
    assert_true(text_equal(name, TEXT_LIT("")) && text_equal(value, TEXT_LIT("c")));
    assert_true(form_next(&rest, &name, &value));
    assert_true(text_equal(name, TEXT_LIT("d")) && text_equal(value, TEXT_LIT("e=f")));
    assert_false(form_next(&rest, &name, &value));
    assert_int_equal(form_decode(TEXT_LIT("a+b%20%2B%c3%A9"), true, &decoded, &n, NULL), ERR_OK);
    assert_string_equal(decoded, "a b +\xc3\xa9");
    assert_int_equal(n, 7);
    mem_free(decoded);
    assert_int_equal(form_decode(TEXT_LIT("a+b"), false, &decoded, &n, NULL), ERR_OK);
    assert_string_equal(decoded, "a+b");
    mem_free(decoded);
}

/* ---- events ---- */

struct row {
    enum body_format format;
    struct text body;
    const char *events; /* "topic|type|data|key" for each, ';' between; '-' = absent */
};

static void
put_member(struct buf *b, struct text member, char after)
{
    buf_text(b, member.p ? member : TEXT_LIT("-"));
    buf_byte(b, after);
}

static void
what_is_posted_becomes_events(void **state)
{
    static const struct row rows[] = {
        {BODY_JSON, TEXT_LIT("{\"topic\":\"a\",\"data\":\"x\"}"), "a|-|x|-;"},
        {BODY_JSON, TEXT_LIT(" [{\"topic\":\"a\",\"data\":1},{\"data\":null}] "),
         "a|-|1|-;-|-|null|-;"},
        {BODY_JSON,
         TEXT_LIT("{\"topic\":\"a\",\"type\":\"t\",\"key\":\"k\",\"data\":{ \"b\" : [ 1 ]}}"),
         "a|t|{\"b\":[1]}|k;"},
        {BODY_JSON, TEXT_LIT("{\"topic\":7,\"type\":null,\"key\":8,\"data\":\"\",\"more\":[]}"),
         "7|-||8;"},
        {BODY_JSON, TEXT_LIT("{\"topic\":\"caf\\u00e9\",\"data\":\"a\\nb\\u20ac\"}"),
         "caf\xc3\xa9|-|a\nb\xe2\x82\xac|-;"},
        {BODY_JSON,
         TEXT_LIT("[{\"topic\":\"a\",\"data\":12345678901234567890},"
                  "{\"topic\":1E5,\"key\":18446744073709551617,\"data\":{ \"a\":1e400, \"a\":2 }},"
                  "{\"topic\":\"t\",\"topic\\u0000x\":\"u\",\"data\":[ \"\\ud800 \\u0000\" ]}]"),
         "a|-|12345678901234567890|-;1E5|-|{\"a\":1e400,\"a\":2}|18446744073709551617;"
         "t|-|[\"\\ud800 \\u0000\"]|-;"},
        {BODY_NDJSON, TEXT_LIT("{\"topic\":\"a\",\"data\":1}\n{\"topic\":\"b\",\"data\":2}"),
         "a|-|1|-;b|-|2|-;"},
        {BODY_NDJSON, TEXT_LIT("\r\n{\"topic\":\"a\",\"data\":1}\r\n \t\n\n"), "a|-|1|-;"},
        {BODY_FORM, TEXT_LIT("topic=a&data=x+y%0Az"), "a|-|x y\nz|-;"},
        {BODY_FORM, TEXT_LIT("key=k&type=t&topic=a&data=&other=1"), "a|t||k;"},
        {BODY_FORM, TEXT_LIT("topic=a&topic=b&data=1"), "b|-|1|-;"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct body body;
        struct buf b;
        struct errbuf eb = {""};

        buf_init(&b, STREAM_MAX);
        if (body_parse(&body, rows[i].format, rows[i].body, &eb) != ERR_OK)
            fail_msg("row %zu: %s", i, eb.text);
        for (size_t k = 0; k < body.n; k++) {
            put_member(&b, body.events[k].topic, '|');
            put_member(&b, body.events[k].type, '|');
            put_member(&b, body.events[k].data, '|');
            put_member(&b, body.events[k].key, ';');
        }
        buf_byte(&b, '\0');
        assert_string_equal(b.data, rows[i].events);
        buf_finish(&b);
        body_finish(&body);
    }
}

static void
what_is_no_event_is_the_requests_fault(void **state)
{
    static const struct row rows[] = {
        {BODY_JSON, TEXT_LIT(""), ""},
        {BODY_JSON, TEXT_LIT(" "), ""},
        {BODY_JSON, TEXT_LIT("[]"), "no event"},
        {BODY_JSON, TEXT_LIT("5"), ""},
        {BODY_JSON, TEXT_LIT("-1.5e3"), ""},
        {BODY_JSON, TEXT_LIT("true"), ""},
        {BODY_JSON, TEXT_LIT("null"), ""},
        {BODY_JSON, TEXT_LIT("\"text\""), ""},
        {BODY_JSON, TEXT_LIT("[[]]"), "event 1"},
        {BODY_JSON, TEXT_LIT("[{\"topic\":\"a\",\"data\":1},7]"), "event 2"},
        {BODY_JSON, TEXT_LIT("{\"topic\":\"a\",\"data\":1"), ""},
        {BODY_JSON, TEXT_LIT("{\"topic\":\"a\",\"data\":1}}"), ""},
        {BODY_JSON, TEXT_LIT("{\"topic\":\"a\",\"data\":1} {}"), ""},
        {BODY_JSON, TEXT_LIT("{'topic':'a'}"), ""},
        {BODY_JSON, TEXT_LIT("{\"topic\":[\"a\"],\"data\":1}"), "topic"},
        {BODY_JSON, TEXT_LIT("{\"topic\":\"a\",\"data\":\"\xff\"}"), "UTF-8"},
        {BODY_JSON, TEXT_LIT("{\"topic\":\"a\",\"key\":\"k\\ud83d\",\"data\":1}"), "key has half"},
        {BODY_JSON, TEXT_LIT("[{\"data\":1},{\"data\":\"\\udc00\"}]"), "event 2: data has half"},
        {BODY_NDJSON, TEXT_LIT(""), "no event"},
        {BODY_NDJSON, TEXT_LIT("\n\n"), "no event"},
        {BODY_NDJSON, TEXT_LIT("{\"topic\":\"a\",\"data\":1}\nnonsense"), "line 2"},
        {BODY_NDJSON, TEXT_LIT("{\"topic\":\"a\",\"data\":1}\n7\n"), "line 2"},
        {BODY_NDJSON, TEXT_LIT("\0\n{\"topic\":\"a\",\"data\":1}"), "line 1"},
        {BODY_FORM, TEXT_LIT("topic=%zz"), "malformed"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct body body;
        struct errbuf eb = {""};
        enum err err = body_parse(&body, rows[i].format, rows[i].body, &eb);

        if (err != ERR_INVALID || !eb.text[0] || !strstr(eb.text, rows[i].events))
            fail_msg("row %zu (%.*s): %d \"%s\"", i, (int)rows[i].body.n, rows[i].body.p, err,
                     eb.text);
        body_finish(&body);
    }
}

static void
a_body_survives_a_failure_at_every_allocation(void **state)
{
    static const struct row rows[] = {
        {BODY_JSON, TEXT_LIT("[{\"topic\":\"a\",\"data\":1},{\"topic\":\"b\",\"data\":[]}]"), ""},
        {BODY_NDJSON, TEXT_LIT("{\"topic\":\"a\",\"data\":1}\n{\"topic\":\"b\",\"data\":[]}"), ""},
        {BODY_FORM, TEXT_LIT("topic=a&data=1&key=2"), ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum err err = ERR_NOMEM;

        for (long n = 1; err != ERR_OK; n++) {
            struct body body;
            struct errbuf eb = {""};

            assert_true(n < 50);
            mem_fail_at(n);
            err = body_parse(&body, rows[i].format, rows[i].body, &eb);
            mem_fail_at(0);
            if (err != ERR_OK)
                assert_int_equal(err, ERR_NOMEM);
            body_finish(&body);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_in_pieces_of_any_size_is_put_together),
        cmocka_unit_test(a_body_that_nobody_wants_is_passed_over),
        cmocka_unit_test(nothing_but_an_abort_follows_a_body),
        cmocka_unit_test(what_belongs_to_another_request_is_invalid),
        cmocka_unit_test(more_events_than_a_transaction_should_have_are_too_many),
        cmocka_unit_test(a_body_that_is_too_long_is_read_to_its_end),
        cmocka_unit_test(pairs_are_split_and_decoded),
        cmocka_unit_test(what_is_posted_becomes_events),
        cmocka_unit_test(what_is_no_event_is_the_requests_fault),
        cmocka_unit_test(a_body_survives_a_failure_at_every_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
