/* ingest: the parts that need no database: items, events, batches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "ingest/batch.h"
#include "ingest/bookmark.h"
#include "ingest/decode.h"
#include "ingest/queue.h"
#include "ingest/console.h"
#include "ingest/rotation.h"
#include "ingest/source.h"
#include "ingest/split.h"

enum { OUT_MAX = 64 * 1024 };

/* ---- split ---- */

static void
put_item(struct buf *out, const struct split *s, const struct split_item *item)
{
    static const char marks[] = {'=', '+', '!', '0'};

    buf_int(out, item->line);
    buf_byte(out, marks[item->kind]);
    buf_text(out, item->kind == SPLIT_WHOLE ? item->data : TEXT_LIT("…"));
    buf_format(out, "@%lld%s;", (long long)split_offset(s), item->open ? "?" : "");
}

static void
split_all(enum format format, size_t event_max, struct text input, size_t step, struct buf *out)
{
    struct split s;
    struct split_item item;

    split_init(&s, format, event_max);
    buf_clear(out);
    while (input.n) {
        size_t room, n = step < input.n ? step : input.n;
        char *space = split_space(&s, &room);

        assert_true(space && room >= n);
        memcpy(space, input.p, n);
        split_fill(&s, n);
        input = (struct text){input.p + n, input.n - n};
        while (split_next(&s, &item))
            put_item(out, &s, &item);
    }
    if (split_last(&s, &item))
        put_item(out, &s, &item);
    split_finish(&s);
}

static void
lines_are_cut_alike_in_pieces_of_any_size(void **state)
{
    static const struct {
        struct text input;
        const char *items;
    } table[] = {
        {TEXT_LIT("a\nb\n"), "1=a@2;2=b@4;"},
        {TEXT_LIT("a\r\n\nb"), "1=a@3;2=@4;3=b@5?;"},
        {TEXT_LIT("\n"), "1=@1;"},
        {TEXT_LIT("\r"), "1=@1?;"},
        {TEXT_LIT("a\rb\n"), "1=a\rb@4;"},
        {TEXT_LIT("\xef\xbb\xbfx\n\xef\xbb\xbfy\n"), "1=x@5;2=\xef\xbb\xbfy@10;"},
        {TEXT_LIT("12345678\nx\n"), "1=12345678@9;2=x@11;"},
    };
    struct buf out;

    (void)state;
    buf_init(&out, OUT_MAX);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (size_t step = 1; step <= table[i].input.n; step++) {
            split_all(FORMAT_LINES, 8, table[i].input, step, &out);
            if (!text_equal(buf_view(&out), text_of(table[i].items)))
                fail_msg("row %zu in steps of %zu: %.*s", i, step, (int)out.length, out.data);
        }
    buf_finish(&out);
}

/* The bytes of holes that stand one after another count together: how many items they are depends
 * on the pieces. */
static void
split_holes(enum format format, struct text input, size_t step, struct buf *out)
{
    struct split s;
    struct split_item item;
    size_t hole = 0;

    split_init(&s, format, 100);
    split_skip_holes(&s);
    buf_clear(out);
    while (input.n) {
        size_t room, n = step < input.n ? step : input.n;

        memcpy(split_space(&s, &room), input.p, n);
        split_fill(&s, n);
        input = (struct text){input.p + n, input.n - n};
        while (split_next(&s, &item)) {
            hole += item.kind == SPLIT_HOLE ? item.data.n : 0;
            if (item.kind == SPLIT_HOLE)
                continue;
            buf_format(out, hole ? "0x%zu;" : "", hole);
            hole = 0;
            put_item(out, &s, &item);
        }
    }
    split_finish(&s);
}

static void
holes_in_a_file_are_no_part_of_a_line(void **state)
{
    static const struct {
        enum format format;
        struct text input;
        const char *items;
    } table[] = {
        {FORMAT_LINES, TEXT_LIT("\0\0\0\0\0\0\0a\nb\n"), "0x7;1=a@9;2=b@11;"},
        {FORMAT_LINES, TEXT_LIT("a\n\0\0\0\0\0b\n\0\0\0\0\nc\n"),
         "1=a@2;0x5;2=b@9;0x4;3=@14;4=c@16;"},
        {FORMAT_SSE, TEXT_LIT("\0\0\0\0\0\0data: a\n\n\0\0\0\0\0data: b\n\n"),
         "0x6;1=a@15;0x5;3=b@29;"},
        {FORMAT_SSE, TEXT_LIT(":\n\nx\n\0\0\0\0\0data: b\ndata: \n\0\0\0\0\n\n"), "0x5;4=b\n@31;"},
    };
    struct buf out;

    (void)state;
    buf_init(&out, OUT_MAX);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (size_t step = 4; step <= table[i].input.n; step++) {
            split_holes(table[i].format, table[i].input, step, &out);
            if (!text_equal(buf_view(&out), text_of(table[i].items)))
                fail_msg("row %zu in steps of %zu: %.*s", i, step, (int)out.length, out.data);
        }
    /* In UTF-16 each second byte is NUL. */
    split_holes(FORMAT_LINES, TEXT_LIT("a\0\n\0b\0\n\0"), 100, &out);
    assert_int_equal(memchr(out.data, '0', 1), 0);
    buf_finish(&out);
}

static void
a_line_that_is_too_long_is_told_once_and_takes_bounded_memory(void **state)
{
    struct split s;
    struct split_item item;
    size_t room, too_long = 0, bytes = 0;

    (void)state;
    split_init(&s, FORMAT_LINES, 1000);
    for (int i = 0; i < 1000; i++) { /* 256 MB in one line */
        char *space = split_space(&s, &room);

        assert_non_null(space);
        memset(space, 'x', room);
        if (i == 999)
            memcpy(space + room - 3, "\ny\n", 3);
        split_fill(&s, room);
        while (split_next(&s, &item)) {
            bytes += item.kind == SPLIT_WHOLE ? 0 : item.data.n;
            too_long += item.kind == SPLIT_TOO_LONG;
        }
    }
    assert_true(s.input.capacity <= 1000 + 2 * SPLIT_READ_BYTES);
    assert_int_equal(too_long, 1);
    assert_int_equal(bytes, 1000 * (size_t)SPLIT_READ_BYTES - 3);
    assert_true(item.kind == SPLIT_WHOLE && item.line == 2 && item.data.p[0] == 'y');
    split_finish(&s);
}

static void
messages_end_where_a_restart_may_begin(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, OUT_MAX);
    split_all(FORMAT_SSE, 8, TEXT_LIT("data: a\n\n: c\n\ndata: b\ndata: c\n\ndata: cut"), 3, &out);
    assert_true(text_equal(buf_view(&out), TEXT_LIT("1=a@9;5=b\nc@31;")));
    buf_finish(&out);
}

/* ---- decode ---- */

/* topic/type/key=data; "-" for nothing, "?reason" for a reject. */
struct row {
    struct settings settings;
    struct text line;
    const char *event;
};

#define WIKI .topic_from = "/wiki", .type_from = "/type", .key_from = "/meta/id"
static const struct row rows[] = {
    /* the members of an event */
    {{0}, TEXT_LIT("{\"topic\":\"a\",\"data\":\"x\"}"), "a//=x"},
    {{0},
     TEXT_LIT("{\"topic\":\"a\",\"type\":\"t\",\"key\":\"k\",\"data\":{\"n\": 1}}"),
     "a/t/k={\"n\":1}"},
    {{0}, TEXT_LIT("{\"topic\":\"a\",\"data\":\"\\u00e9\\n\"}"), "a//=é\n"},
    {{0}, TEXT_LIT("{\"topic\":\"a\",\"data\":[1.0, 2e3, -0.10]}"), "a//=[1.0,2e3,-0.10]"},
    {{0}, TEXT_LIT("{\"topic\":\"a\",\"type\":null,\"key\":null,\"data\":null}"), "a//=null"},
    {{0}, TEXT_LIT("{\"topic\":5,\"data\":\"\"}"), "5//="},
    {{.topic = "d", .type = "u"}, TEXT_LIT("{\"data\":1}"), "d/u/=1"},
    {{.topic = "d", .type = "u"},
     TEXT_LIT("{\"topic\":\"a\",\"type\":\"t\",\"data\":1}"),
     "a/t/=1"},
    {{0}, TEXT_LIT("  "), "-"},
    /* the whole line is the data */
    {{.topic = "d"},
     TEXT_LIT(" {\"a\": 1, \"topic\":\"x\"} "),
     "d//= {\"a\": 1, \"topic\":\"x\"} "},
    {{0}, TEXT_LIT("{\"topic\":\"a\"}"), "?no member \"data\""},
    {{WIKI},
     TEXT_LIT("{\"wiki\":\"en\",\"type\":\"edit\",\"meta\":{\"id\":\"i\"},\"n\": 1}"),
     "en/edit/i={\"wiki\":\"en\",\"type\":\"edit\",\"meta\":{\"id\":\"i\"},\"n\": 1}"},
    {{WIKI},
     TEXT_LIT("{\"wiki\":7,\"meta\":{\"id\":123}}"),
     "7//123={\"wiki\":7,\"meta\":{\"id\":123}}"},
    {{WIKI}, TEXT_LIT("{\"type\":\"edit\"}"), "?no topic: there is nothing at /wiki"},
    {{WIKI, .topic = "d"}, TEXT_LIT("{\"type\":\"edit\"}"), "d/edit/={\"type\":\"edit\"}"},
    {{WIKI}, TEXT_LIT("{\"wiki\":null}"), "?topic is null"},
    {{WIKI}, TEXT_LIT("{\"wiki\":[1]}"), "?topic is an array"},
    {{WIKI}, TEXT_LIT("{\"wiki\":\"a\",\"meta\":{\"id\":{}}}"), "?key is an object"},
    {{.topic_from = "/a~1b/1", .data_from = "/d"},
     TEXT_LIT("{\"a/b\":[0,\"t\"],\"d\":\"x\"}"),
     "t//=x"},
    {{.topic = "d", .data_from = "/d"}, TEXT_LIT("{\"d\": {\"n\": [1, 2]}}"), "d//={\"n\":[1,2]}"},
    {{.topic = "d", .data_from = "/d"}, TEXT_LIT("{}"), "?data: there is nothing at /d"},
    {{.topic_from = "/0"}, TEXT_LIT("[\"t\"]"), "t//=[\"t\"]"},
    /* what comes out is what went in */
    {{0},
     TEXT_LIT("{\"topic\":\"a\",\"data\":[ 12345678901234567890123, 1E400 ]}"),
     "a//=[12345678901234567890123,1E400]"},
    {{0},
     TEXT_LIT("{\"topic\":\"t\",\"data\":{\"foo\\u0000bar\":42, \"x\":1,\"x\":\"\\ud800\"}}"),
     "t//={\"foo\\u0000bar\":42,\"x\":1,\"x\":\"\\ud800\"}"},
    {{0}, TEXT_LIT("{\"topic\":\"t\",\"topic\\u0000x\":\"u\",\"data\":1}"), "t//=1"},
    {{0}, TEXT_LIT("{\"topic\":\"t\",\"data\":1,\"topic\":\"u\",\"data\":2}"), "u//=2"},
    {{0}, TEXT_LIT("{\"topic\":1E5,\"key\":-0,\"data\":1}"), "1E5//-0=1"},
    {{.topic = "d"},
     TEXT_LIT("{\"n\":12345678901234567890123}"),
     "d//={\"n\":12345678901234567890123}"},
    {{.topic_from = "/id", .key_from = "/id"},
     TEXT_LIT("{\"id\":18446744073709551617}"),
     "18446744073709551617//18446744073709551617={\"id\":18446744073709551617}"},
    {{.topic = "d", .key_from = "/id"}, TEXT_LIT("{\"id\\u0000a\":1}"), "d//={\"id\\u0000a\":1}"},
    {{.topic = "d", .key_from = "/id"},
     TEXT_LIT("{\"id\":\"k\\ud83d\"}"),
     "?key has half a surrog"},
    {{.topic_from = "/id"}, TEXT_LIT("{\"id\":\"a\\u0000b\"}"), "?topic has the control"},
    {{.topic = "d", .data_from = "/u"},
     TEXT_LIT("{\"u\": {\"id\": 12345678901234567890}}"),
     "d//={\"id\":12345678901234567890}"},
    {{.topic = "d", .data_from = "/u"}, TEXT_LIT("{\"u\":\"\\ud800\"}"), "?data has half a surrog"},
    /* several pointers to one place */
    {{.topic_from = "/a", .type_from = "/a", .key_from = "/a", .data_from = ""},
     TEXT_LIT("{\"a\": \"\\u00e9\"}"),
     "\xc3\xa9/\xc3\xa9/\xc3\xa9={\"a\":\"\\u00e9\"}"},
    /* any JSON value may be a line */
    {{.topic = "d", .key_from = "/id"}, TEXT_LIT("5"), "d//=5"},
    {{.topic_from = ""}, TEXT_LIT(" \"t\" "), "t//= \"t\" "},
    {{.topic = "d", .data_from = ""}, TEXT_LIT(" null "), "d//=null"},
    /* what breaks a rule */
    {{0}, TEXT_LIT("{\"topic\":\"a\",\"data\":1"), "?not JSON"},
    {{0}, TEXT_LIT("{'topic':'a','data':1}"), "?not JSON"},
    {{0}, TEXT_LIT("{\"topic\":\"a\",\"data\":NaN}"), "?not JSON"},
    {{0}, TEXT_LIT("[1]"), "?not a JSON object"},
    {{0}, TEXT_LIT("5"), "?not a JSON object"},
    {{.topic = "d"}, TEXT_LIT("5"), "?not a JSON object"},
    {{0}, TEXT_LIT("{\"topic\":\"a\",\"data\":\"\xff\"}"), "?not well-formed UTF-8"},
    {{0}, TEXT_LIT("{\"topic\":\"\",\"data\":1}"), "?topic has 0 bytes"},
    {{0}, TEXT_LIT("{\"topic\":\"a\\n\",\"data\":1}"), "?topic has the control character"},
    {{0}, TEXT_LIT("{\"topic\":\"a\",\"data\":\"\\u0000\"}"), "?data has a NUL byte"},
    {{0}, TEXT_LIT("{\"topic\":\"a\",\"type\":\"freshet:live\",\"data\":1}"), "?type begins with"},
    {{.event_max = 3}, TEXT_LIT("{\"topic\":\"a\",\"data\":\"abcd\"}"), "?data has 4 bytes"},
    /* lines */
    {{.format = FORMAT_LINES, .topic = "d", .type = "u"}, TEXT_LIT("x y"), "d/u/=x y"},
    {{.format = FORMAT_LINES, .topic = "d"}, TEXT_LIT(""), "d//="},
    {{.format = FORMAT_LINES, .topic = "d"}, TEXT_LIT("\xff"), "?data is not well-formed"},
};

static void
check_row(const struct row *row, const struct split_item *item, struct buf *out)
{
    struct settings settings = row->settings;
    struct decode *d;
    struct event e;
    struct errbuf why;

    if (!settings.event_max)
        settings.event_max = EVENT_DATA_MAX;
    d = decode_create(&settings);
    buf_clear(out);
    switch (decode_item(d, item, &e, &why)) {
    case DECODE_EVENT:
        buf_text(out, e.topic);
        buf_byte(out, '/');
        buf_text(out, e.type);
        buf_byte(out, '/');
        buf_text(out, e.key);
        buf_byte(out, '=');
        buf_text(out, e.data);
        break;
    case DECODE_NOTHING:
        buf_byte(out, '-');
        break;
    case DECODE_SIGNAL:
        buf_string(out, "signal");
        break;
    case DECODE_FAILED:
        fail_msg("%s", why.text);
        break;
    case DECODE_REJECT:
        buf_byte(out, '?');
        buf_string(out, why.text);
        break;
    }
    if (!text_starts(buf_view(out), text_of(row->event)) ||
        (row->event[0] != '?' && out->length != strlen(row->event)))
        fail_msg("%.*s: %.*s", (int)item->data.n, item->data.p, (int)out->length, out->data);
    decode_destroy(d);
}

static void
items_become_events_or_reasons(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, OUT_MAX);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct split_item item = {.data = rows[i].line, .line = 1};

        check_row(&rows[i], &item, &out);
    }
    buf_finish(&out);
}

/* Else it would be lost without --rejects. */
static void
a_line_for_which_there_is_no_memory_is_not_rejected(void **state)
{
    struct settings settings = {.event_max = 1000};
    struct split_item item = {.data = TEXT_LIT("{\"topic\":\"a\",\"data\":[ 1 ]}"), .line = 1};
    struct decode *d = decode_create(&settings);
    struct event e;
    struct errbuf why;

    (void)state;
    mem_fail_at(1);
    assert_int_equal(decode_item(d, &item, &e, &why), DECODE_FAILED);
    mem_fail_at(0);
    assert_int_equal(decode_item(d, &item, &e, &why), DECODE_EVENT);
    assert_true(text_equal(e.data, TEXT_LIT("[1]")));
    decode_destroy(d);
}

static void
messages_become_events(void **state)
{
    static const struct {
        struct row row;
        struct text type, id;
    } table[] = {
        {{{.topic = "d"}, TEXT_LIT("x"), "d//=x"}, {0}, {0}},
        {{{.topic = "d"}, TEXT_LIT("x"), "d/t/=x"}, TEXT_LIT("t"), TEXT_LIT("1")},
        {{{.topic = "d", .type = "u"}, TEXT_LIT("x"), "d/u/=x"}, TEXT_LIT("message"), {0}},
        {{{.topic = "d", .key_id = true}, TEXT_LIT("x"), "d//1=x"}, {0}, TEXT_LIT("1")},
        {{{.topic = "d", .key_id = true}, TEXT_LIT("x"), "d//=x"}, {0}, {0}},
        {{{.topic = "d"}, TEXT_LIT("{}"), "signal"}, TEXT_LIT("freshet:live"), {0}},
        {{{WIKI}, TEXT_LIT("{\"wiki\":\"en\"}"), "en/t/={\"wiki\":\"en\"}"}, TEXT_LIT("t"), {0}},
        {{{WIKI}, TEXT_LIT("x"), "?not JSON"}, TEXT_LIT("t"), {0}},
    };
    struct buf out;

    (void)state;
    buf_init(&out, OUT_MAX);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct row row = table[i].row;
        struct split_item item = {.data = row.line, .type = table[i].type, .id = table[i].id};

        row.settings.format = FORMAT_SSE;
        check_row(&row, &item, &out);
    }
    buf_finish(&out);
}

/* ---- batch ---- */

static void
a_batch_gives_back_what_was_added(void **state)
{
    const struct event in[] = {
        {.topic = TEXT_LIT("a"), .data = TEXT_LIT("")},
        {.topic = TEXT_LIT("b"),
         .type = TEXT_LIT("t"),
         .data = TEXT_LIT("x"),
         .key = TEXT_LIT("k")},
        {.topic = TEXT_LIT("c"), .data = TEXT_LIT("y"), .key = TEXT_LIT("l")},
    };
    struct batch b;
    struct event e;

    (void)state;
    assert_int_equal(batch_init(&b, 3, 100), ERR_OK);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 3; i++) {
            assert_false(batch_full(&b));
            mem_fail_at(round == 0 && i == 0);
            assert_int_equal(batch_add(&b, &in[i]), round == 0 && i == 0 ? ERR_NOMEM : ERR_OK);
            mem_fail_at(0);
            if (round == 0 && i == 0)
                assert_int_equal(batch_add(&b, &in[i]), ERR_OK);
        }
        assert_true(batch_full(&b));
        for (size_t i = 0; i < 3; i++) {
            batch_get(&b, i, &e);
            assert_true(text_equal(e.topic, in[i].topic) && text_equal(e.type, in[i].type) &&
                        text_equal(e.data, in[i].data) && text_equal(e.key, in[i].key));
        }
        batch_clear(&b);
    }
    batch_finish(&b);
}

/* ---- console ---- */

static void
sizes_read_well(void **state)
{
    char text[CONSOLE_SIZE_MAX];

    (void)state;
    assert_string_equal(console_size(text, 999), "999 bytes");
    assert_string_equal(console_size(text, 1500), "1.5 KB");
    assert_string_equal(console_size(text, 2000000000000000), "2000.0 TB");
}

/* ---- memory ---- */

static enum err
open_everything(void)
{
    struct settings settings = {.event_max = 1000};
    struct decode *decode = decode_create(&settings);
    struct queue *queue = NULL;
    struct rotation files = {0};
    struct source *source = NULL;
    struct bookmark bookmark = {0};
    struct errbuf eb;
    enum err err = decode ? ERR_OK : ERR_NOMEM;

    if (err == ERR_OK)
        err = queue_create(&queue, 10, 1000, &eb);
    if (err == ERR_OK)
        err = rotation_list(&files, "nowhere/log", &eb);
    if (err == ERR_OK)
        err = source_open(&source, "nowhere/log", true, 0, NULL, &eb);
    if (err == ERR_OK)
        err = bookmark_read(&bookmark, "{\"id\":\"5\"}", &eb);
    bookmark_finish(&bookmark);
    source_close(source);
    rotation_finish(&files);
    queue_destroy(queue);
    decode_destroy(decode);
    return err;
}

static void
opening_survives_a_failure_at_every_allocation(void **state)
{
    enum err err = ERR_NOMEM;

    (void)state;
    for (long n = 1; err != ERR_OK; n++) {
        mem_fail_at(n);
        err = open_everything();
        assert_true(n < 100);
    }
    assert_true(mem_count() > 5);
    mem_fail_at(0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_cut_alike_in_pieces_of_any_size),
        cmocka_unit_test(holes_in_a_file_are_no_part_of_a_line),
        cmocka_unit_test(a_line_that_is_too_long_is_told_once_and_takes_bounded_memory),
        cmocka_unit_test(messages_end_where_a_restart_may_begin),
        cmocka_unit_test(items_become_events_or_reasons),
        cmocka_unit_test(a_line_for_which_there_is_no_memory_is_not_rejected),
        cmocka_unit_test(messages_become_events),
        cmocka_unit_test(a_batch_gives_back_what_was_added),
        cmocka_unit_test(sizes_read_well),
        cmocka_unit_test(opening_survives_a_failure_at_every_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
