/* json: what is JSON to the letter, what is in it, and one event as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "stream/event_json.h"
#include "stream/pointer.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static bool
is_json(struct text s)
{
    struct errbuf eb;

    return json_check(s, NULL, &eb) == ERR_OK;
}

static void
the_letter_of_the_rfc_decides(void **state)
{
    static const struct text good[] = {TEXT_LIT("{}"),
                                       TEXT_LIT("[]"),
                                       TEXT_LIT(" [ 1 , 2 ] "),
                                       TEXT_LIT("0"),
                                       TEXT_LIT("-0"),
                                       TEXT_LIT("1.5e+3"),
                                       TEXT_LIT("1E5"),
                                       TEXT_LIT("\"\""),
                                       TEXT_LIT("null"),
                                       TEXT_LIT("true"),
                                       TEXT_LIT("{\"a\":{\"b\":[[],{}]},\"a\":false}"),
                                       TEXT_LIT("\"\\u00e9\\\\\\/\\\"\""),
                                       TEXT_LIT("[\t1\r\n]"),
                                       TEXT_LIT("\"\x7f\""),
                                       TEXT_LIT("\"1234567\\\"9 abcdefgh\\\\\""),
                                       TEXT_LIT("\"\xf0\x9f\x90\xa6 12345678\xff\"")};
    static const struct text bad[] = {
        TEXT_LIT(""),
        TEXT_LIT(" "),
        TEXT_LIT("{"),
        TEXT_LIT("}"),
        TEXT_LIT("{]"),
        TEXT_LIT("[1,]"),
        TEXT_LIT("{\"a\":1,}"),
        TEXT_LIT("{'a':1}"),
        TEXT_LIT("{a:1}"),
        TEXT_LIT("{\"a\" 1}"),
        TEXT_LIT("{\"a\"}"),
        TEXT_LIT("01"),
        TEXT_LIT("00"),
        TEXT_LIT("-"),
        TEXT_LIT("+1"),
        TEXT_LIT("1."),
        TEXT_LIT(".5"),
        TEXT_LIT("1e"),
        TEXT_LIT("NaN"),
        TEXT_LIT("Infinity"),
        TEXT_LIT("TRUE"),
        TEXT_LIT("nul"),
        TEXT_LIT("1 2"),
        TEXT_LIT("{}{}"),
        TEXT_LIT("\"\n\""),
        TEXT_LIT("\"\x01\""),
        TEXT_LIT("\"\\x\""),
        TEXT_LIT("\"\\u12g4\""),
        TEXT_LIT("\"abc"),
        TEXT_LIT("\"\\"),
        TEXT_LIT("[1 2]"),
        TEXT_LIT("1/**/"),
        TEXT_LIT("[\v]"),
        TEXT_LIT("1\0"),
        TEXT_LIT("\"a\0b\""),
        TEXT_LIT("\"12345678\x1f\""),
        TEXT_LIT("\"1234567\x1f 12345678\""),
        TEXT_LIT("\"\xff\xff\xff\xff\xff\xff\xff\x01\""),
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (!is_json(good[i]))
            fail_msg("refused: %.*s", (int)good[i].n, good[i].p);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (is_json(bad[i]))
            fail_msg("taken: %.*s", (int)bad[i].n, bad[i].p);
}

static void
every_beginning_of_a_text_is_incomplete(void **state)
{
    struct text s = TEXT_LIT("{\"a\":[true,null,{\"b\":\"\\u00e9\\n\"},-1.5e-3],\"c\":{}}"), value;

    (void)state;
    for (size_t n = 0; n < s.n; n++)
        assert_false(is_json((struct text){s.p, n}));
    assert_true(is_json(s));
    assert_int_equal(json_check(TEXT_LIT(" \t-5.0\r\n "), &value, NULL), ERR_OK);
    assert_true(text_equal(value, TEXT_LIT("-5.0")));
}

static void
depth_is_bounded(void **state)
{
    char deep[2 * JSON_DEPTH_MAX + 2];

    (void)state;
    memset(deep, '[', sizeof deep);
    memset(deep + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    assert_true(is_json((struct text){deep, 2 * JSON_DEPTH_MAX}));
    memset(deep, '[', JSON_DEPTH_MAX + 1);
    memset(deep + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    assert_false(is_json((struct text){deep, sizeof deep}));
}

/* ---- what is in it ---- */

/* An exact copy, so that a sanitizer sees a byte read beyond it. */
static struct text
checked(struct text source, char **copy)
{
    struct text value;
    struct errbuf eb;

    *copy = malloc(source.n);
    memcpy(*copy, source.p, source.n);
    if (json_check((struct text){*copy, source.n}, &value, &eb) != ERR_OK)
        fail_msg("%.*s: %s", (int)source.n, source.p, eb.text);
    return value;
}

/* A number at the very end of the text is where reading on would be easiest. */
static void
members_and_elements_come_in_their_order_as_they_are_written(void **state)
{
    static const struct {
        struct text json;
        const char *seen;
    } rows[] = {
        {TEXT_LIT(" { \"a\" : 1.50 ,\"b\":[ 1, {\"}\":\"]\"} ],\n\"a\":\"\\\"}\\\\\" , \"\":{} } "),
         "\"a\"=1.50;\"b\"=[ 1, {\"}\":\"]\"} ];\"a\"=\"\\\"}\\\\\";\"\"={};"},
        {TEXT_LIT("[]"), ""},
        {TEXT_LIT("[ ]"), ""},
        {TEXT_LIT("{ }"), ""},
        {TEXT_LIT("[null,true ,-0,[[]],\"\"]"), "=null;=true;=-0;=[[]];=\"\";"},
        {TEXT_LIT("[12345678901234567890,1E400]"), "=12345678901234567890;=1E400;"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *copy;
        struct json_walk w;
        struct text name, value;
        struct buf seen;

        buf_init(&seen, 1000);
        json_walk(&w, checked(rows[i].json, &copy));
        while (json_next(&w, &name, &value)) {
            buf_text(&seen, name);
            buf_byte(&seen, '=');
            buf_text(&seen, value);
            buf_byte(&seen, ';');
        }
        buf_byte(&seen, '\0');
        assert_string_equal(seen.data, rows[i].seen);
        buf_finish(&seen);
        free(copy);
    }
}

static void
strings_stand_for_bytes(void **state)
{
    static const struct {
        struct text json, bytes;
    } rows[] = {
        {TEXT_LIT("\"\""), TEXT_LIT("")},
        {TEXT_LIT("\"abc\""), TEXT_LIT("abc")},
        {TEXT_LIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), TEXT_LIT("\"\\/\b\f\n\r\t")},
        {TEXT_LIT("\"a\\u0000b\""), TEXT_LIT("a\0b")},
        {TEXT_LIT("\"\\u0041\\u00e9\\u20AC\\uFFFF\""),
         TEXT_LIT("A\xc3\xa9\xe2\x82\xac\xef\xbf\xbf")},
        {TEXT_LIT("\"\\ud83d\\uDC26\\ud800\\udc00\\udbff\\udfff\""),
         TEXT_LIT("\xf0\x9f\x90\xa6\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")},
        {TEXT_LIT("\"\\\\u0041\""), TEXT_LIT("\\u0041")},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char room[100], *at = room, *copy;
        struct text value = checked(rows[i].json, &copy), bytes;

        assert_true(json_string_decode(value, &at, &bytes));
        assert_true(text_equal(bytes, rows[i].bytes));
        assert_true(at == room || at == room + bytes.n);
        assert_true((size_t)(at - room) <= value.n);
        for (size_t k = 0; k < COUNT_OF(rows); k++)
            assert_int_equal(json_string_is(value, rows[k].bytes), k == i);
        free(copy);
    }
}

static void
half_a_surrogate_pair_stands_for_nothing(void **state)
{
    static const struct {
        struct text json;
        const char *escape;
    } rows[] = {
        {TEXT_LIT("\"\\ud800\""), "\\ud800"},
        {TEXT_LIT("\"x\\uDFFFy\""), "\\uDFFF"},
        {TEXT_LIT("\"\\ud83d\\ud83d\\udc26\""), "\\ud83d"},
        {TEXT_LIT("\"\\udc26\\ud83d\""), "\\udc26"},
        {TEXT_LIT("\"\\udc26\\udc26\""), "\\udc26"},
        {TEXT_LIT("\"\\ud83dxudc26\""), "\\ud83d"},
        {TEXT_LIT("\"\\ud83d\\n12345\""), "\\ud83d"},
        {TEXT_LIT("\"\\ud83d\\u00e9\""), "\\ud83d"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char room[100], *at = room, *copy;
        struct text value = checked(rows[i].json, &copy), bytes;

        assert_false(json_string_decode(value, &at, &bytes));
        assert_true(text_equal(bytes, text_of(rows[i].escape)));
        assert_true(at == room);
        assert_false(json_string_is(value, TEXT_LIT("\xef\xbf\xbd")));
        assert_false(json_string_is(value, TEXT_LIT("\xed\xa0\x80")));
        assert_false(json_string_is(value, TEXT_LIT("")));
        free(copy);
    }
}

static void
names_are_compared_as_what_they_stand_for(void **state)
{
    static const struct {
        const char *string;
        struct text bytes;
        bool same;
    } rows[] = {
        {"\"topic\"", TEXT_LIT("topic"), true},
        {"\"t\\u006fpic\"", TEXT_LIT("topic"), true},
        {"\"topic\\u0000x\"", TEXT_LIT("topic"), false},
        {"\"topic\\u0000\"", TEXT_LIT("topic"), false},
        {"\"topi\"", TEXT_LIT("topic"), false},
        {"\"topics\"", TEXT_LIT("topic"), false},
        {"\"a\\n\"", TEXT_LIT("a\\n"), false},
        {"\"a\\\\n\"", TEXT_LIT("a\\n"), true},
        {"\"a\\n\"", TEXT_LIT("a\n"), true},
        {"\"\\u0061\"", TEXT_LIT(""), false},
        {"\"\\u0061\"", TEXT_LIT("ab"), false},
        {"\"\\u0061b\"", TEXT_LIT("a"), false},
        {"\"\\u0061\"", TEXT_LIT("\\u0061"), false},
        {"\"a\"", TEXT_LIT("\\u0061 and more"), false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (json_string_is(text_of(rows[i].string), rows[i].bytes) != rows[i].same)
            fail_msg("row %zu", i);
}

static void
only_the_blanks_outside_strings_are_left_out(void **state)
{
    static const char *const rows[][2] = {
        {"{\"a\":[1,2]}", NULL},
        {"\" \\\" \"", NULL},
        {"1E400", NULL},
        {"{ \"a b\" :\t[ 1 ,\r\n-0.10 , 1E400 ]\n}", "{\"a b\":[1,-0.10,1E400]}"},
        {"{\"\\u0000\" : \"\\ud800 \\/\", \"\\u0000\": 12345678901234567890}",
         "{\"\\u0000\":\"\\ud800 \\/\",\"\\u0000\":12345678901234567890}"},
        {"[ \"\\\\\" , \"\\\\\\\" ]\" ]", "[\"\\\\\",\"\\\\\\\" ]\"]"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char room[100], *at = room, *copy;
        struct text value = checked(text_of(rows[i][0]), &copy);
        struct text compact = json_compact(value, &at);

        assert_true(text_equal(compact, text_of(rows[i][1] ? rows[i][1] : rows[i][0])));
        assert_true(rows[i][1] ? compact.p == room && at == room + compact.n : at == room);
        free(copy);
    }
}

/* ---- pointers ---- */

static void
a_pointer_finds_a_part_of_the_text(void **state)
{
    static const struct {
        const char *pointer, *json, *found;
    } rows[] = {
        {"", "5", "5"},
        {"", "{\"a\": 1}", "{\"a\": 1}"},
        {"", "\n {\"a\": 1} \t\r", "{\"a\": 1}"},
        {"", " -0.5e1 ", "-0.5e1"},
        {"/a", "5", NULL},
        {"/a", "\"a\"", NULL},
        {"/a/b", "{\"a\":{\"b\":[1, 2]}}", "[1, 2]"},
        {"/a/1", "{\"a\":[0,\"x\"]}", "\"x\""},
        {"/a/2", "{\"a\":[0,1]}", NULL},
        {"/a/01", "{\"a\":[0,1]}", NULL},
        {"/a/-", "{\"a\":[0,1]}", NULL},
        {"/a/", "{\"a\":[0,1]}", NULL},
        {"/a/18446744073709551615", "{\"a\":[0]}", NULL},
        {"/1", "{\"1\":\"a name\"}", "\"a name\""},
        {"/a~1b~0c", "{\"a/b~c\":7}", "7"},
        {"/a~01", "{\"a~1\":7}", "7"},
        {"//", "{\"\":{\"\":3}}", "3"},
        {"/a", "{\"a\":null}", "null"},
        /* of two members the last one counts */
        {"/a", "{\"a\":1,\"b\":0,\"a\":2}", "2"},
        {"/a/b", "{\"a\":{\"b\":1,\"b\":2},\"c\":{\"b\":3}}", "2"},
        {"/a/b", "{\"a\":{\"b\":1},\"a\":{}}", NULL},
        {"/a/b", "{\"a\":{\"b\":1},\"a\":5}", NULL},
        {"/a/b", "{\"a\":5,\"a\":{\"b\":1}}", "1"},
        {"/a/0", "{\"a\":[1],\"\\u0061\":[2]}", "2"},
        /* a name with a NUL, or half a character, is another one */
        {"/id", "{\"id\\u0000a\":1}", NULL},
        {"/id", "{\"id\":1,\"id\\u0000b\":2}", "1"},
        {"/i\xef\xbf\xbd", "{\"i\\ud800\":1}", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *copy;
        struct text value = checked(text_of(rows[i].json), &copy), found;
        struct pointer p;

        assert_int_equal(pointer_parse(&p, text_of(rows[i].pointer)), ERR_OK);
        if (pointer_get(&p, value, &found) != (rows[i].found != NULL) ||
            !text_equal(found, text_of(rows[i].found)))
            fail_msg("%s in %s: %.*s", rows[i].pointer, rows[i].json, (int)found.n, found.p);
        pointer_finish(&p);
        free(copy);
    }
}

/* On every level the name is there twice, so that the search starts over. */
static void
a_pointer_as_deep_as_a_text_may_be_is_followed(void **state)
{
    struct buf pointer, json;
    struct text value, found;
    struct pointer p;

    (void)state;
    buf_init(&pointer, 10000);
    buf_init(&json, 10000);
    for (int i = 0; i < JSON_DEPTH_MAX; i++) {
        buf_string(&pointer, "/a");
        buf_string(&json, "{\"a\":0,\"a\":");
    }
    buf_string(&json, "\"here\"");
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        buf_string(&json, ",\"b\":0}");
    assert_int_equal(json_check(buf_view(&json), &value, NULL), ERR_OK);
    assert_int_equal(pointer_parse(&p, buf_view(&pointer)), ERR_OK);
    assert_true(pointer_get(&p, value, &found));
    assert_true(text_equal(found, TEXT_LIT("\"here\"")));
    pointer_finish(&p);
    buf_string(&pointer, "/a");
    assert_int_equal(pointer_parse(&p, buf_view(&pointer)), ERR_OK);
    assert_false(pointer_get(&p, value, &found));
    pointer_finish(&p);
    buf_finish(&pointer);
    buf_finish(&json);
}

/* ---- events ---- */

static enum err
read_event(struct text json, char *room, struct event *e, struct errbuf *eb)
{
    struct event_json m;
    struct text value;
    enum err err = event_json_check(json, &value, eb);

    if (err == ERR_OK)
        err = event_json_members(value, &m, eb);
    assert_true(err != ERR_OK || event_json_room(&m) <= value.n);
    return err == ERR_OK ? event_json_read(&m, &room, e, eb) : err;
}

static void
an_event_is_read_from_its_members(void **state)
{
    static const struct {
        struct text json, topic, type, key, data;
    } rows[] = {
        {TEXT_LIT("{\"topic\":7,\"type\":null,\"key\":\"k\",\"data\":{\"a\": [1.50, \"x/y\"]},"
                  "\"more\":1}"),
         TEXT_LIT("7"), TEXT_NONE, TEXT_LIT("k"), TEXT_LIT("{\"a\":[1.50,\"x/y\"]}")},
        {TEXT_LIT("{\"topic\":\"t\",\"data\":null}"), TEXT_LIT("t"), TEXT_NONE, TEXT_NONE,
         TEXT_LIT("null")},
        {TEXT_LIT("{}"), TEXT_NONE, TEXT_NONE, TEXT_NONE, TEXT_NONE},
        /* a number's text is its text */
        {TEXT_LIT("{\"topic\":1E5,\"type\":-0,\"key\":18446744073709551617,\"data\":1E400}"),
         TEXT_LIT("1E5"), TEXT_LIT("-0"), TEXT_LIT("18446744073709551617"), TEXT_LIT("1E400")},
        {TEXT_LIT("{\"topic\":true,\"data\": 12345678901234567890 }"), TEXT_LIT("true"), TEXT_NONE,
         TEXT_NONE, TEXT_LIT("12345678901234567890")},
        /* as it was sent */
        {TEXT_LIT("{\"topic\":\"t\",\"data\":{\"foo\\u0000bar\":42}}"), TEXT_LIT("t"), TEXT_NONE,
         TEXT_NONE, TEXT_LIT("{\"foo\\u0000bar\":42}")},
        {TEXT_LIT("{\"topic\":\"t\",\"data\":[{\"a\":1, \"a\":2}, \"\\ud800\"]}"), TEXT_LIT("t"),
         TEXT_NONE, TEXT_NONE, TEXT_LIT("[{\"a\":1,\"a\":2},\"\\ud800\"]")},
        /* the last of two, and names with a NUL are others */
        {TEXT_LIT("{\"topic\":\"a\",\"data\":1,\"topic\":\"b\",\"data\":\"2\"}"), TEXT_LIT("b"),
         TEXT_NONE, TEXT_NONE, TEXT_LIT("2")},
        {TEXT_LIT("{\"type\":\"a\",\"data\":1,\"type\":null}"), TEXT_NONE, TEXT_NONE, TEXT_NONE,
         TEXT_LIT("1")},
        {TEXT_LIT("{\"topic\":\"t\",\"topic\\u0000x\":\"u\",\"d\\u0061ta\":\"\\u00e9\"}"),
         TEXT_LIT("t"), TEXT_NONE, TEXT_NONE, TEXT_LIT("\xc3\xa9")},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char room[200];
        struct event e;
        struct errbuf eb = {""};

        if (read_event(rows[i].json, room, &e, &eb) != ERR_OK)
            fail_msg("row %zu: %s", i, eb.text);
        if (!text_equal(e.topic, rows[i].topic) || !text_equal(e.type, rows[i].type) ||
            !text_equal(e.key, rows[i].key) || !text_equal(e.data, rows[i].data))
            fail_msg("row %zu: topic %.*s, data %.*s", i, (int)e.topic.n, e.topic.p, (int)e.data.n,
                     e.data.p);
    }
}

static void
what_is_no_event_is_refused_with_its_reason(void **state)
{
    static const struct {
        struct text json;
        const char *why;
    } rows[] = {
        {TEXT_LIT("[]"), "not a JSON object"},
        {TEXT_LIT("5"), "not a JSON object"},
        {TEXT_LIT("{\"topic\":\"t\",\"key\":{},\"data\":\"\"}"), "key is an object"},
        {TEXT_LIT("{\"topic\":[],\"data\":\"\"}"), "topic is an array"},
        {TEXT_LIT("{\"key\":\"k\\ud83d\",\"data\":\"\"}"),
         "key has half a surrogate pair, \\ud83d"},
        {TEXT_LIT("{\"topic\":\"\\udc00\",\"data\":\"\"}"),
         "topic has half a surrogate pair, \\udc00"},
        {TEXT_LIT("{\"topic\":\"t\",\"data\":\"\\ud800\"}"),
         "data has half a surrogate pair, \\ud800"},
        {TEXT_LIT("{\"data\":\"\xff\"}"), "not well-formed UTF-8"},
        {TEXT_LIT("{\"data\":}"), "not JSON: a value expected at byte 9"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char room[100];
        struct event e;
        struct errbuf eb = {""};

        assert_int_equal(read_event(rows[i].json, room, &e, &eb), ERR_INVALID);
        if (!text_starts(text_of(eb.text), text_of(rows[i].why)))
            fail_msg("row %zu: %s", i, eb.text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_letter_of_the_rfc_decides),
        cmocka_unit_test(every_beginning_of_a_text_is_incomplete),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(members_and_elements_come_in_their_order_as_they_are_written),
        cmocka_unit_test(strings_stand_for_bytes),
        cmocka_unit_test(half_a_surrogate_pair_stands_for_nothing),
        cmocka_unit_test(names_are_compared_as_what_they_stand_for),
        cmocka_unit_test(only_the_blanks_outside_strings_are_left_out),
        cmocka_unit_test(a_pointer_finds_a_part_of_the_text),
        cmocka_unit_test(a_pointer_as_deep_as_a_text_may_be_is_followed),
        cmocka_unit_test(an_event_is_read_from_its_members),
        cmocka_unit_test(what_is_no_event_is_refused_with_its_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
