/* accept: the form of an answer, from the headers that browsers and programs send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/accept.h"

static void
the_greatest_q_wins_and_names_beat_wildcards(void **state)
{
    static const struct {
        const char *accept;
        enum accept_form form;
    } rows[] = {
        {NULL, ACCEPT_ANY},
        {"", ACCEPT_ANY},
        {"*/*", ACCEPT_ANY},
        {"text/event-stream", ACCEPT_STREAM},
        {"text/*", ACCEPT_STREAM},
        {"application/json", ACCEPT_JSON},
        {"Application/JSON", ACCEPT_JSON},
        {"application/*", ACCEPT_JSON},
        {"application/x-ndjson", ACCEPT_NDJSON},
        {"application/json;charset=utf-8", ACCEPT_JSON},
        /* what libraries send */
        {"application/json, text/plain, */*", ACCEPT_JSON},
        {"application/json, text/event-stream", ACCEPT_STREAM},
        {"application/x-ndjson, application/json", ACCEPT_JSON},
        {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", ACCEPT_ANY},
        {"text/html", ACCEPT_ANY},
        {"image/png, application/jsonp", ACCEPT_ANY},
        /* weights */
        {"text/event-stream;q=0.5, application/json", ACCEPT_JSON},
        {"text/event-stream;q=0.9, application/json;q=0.899", ACCEPT_STREAM},
        {"application/json;q=0.1, application/x-ndjson ; q=0.2", ACCEPT_NDJSON},
        {"application/json;q=0", ACCEPT_ANY},
        {"application/json;q=0, */*", ACCEPT_ANY},
        {"*/*, text/event-stream;q=0", ACCEPT_JSON},
        {"*/*;q=0.5, application/json;q=0.4", ACCEPT_ANY},
        {"application/json;q=1.000, */*;q=1.0", ACCEPT_JSON},
        {"application/json;v=1;Q=0.3, text/event-stream;q=0.2", ACCEPT_JSON},
        {"text/event-stream\t;\tq=0.5\t,\tapplication/json", ACCEPT_JSON},
        {"text/html;what=\"a, application/json, \\\", b\"", ACCEPT_ANY},
        {"application/json;what=\"a;q=0\"", ACCEPT_JSON},
        /* what cannot be read counts as far as it can */
        {",,;q=1, ,application/json,", ACCEPT_JSON},
        {"application/json;q=high", ACCEPT_JSON},
        {"application", ACCEPT_ANY},
        {"*/json", ACCEPT_ANY},
        {"/", ACCEPT_ANY},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (accept_choose(text_of(rows[i].accept)) != rows[i].form)
            fail_msg("\"%s\" chooses %d", rows[i].accept,
                     (int)accept_choose(text_of(rows[i].accept)));
}

static void
a_tag_is_found_in_the_list(void **state)
{
    static const struct {
        const char *list;
        bool found;
    } rows[] = {
        {NULL, false},
        {"", false},
        {"*", true},
        {"\"a\"", true},
        {"W/\"a\"", true},
        {"\"b\", \"a\"", true},
        {"\"b\",W/\"a\"", true},
        {"\"A\"", false},
        {"a", false},
        {"\"ab\"", false},
        {"\t\"b\"\t,\t\"a\"\t", true},
        {"\"b,\",\"a\"", true},
        {" * ", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(accept_none_match(text_of(rows[i].list), TEXT_LIT("\"a\"")),
                         rows[i].found);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_greatest_q_wins_and_names_beat_wildcards),
        cmocka_unit_test(a_tag_is_found_in_the_list),
    };

    return cmocka_run_group_tests_name("accept", tests, NULL, NULL);
}
