/* json: what is JSON to the letter, and one event as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stream/event_json.h"
#include "stream/json.h"

static bool
is_json(struct text s, struct json_facts *facts)
{
    struct errbuf eb;

    return json_check(s, facts, &eb) == ERR_OK;
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
                                       TEXT_LIT("\"\x7f\"")};
    static const struct text bad[] = {
        TEXT_LIT(""),       TEXT_LIT(" "),         TEXT_LIT("{"),          TEXT_LIT("}"),
        TEXT_LIT("{]"),     TEXT_LIT("[1,]"),      TEXT_LIT("{\"a\":1,}"), TEXT_LIT("{'a':1}"),
        TEXT_LIT("{a:1}"),  TEXT_LIT("{\"a\" 1}"), TEXT_LIT("{\"a\"}"),    TEXT_LIT("01"),
        TEXT_LIT("00"),     TEXT_LIT("-"),         TEXT_LIT("+1"),         TEXT_LIT("1."),
        TEXT_LIT(".5"),     TEXT_LIT("1e"),        TEXT_LIT("NaN"),        TEXT_LIT("Infinity"),
        TEXT_LIT("TRUE"),   TEXT_LIT("nul"),       TEXT_LIT("1 2"),        TEXT_LIT("{}{}"),
        TEXT_LIT("\"\n\""), TEXT_LIT("\"\x01\""),  TEXT_LIT("\"\\x\""),    TEXT_LIT("\"\\u12g4\""),
        TEXT_LIT("\"abc"),  TEXT_LIT("\"\\"),      TEXT_LIT("[1 2]"),      TEXT_LIT("1/**/"),
        TEXT_LIT("[\v]"),   TEXT_LIT("1\0"),       TEXT_LIT("\"a\0b\"")};
    struct json_facts facts;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!is_json(good[i], &facts))
            fail_msg("refused: %.*s", (int)good[i].n, good[i].p);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (is_json(bad[i], &facts))
            fail_msg("taken: %.*s", (int)bad[i].n, bad[i].p);
}

static void
every_beginning_of_a_text_is_incomplete(void **state)
{
    struct text s = TEXT_LIT("{\"a\":[true,null,{\"b\":\"\\u00e9\\n\"},-1.5e-3],\"c\":{}}");
    struct json_facts facts;

    (void)state;
    for (size_t n = 0; n < s.n; n++)
        assert_false(is_json((struct text){s.p, n}, &facts));
    assert_true(is_json(s, &facts));
}

static void
depth_is_bounded_and_wide_integers_are_noticed(void **state)
{
    char deep[2 * JSON_DEPTH_MAX + 2];
    struct json_facts facts;

    (void)state;
    memset(deep, '[', sizeof deep);
    memset(deep + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    assert_true(is_json((struct text){deep, 2 * JSON_DEPTH_MAX}, &facts));
    memset(deep, '[', JSON_DEPTH_MAX + 1);
    memset(deep + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    assert_false(is_json((struct text){deep, sizeof deep}, &facts));
    assert_true(is_json(TEXT_LIT("[999999999999999999,1234567890123456789.5]"), &facts));
    assert_true(facts.first == '[' && !facts.wide);
    assert_true(is_json(TEXT_LIT("{\"a\":-1000000000000000000}"), &facts));
    assert_true(facts.first == '{' && facts.wide);
}

static void
an_event_is_read_from_its_members(void **state)
{
    struct json_object *o = json_tokener_parse(
        "{\"topic\":7,\"type\":null,\"key\":\"k\",\"data\":{\"a\": [1.50, \"x/y\"]},\"more\":1}");
    struct event e;
    struct errbuf eb;

    (void)state;
    assert_int_equal(event_json_read(o, &e, &eb), ERR_OK);
    assert_true(text_equal(e.topic, TEXT_LIT("7")) && !e.type.p);
    assert_true(text_equal(e.key, TEXT_LIT("k")));
    assert_true(text_equal(e.data, TEXT_LIT("{\"a\":[1.50,\"x/y\"]}")));
    json_object_put(o);
    o = json_tokener_parse("{\"topic\":\"t\",\"data\":null}");
    assert_int_equal(event_json_read(o, &e, &eb), ERR_OK);
    assert_true(text_equal(e.data, TEXT_LIT("null")));
    json_object_put(o);
    o = json_tokener_parse("{\"topic\":\"t\",\"key\":{},\"data\":\"\"}");
    assert_int_equal(event_json_read(o, &e, &eb), ERR_INVALID);
    assert_non_null(strstr(eb.text, "key is an object"));
    json_object_put(o);
    o = json_tokener_parse("[]");
    assert_int_equal(event_json_read(o, &e, &eb), ERR_INVALID);
    json_object_put(o);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_letter_of_the_rfc_decides),
        cmocka_unit_test(every_beginning_of_a_text_is_incomplete),
        cmocka_unit_test(depth_is_bounded_and_wide_integers_are_noticed),
        cmocka_unit_test(an_event_is_read_from_its_members),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
