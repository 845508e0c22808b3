/* sse_decode: what a browser would dispatch, whatever the pieces the bytes come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "stream/sse.h"
#include "stream/sse_decode.h"
#include "stream/dialect.h"

static const struct dialect plain = {DIALECT_PLAIN, "k3f9"};

enum { DATA_MAX = 64, OUT_MAX = 4096 };

/* A stream, and its messages as "line/type/id=data;" ("!" for a broken one). */
struct row {
    const char *story;
    struct text stream;
    const char *messages;
};

static const struct row table[] = {
    {"one message", TEXT_LIT("data: x\n\n"), "1//=x;"},
    {"without the blank", TEXT_LIT("data:x\n\n"), "1//=x;"},
    {"only one blank is dropped", TEXT_LIT("data:  x\n\n"), "1//= x;"},
    {"data lines are joined", TEXT_LIT("data: a\ndata: b\n\n"), "1//=a\nb;"},
    {"CRLF", TEXT_LIT("data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n"), "1//=a\nb;4//=c;"},
    {"CR", TEXT_LIT("data: a\rdata: b\r\rdata: c\r\r"), "1//=a\nb;4//=c;"},
    {"all three", TEXT_LIT("data: a\rdata: b\ndata: c\r\n\n"), "1//=a\nb\nc;"},
    {"type and id", TEXT_LIT("event: t\nid: 7\ndata: x\n\n"), "1/t/7=x;"},
    {"the last type counts", TEXT_LIT("event: t\nevent: u\ndata: x\n\n"), "1/u/=x;"},
    {"an empty type is none", TEXT_LIT("event: t\nevent\ndata: x\n\n"), "1//=x;"},
    {"a type does not outlive its block", TEXT_LIT("event: t\n\ndata: x\n\n"), "3//=x;"},
    {"an id belongs to its block", TEXT_LIT("id: 1\ndata: a\n\ndata: b\n\n"), "1//1=a;4//=b;"},
    {"an id with NUL is ignored", TEXT_LIT("id: 1\0\ndata: a\n\n"), "1//=a;"},
    {"an id with NUL leaves the one before", TEXT_LIT("id: 1\nid: 2\0\ndata: a\n\n"), "1//1=a;"},
    {"an empty id is one", TEXT_LIT("id\ndata: a\n\n"), "1//=a;"},
    {"comments", TEXT_LIT(": hello\n:\ndata: x\n: y\n\n:\n\n"), "3//=x;"},
    {"how freshet begins", TEXT_LIT("retry: 5\n: freshet\nid: 1\ndata: x\n\n:\n:\ndata: y\n\n"),
     "3//1=x;8//=y;"},
    {"unknown fields", TEXT_LIT("retry: 5\nDATA: y\ndata2: z\ndatabases: q\n\ndata: x\n\n"),
     "6//=x;"},
    {"a field without colon", TEXT_LIT("data\n\n"), "1//=;"},
    {"two of them", TEXT_LIT("data\ndata\n\n"), "1//=\n;"},
    {"a colon in the value", TEXT_LIT("data: a: b\n\n"), "1//=a: b;"},
    {"blank before the name", TEXT_LIT(" data: a\n\n"), ""},
    {"no data, no message", TEXT_LIT("event: t\nid: 1\n\n"), ""},
    {"blank lines alone", TEXT_LIT("\n\n\r\r\n\n"), ""},
    {"cut in the middle", TEXT_LIT("data: x\n\ndata: y\n"), "1//=x;"},
    {"byte order mark",
     TEXT_LIT("\xef\xbb\xbf"
              "data: x\n\n"),
     "1//=x;"},
    {"half a mark spoils the name",
     TEXT_LIT("\xef\xbb"
              "data: x\n\n"),
     ""},
    {"half a mark alone", TEXT_LIT("\xef\xbb\ndata: x\n\n"), "2//=x;"},
    {"a second mark is no mark",
     TEXT_LIT("\xef\xbb\xbf\xef\xbb\xbf"
              "data: x\n\n"),
     ""},
    {"data may have NUL", TEXT_LIT("data: a\0b\n\n"), NULL},
    {"data that just fits",
     TEXT_LIT("data: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n\n"),
     "1//=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef;"},
    {"data that does not fit, then more",
     TEXT_LIT("data: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef!\n"
              "data: y\n\ndata: x\n\n"),
     "1!4//=x;"},
};

static void
put(struct buf *out, const struct sse_message *m)
{
    buf_int(out, m->line);
    if (m->broken) {
        buf_byte(out, '!');
        return;
    }
    buf_byte(out, '/');
    buf_text(out, m->type);
    buf_byte(out, '/');
    buf_text(out, m->id);
    buf_byte(out, '=');
    buf_text(out, m->data);
    buf_byte(out, ';');
}

/* Decodes the stream in pieces of `step` bytes. */
static void
decode(struct text stream, size_t step, struct buf *out)
{
    struct sse_decode d;

    sse_decode_init(&d, DATA_MAX);
    buf_clear(out);
    while (stream.n) {
        size_t n = step < stream.n ? step : stream.n;
        struct text piece = {stream.p, n};
        struct sse_message m;

        while (sse_decode_next(&d, &piece, &m))
            put(out, &m);
        assert_int_equal(piece.n, 0);
        stream = (struct text){stream.p + n, stream.n - n};
    }
    sse_decode_finish(&d);
}

static void
streams_give_what_a_browser_dispatches_in_pieces_of_any_size(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, OUT_MAX);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (size_t step = 1; step <= table[i].stream.n; step++) {
            decode(table[i].stream, step, &out);
            if (!table[i].messages)
                assert_true(text_equal(buf_view(&out), TEXT_LIT("1//=a\0b;")));
            else if (!text_equal(buf_view(&out), text_of(table[i].messages)))
                fail_msg("%s, in steps of %zu: \"%.*s\"", table[i].story, step, (int)out.length,
                         out.data ? out.data : "");
        }
    buf_finish(&out);
}

static void
what_the_encoder_writes_comes_back(void **state)
{
    static const char bytes[] = "a\n\r:é ";
    struct buf wire, out, expected;

    (void)state;
    buf_init(&wire, OUT_MAX);
    buf_init(&out, OUT_MAX);
    buf_init(&expected, OUT_MAX);
    for (unsigned n = 0; n < 4096; n++) { /* all data of four of these bytes, and shorter */
        char data[4];
        size_t length = 0;
        struct event e = {.id = n + 1, .topic = TEXT_LIT("t"), .type = TEXT_LIT("type")};

        for (unsigned rest = n; rest; rest /= 8)
            data[length++] = bytes[rest % 8 % (sizeof bytes - 1)];
        e.data = (struct text){data, length};
        buf_clear(&wire);
        buf_clear(&expected);
        sse_comment(&wire, TEXT_LIT("x"));
        dialect_event(&plain, &wire, &e);
        buf_format(&expected, "2/type/%u-k3f9=", n + 1);
        for (size_t i = 0; i < length; i++) { /* the format turns CR and CRLF into LF */
            if (data[i] == '\r' && i + 1 < length && data[i + 1] == '\n')
                continue;
            buf_byte(&expected, data[i] == '\r' ? '\n' : data[i]);
        }
        buf_byte(&expected, ';');
        decode(buf_view(&wire), 1 + n % 7, &out);
        assert_true(text_equal(buf_view(&out), buf_view(&expected)));
    }
    buf_finish(&wire);
    buf_finish(&out);
    buf_finish(&expected);
}

static void
the_last_id_is_what_a_browser_would_send(void **state)
{
    struct sse_decode d;
    struct sse_message m;
    struct text input = TEXT_LIT("id: 1\ndata: a\n\nid: 2\n\nid: 3\ndata: cut");

    (void)state;
    sse_decode_init(&d, DATA_MAX);
    assert_true(sse_decode_between(&d));
    assert_true(sse_decode_next(&d, &input, &m));
    assert_true(text_equal(sse_decode_last_id(&d), TEXT_LIT("1")));
    assert_true(sse_decode_between(&d));
    assert_false(sse_decode_next(&d, &input, &m));
    assert_true(text_equal(sse_decode_last_id(&d), TEXT_LIT("2")));
    assert_false(sse_decode_between(&d));
    sse_decode_restart(&d, 1);
    assert_true(sse_decode_between(&d));
    assert_true(text_equal(sse_decode_last_id(&d), TEXT_LIT("2")));
    input = TEXT_LIT("retry: 5\n: freshet\n:\n");
    assert_false(sse_decode_next(&d, &input, &m));
    assert_true(sse_decode_between(&d)); /* these belong to no block */
    sse_decode_finish(&d);
}

/* As a run that goes on in the middle of a file must read it. */
static void
a_mark_in_the_middle_is_no_mark(void **state)
{
    struct text stream = TEXT_LIT("\xef\xbb\xbf"
                                  "data: x\n\n");
    struct sse_decode d;
    struct sse_message m;

    (void)state;
    sse_decode_init(&d, DATA_MAX);
    for (int i = 0; i < 2; i++) {
        struct text input = stream;

        sse_decode_restart(&d, 1);
        assert_true(sse_decode_next(&d, &input, &m) && m.line == 1);
        input = stream;
        sse_decode_resume(&d, 7);
        assert_true(sse_decode_between(&d));
        assert_false(sse_decode_next(&d, &input, &m));
    }
    sse_decode_finish(&d);
}

static void
a_block_that_never_ends_takes_bounded_memory(void **state)
{
    struct sse_decode d;
    struct sse_message m;
    struct text input;

    (void)state;
    sse_decode_init(&d, DATA_MAX);
    for (int i = 0; i < 10000; i++) {
        input = TEXT_LIT("data: 0123456789\nid: 0123456789\nevent: 0123456789\n: 0123456789\n");
        assert_false(sse_decode_next(&d, &input, &m));
    }
    assert_true(d.data.capacity <= DATA_MAX + 1);
    input = TEXT_LIT("\n");
    assert_true(sse_decode_next(&d, &input, &m));
    assert_true(m.broken && m.line == 1 && sse_decode_line(&d) == 40002);
    sse_decode_finish(&d);
}

static void
a_failed_allocation_costs_one_message(void **state)
{
    (void)state;
    for (long n = 1; n < 20; n++) {
        struct text input = TEXT_LIT("event: t\nid: 1\ndata: a\n\nevent: t\nid: 1\ndata: a\n\n");
        struct sse_decode d;
        struct sse_message m = {0};

        sse_decode_init(&d, DATA_MAX);
        mem_fail_at(n);
        assert_true(sse_decode_next(&d, &input, &m));
        assert_true(m.broken || text_equal(m.data, TEXT_LIT("a")));
        mem_fail_at(0);
        assert_true(sse_decode_next(&d, &input, &m));
        assert_true(!m.broken && text_equal(m.data, TEXT_LIT("a")));
        sse_decode_finish(&d);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_give_what_a_browser_dispatches_in_pieces_of_any_size),
        cmocka_unit_test(what_the_encoder_writes_comes_back),
        cmocka_unit_test(the_last_id_is_what_a_browser_would_send),
        cmocka_unit_test(a_mark_in_the_middle_is_no_mark),
        cmocka_unit_test(a_block_that_never_ends_takes_bounded_memory),
        cmocka_unit_test(a_failed_allocation_costs_one_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
