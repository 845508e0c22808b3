/* stream: the rules of events, topics and patterns, subscriptions, cursors and times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "stream/cursor.h"
#include "stream/event.h"
#include "stream/subscription.h"
#include "stream/topic.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* ---- events ---- */

static char long_text[EVENT_TOPIC_MAX + 2];

static struct event
good_event(void)
{
    return (struct event){.topic = TEXT_LIT("wiki/de"), .data = TEXT_LIT("x")};
}

static void
refused_because(const struct event *e, const char *why)
{
    struct errbuf eb = {""};

    assert_int_equal(event_check(e, 10, &eb), ERR_INVALID);
    if (!strstr(eb.text, why))
        fail_msg("\"%s\" does not say \"%s\"", eb.text, why);
}

static void
an_event_needs_a_topic_of_1_to_255_bytes(void **state)
{
    struct event e = good_event();

    (void)state;
    assert_int_equal(event_check(&e, 10, NULL), ERR_OK);
    memset(long_text, 'x', sizeof long_text);
    e.topic = (struct text){long_text, EVENT_TOPIC_MAX};
    assert_int_equal(event_check(&e, 10, NULL), ERR_OK);
    e.topic.n++;
    refused_because(&e, "topic has 256 bytes");
    e.topic = TEXT_LIT("");
    refused_because(&e, "topic has 0 bytes");
    e.topic = TEXT_NONE;
    refused_because(&e, "topic has 0 bytes");
}

static void
names_have_no_control_characters_and_are_utf8(void **state)
{
    struct event e = good_event();

    (void)state;
    e.topic = TEXT_LIT("a\nid: 1");
    refused_because(&e, "topic has the control character 0x0a at byte 2");
    e.topic = TEXT_LIT("a\x7f");
    refused_because(&e, "0x7f");
    e.topic = TEXT_LIT("a\0b");
    refused_because(&e, "0x00");
    e.topic = TEXT_LIT("caf\xe9");
    refused_because(&e, "topic is not well-formed UTF-8");
    e.topic = TEXT_LIT("caf\xc3\xa9 \xf0\x9f\x98\x80");
    assert_int_equal(event_check(&e, 10, NULL), ERR_OK);
    e.type = TEXT_LIT("a\rb");
    refused_because(&e, "type has the control character 0x0d");
}

static void
a_type_is_optional_but_not_empty_and_not_a_signal(void **state)
{
    struct event e = good_event();

    (void)state;
    e.type = TEXT_LIT("");
    refused_because(&e, "type has 0 bytes");
    e.type = TEXT_LIT("freshet:reset");
    refused_because(&e, "kept for signals");
    e.type = TEXT_LIT("freshet");
    assert_int_equal(event_check(&e, 10, NULL), ERR_OK);
}

static void
data_is_utf8_without_nul_up_to_a_bound(void **state)
{
    struct event e = good_event();

    (void)state;
    e.data = TEXT_NONE;
    refused_because(&e, "data is missing");
    e.data = TEXT_LIT("");
    assert_int_equal(event_check(&e, 0, NULL), ERR_OK);
    e.data = TEXT_LIT("0123456789");
    assert_int_equal(event_check(&e, 10, NULL), ERR_OK);
    e.data = TEXT_LIT("0123456789a");
    refused_because(&e, "data has 11 bytes; the most allowed is 10");
    e.data = TEXT_LIT("a\0b");
    refused_because(&e, "data has a NUL byte");
    e.data = TEXT_LIT("\xff");
    refused_because(&e, "data is not well-formed UTF-8");
    e.data = TEXT_LIT("\t\r\n\x01");
    assert_int_equal(event_check(&e, 10, NULL), ERR_OK);
}

static void
a_key_is_optional_but_not_empty(void **state)
{
    struct event e = good_event();

    (void)state;
    e.key = TEXT_LIT("");
    refused_because(&e, "key has 0 bytes");
    e.key = TEXT_LIT("k\0");
    refused_because(&e, "key has a NUL byte");
    e.key = (struct text){long_text, EVENT_KEY_MAX + 1};
    refused_because(&e, "key has 256 bytes");
    e.key = TEXT_LIT("any bytes: \xff\x01");
    assert_int_equal(event_check(&e, 10, NULL), ERR_OK);
}

/* ---- topics ---- */

static void
a_pattern_is_a_topic_or_a_prefix(void **state)
{
    static const struct {
        const char *pattern, *topic;
        bool matches;
    } rows[] = {
        {"a", "a", true},      {"a", "ab", false},   {"ab", "a", false},    {"a*", "a", true},
        {"a*", "abc", true},   {"a*", "b", false},   {"*", "anything", 1},  {"a*b", "a*b", true},
        {"a*b", "axb", false}, {"a**", "a*x", true}, {"a**", "ax", false},  {"A", "a", false},
        {"a*", "a*", true},    {"a/", "a/b", false}, {"\xc3\xa9*", "é", 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (topic_matches(text_of(rows[i].pattern), text_of(rows[i].topic)) != rows[i].matches)
            fail_msg("pattern %s, topic %s", rows[i].pattern, rows[i].topic);
}

/* Covering is by definition about matching: checked against it with all short patterns. */
static void
a_pattern_covers_what_it_matches_more_widely(void **state)
{
    static const char *const patterns[] = {"a", "b", "ab", "a*", "b*", "ab*", "*", "a**", "a*b"};
    static const char *const topics[] = {"a", "b", "ab", "aa", "abc", "a*", "a*b", "a*x", "bb"};

    (void)state;
    for (size_t w = 0; w < COUNT_OF(patterns); w++) {
        for (size_t n = 0; n < COUNT_OF(patterns); n++) {
            bool covers = true;

            for (size_t t = 0; t < COUNT_OF(topics); t++)
                covers = covers && (!topic_matches(text_of(patterns[n]), text_of(topics[t])) ||
                                    topic_matches(text_of(patterns[w]), text_of(topics[t])));
            if (topic_covers(text_of(patterns[w]), text_of(patterns[n])) != covers)
                fail_msg("%s covers %s", patterns[w], patterns[n]);
        }
    }
}

/* ---- subscriptions ---- */

/* Words separated by blanks: topics, after a '/' alone types. */
static struct subscription
subscribe(const char *words)
{
    struct subscription s;
    bool types = false;

    subscription_init(&s);
    while (*words) {
        size_t n = strcspn(words, " ");
        struct text word = {words, n};

        if (text_equal(word, TEXT_LIT("/")))
            types = true;
        else
            assert_int_equal(types ? subscription_add_type(&s, word, NULL)
                                   : subscription_add_topic(&s, word, NULL),
                             ERR_OK);
        words += n + strspn(words + n, " ");
    }
    assert_int_equal(subscription_seal(&s), ERR_OK);
    return s;
}

static void
equal_wishes_have_equal_keys(void **state)
{
    static const struct {
        const char *wish, *key;
    } rows[] = {
        {"", ""},
        {"*", ""},
        {"* a b*", ""},
        {"a", "topic=a"},
        {"b a", "topic=a&topic=b"},
        {"a b a b a", "topic=a&topic=b"},
        {"ab a* abc* a", "topic=a*"},
        {"abc* ab", "topic=ab&topic=abc*"},
        {"b* a*", "topic=a*&topic=b*"},
        {"/ edit", "type=edit"},
        {"/ edit delete edit", "type=delete&type=edit"},
        {"* / message", "type=message"},
        {"a / b", "topic=a&type=b"},
        {"a&type=b", "topic=a%26type=b"},
        {"50% a+b", "topic=50%25&topic=a%2Bb"},
        {"/ e* edit", "type=e*&type=edit"}, /* types are no patterns */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct subscription s = subscribe(rows[i].wish);

        assert_string_equal(s.key, rows[i].key);
        subscription_finish(&s);
    }
}

/* The key stands between quotation marks in the log; nobody may end them from outside. */
static void
a_key_cannot_forge_a_log_field(void **state)
{
    struct subscription s = subscribe("a\"#b");

    (void)state;
    assert_string_equal(s.key, "topic=a%22%23b");
    subscription_finish(&s);
}

static void
a_subscription_matches_topics_and_types(void **state)
{
    static const struct {
        const char *wish, *topic, *type;
        bool matches;
    } rows[] = {
        {"", "a", NULL, true},          {"", "a", "x", true},
        {"a", "a", "x", true},          {"a", "b", NULL, false},
        {"a b*", "bc", NULL, true},     {"/ x", "a", "x", true},
        {"/ x", "a", NULL, false},      {"/ x y", "a", "y", true},
        {"/ message", "a", NULL, true}, {"/ message", "a", "message", true},
        {"/ message", "a", "x", false}, {"a / x", "b", "x", false},
        {"a / x", "a", "xx", false},    {"a / x", "a", "x", true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct subscription s = subscribe(rows[i].wish);

        if (subscription_matches(&s, &(struct label){text_of(rows[i].topic),
                                                     text_of(rows[i].type)}) != rows[i].matches)
            fail_msg("row %zu: \"%s\"", i, rows[i].wish);
        subscription_finish(&s);
    }
}

static void
a_subscription_refuses_what_no_event_could_have(void **state)
{
    struct subscription s;

    (void)state;
    memset(long_text, 'x', sizeof long_text);
    subscription_init(&s);
    assert_int_equal(subscription_add_topic(&s, TEXT_LIT(""), NULL), ERR_INVALID);
    assert_int_equal(subscription_add_topic(&s, TEXT_LIT("a\n"), NULL), ERR_INVALID);
    assert_int_equal(subscription_add_topic(&s, TEXT_LIT("\xff*"), NULL), ERR_INVALID);
    assert_int_equal(subscription_add_topic(&s, (struct text){long_text, 256}, NULL), ERR_INVALID);
    long_text[255] = '*';
    assert_int_equal(subscription_add_topic(&s, (struct text){long_text, 256}, NULL), ERR_OK);
    assert_int_equal(subscription_add_topic(&s, (struct text){long_text, 257}, NULL), ERR_INVALID);
    assert_int_equal(subscription_add_type(&s, TEXT_LIT(""), NULL), ERR_INVALID);
    assert_int_equal(subscription_add_type(&s, TEXT_LIT("freshet:live"), NULL), ERR_INVALID);
    assert_int_equal(s.n_topics, 1);
    assert_int_equal(s.n_types, 0);
    subscription_finish(&s);
}

static void
a_subscription_survives_a_failure_at_every_allocation(void **state)
{
    enum err err = ERR_NOMEM;

    (void)state;
    for (long n = 1; err != ERR_OK; n++) {
        struct subscription s;

        assert_true(n < 100);
        subscription_init(&s);
        mem_fail_at(n);
        err = subscription_add_topic(&s, TEXT_LIT("b*"), NULL);
        if (err == ERR_OK)
            err = subscription_add_topic(&s, TEXT_LIT("ba"), NULL);
        if (err == ERR_OK)
            err = subscription_add_type(&s, TEXT_LIT("a type long enough for a key of > 64 bytes"),
                                        NULL);
        if (err == ERR_OK)
            err = subscription_seal(&s);
        mem_fail_at(0);
        if (err != ERR_OK)
            assert_int_equal(err, ERR_NOMEM);
        else
            assert_int_equal(s.n_topics, 1);
        subscription_finish(&s);
    }
}

/* ---- cursors ---- */

static void
a_cursor_is_an_id_with_or_without_its_epoch(void **state)
{
    static const struct {
        const char *text;
        enum cursor_reset reset;
        int64_t id;
    } rows[] = {
        {"1234-k3f9", CURSOR_EXACT, 1234},
        {"1234", CURSOR_EXACT, 1234},
        {"0", CURSOR_EXACT, 0},
        {"007", CURSOR_EXACT, 7},
        {"9223372036854775807-k3f9", CURSOR_EXACT, INT64_MAX},
        {"1234-aaaa", CURSOR_EPOCH, -1},
        {"1234-k3f", CURSOR_EPOCH, -1},
        {"1234-k3f99", CURSOR_EPOCH, -1},
        {"9223372036854775808", CURSOR_INVALID, -1},
        {"99999999999999999999-k3f9", CURSOR_INVALID, -1},
        {"", CURSOR_INVALID, -1},
        {"-", CURSOR_INVALID, -1},
        {"-k3f9", CURSOR_INVALID, -1},
        {"-1", CURSOR_INVALID, -1},
        {"+1", CURSOR_INVALID, -1},
        {" 1", CURSOR_INVALID, -1},
        {"1 ", CURSOR_INVALID, -1},
        {"1-", CURSOR_INVALID, -1},
        {"1-K3F9", CURSOR_INVALID, -1},
        {"1-k3f9-", CURSOR_INVALID, -1},
        {"1-k3f9 ", CURSOR_INVALID, -1},
        {"0x10", CURSOR_INVALID, -1},
        {"1e3", CURSOR_INVALID, -1},
        {"1.5", CURSOR_INVALID, -1},
        {"null", CURSOR_INVALID, -1},
        {"undefined", CURSOR_INVALID, -1},
        {"urn:uuid:5e94c686-2c0b-4f9b-958c-92ccc3bbb4eb", CURSOR_INVALID, -1},
        {"\xef\xbc\x91", CURSOR_INVALID, -1}, /* a fullwidth digit */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t id = -1;

        if (cursor_parse(text_of(rows[i].text), "k3f9", &id) != rows[i].reset || id != rows[i].id)
            fail_msg("cursor \"%s\" gives id %lld", rows[i].text, (long long)id);
    }
}

static void
reasons_have_the_names_of_the_contract(void **state)
{
    (void)state;
    assert_string_equal(cursor_reset_name(CURSOR_INVALID), "invalid");
    assert_string_equal(cursor_reset_name(CURSOR_EPOCH), "epoch");
    assert_string_equal(cursor_reset_name(CURSOR_FUTURE), "future");
    assert_string_equal(cursor_reset_name(CURSOR_PRUNED), "pruned");
}

/* Expected values are from date(1). */
static void
a_time_is_read_as_iso_8601_says(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"1970-01-01", 0},
        {"1970-01-01T00:00:00.001Z", 1},
        {"2026-11-22", 1795305600000},
        {"2026-11-22T00:00", 1795305600000},
        {"2026-11-22T10:00:05.123", 1795341605123},
        {"2026-11-22T10:00:05.123Z", 1795341605123},
        {"2026-11-22t10:00:05.123z", 1795341605123},
        {"2026-11-22 10:00:05.123Z", 1795341605123},
        {"2026-11-22T10:00:05.1239999Z", 1795341605123},
        {"2026-11-22T10:00:05.1Z", 1795341605100},
        {"2026-11-22T10:00:00+01:00", 1795338000000},
        {"2026-11-22T10:00:00 01:00", 1795338000000}, /* a '+' of a query string */
        {"2026-11-22T10:00:00+0100", 1795338000000},
        {"2026-11-22T10:00:00+01", 1795338000000},
        {"2026-11-22T10:00:00-11:30", 1795383000000},
        {"2000-02-29T00:00:00Z", 951782400000},
        {"2016-12-31T23:59:60Z", 1483228800000}, /* a leap second: the instant after it */
        {"9999-12-31T23:59:59Z", 253402300799000},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t ms = -1;

        if (!cursor_parse_time(text_of(rows[i].text), &ms) || ms != rows[i].ms)
            fail_msg("%s gives %lld", rows[i].text, (long long)ms);
    }
}

static void
what_is_no_time_is_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "2026",
        "2026-11",
        "2026-11-2",
        "2026-11-22T",
        "2026-11-22T10",
        "2026-11-22T10:00:",
        "2026-11-22T10:00:05.",
        "2026-11-22T10:00.5", /* half a minute to ISO 8601; nobody means that */
        "2026-11-22T10:00:00+",
        "2026-11-22T10:00:00+1",
        "2026-11-22T10:00:00+01:",
        "2026-11-22T10:00:00+01:0",
        "2026-11-22T10:00:00+24:00",
        "2026-11-22T10:00:00ZZ",
        "2026-11-22T10:00:00Z ",
        " 2026-11-22",
        "2026-00-01",
        "2026-13-01",
        "2026-02-00",
        "2026-02-29",
        "2100-02-29",
        "2026-04-31",
        "2026-11-22T24:00:00",
        "2026-11-22T10:60:00",
        "2026-11-22T10:00:61",
        "1969-12-31",
        "10000-01-01",
        "22.11.2026",
        "yesterday",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t ms;

        if (cursor_parse_time(text_of(rows[i]), &ms))
            fail_msg("%s is taken for a time", rows[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_needs_a_topic_of_1_to_255_bytes),
        cmocka_unit_test(names_have_no_control_characters_and_are_utf8),
        cmocka_unit_test(a_type_is_optional_but_not_empty_and_not_a_signal),
        cmocka_unit_test(data_is_utf8_without_nul_up_to_a_bound),
        cmocka_unit_test(a_key_is_optional_but_not_empty),
        cmocka_unit_test(a_pattern_is_a_topic_or_a_prefix),
        cmocka_unit_test(a_pattern_covers_what_it_matches_more_widely),
        cmocka_unit_test(equal_wishes_have_equal_keys),
        cmocka_unit_test(a_key_cannot_forge_a_log_field),
        cmocka_unit_test(a_subscription_matches_topics_and_types),
        cmocka_unit_test(a_subscription_refuses_what_no_event_could_have),
        cmocka_unit_test(a_subscription_survives_a_failure_at_every_allocation),
        cmocka_unit_test(a_cursor_is_an_id_with_or_without_its_epoch),
        cmocka_unit_test(reasons_have_the_names_of_the_contract),
        cmocka_unit_test(a_time_is_read_as_iso_8601_says),
        cmocka_unit_test(what_is_no_time_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
