/* where: conditions on the JSON inside an event's data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "stream/subscription.h"
#include "stream/where.h"

#define DATA                                                                                       \
    "{\"lang\":\"en\",\"n\":5,\"f\":5.0,\"big\":9007199254740993,\"bot\":true,\"none\":null,"      \
    "\"user\":{\"name\":\"a=b\",\"tags\":[\"x\",\"y\"]},\"a/"                                      \
    "b\":1,\"c~d\":2,\"\":3,\"text\":\"5\"}"

static bool
ask(const char *condition, const char *data)
{
    struct where_condition c;
    struct where_subject subject = {0};
    struct errbuf eb;
    bool holds;

    if (where_parse(&c, text_of(condition), &eb) != ERR_OK)
        fail_msg("%s: %s", condition, eb.text);
    where_subject_set(&subject, text_of(data));
    holds = where_holds(&c, 1, &subject);
    where_subject_finish(&subject);
    where_finish(&c);
    return holds;
}

static void
conditions_hold_as_the_manual_says(void **state)
{
    static const struct {
        const char *condition;
        bool holds;
    } rows[] = {
        {"/lang=en", true},
        {"/lang=de", false},
        {"/lang!=de", true},
        {"/lang!=en", false},
        {"/lang=", false},
        {"/lang", true},
        {"/nothing", false},
        {"/nothing=en", false},
        {"/nothing!=en", true},
        {"/nothing>1", false},
        {"/user/tags/0=x", true},
        {"/user/tags/1", true},
        {"/user/tags/2", false},
        {"/user/tags/00", false},
        {"/user/tags/-", false},
        {"/user/tags/", false}, /* an empty name is a member's, not the first element */
        {"/user/name/", false},
        {"/=3", true},
        {"//", false},
        {"/n=5", true},
        {"/n=5.0", true},
        {"/f=5", true},
        {"/n=05", false},
        {"/n!=5", false},
        {"/n>4", true},
        {"/n>5", false},
        {"/n>=5", true},
        {"/n<5", false},
        {"/n<=5", true},
        {"/n<5e1", true},
        {"/n>-1", true},
        {"/text>4", false},
        {"/text=5", true},
        {"/bot=true", true},
        {"/bot=false", false},
        {"/bot!=false", true},
        {"/bot=1", false},
        {"/none=null", true},
        {"/none", true},
        {"/user/name=a=b", true},
        {"/user/tags/0=x", true},
        {"/user/tags/1!=x", true},
        {"/user/tags/2", false},
        {"/user=x", false},
        {"/a~1b=1", true},
        {"/c~0d=2", true},
        {"/=3", true},
        {"/user/tags/-", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (ask(rows[i].condition, DATA) != rows[i].holds)
            fail_msg("%s must be %d", rows[i].condition, rows[i].holds);
}

static void
data_that_is_not_json_has_no_members(void **state)
{
    static const char *const data[] = {"",  "hello",    "{",  "{\"lang\":\"en\"",
                                       "5", "\"lang\"", "NaN"};

    (void)state;
    for (size_t i = 0; i < sizeof data / sizeof *data; i++) {
        assert_false(ask("/lang", data[i]));
        assert_false(ask("/lang=en", data[i]));
        assert_true(ask("/lang!=en", data[i]));
    }
}

static void
what_is_no_condition_is_refused_with_the_rule(void **state)
{
    static const char *const sources[] = {"",     "lang=en", "=en",   "/n<",    "/n<x",  "/n>=inf",
                                          "/n!5", "/a~2=1",  "/a~=1", "/n<0x1", "/n> 5x"};
    struct where_condition c;

    (void)state;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct errbuf eb = {""};

        if (where_parse(&c, text_of(sources[i]), &eb) != ERR_INVALID || eb.text[0] == '\0')
            fail_msg("\"%s\" must be refused", sources[i]);
    }
}

static void
the_order_of_conditions_makes_no_other_feed(void **state)
{
    struct subscription a, b;

    (void)state;
    subscription_init(&a);
    subscription_init(&b);
    assert_int_equal(subscription_add_where(&a, TEXT_LIT("/x=1"), NULL), ERR_OK);
    assert_int_equal(subscription_add_where(&a, TEXT_LIT("/y"), NULL), ERR_OK);
    assert_int_equal(subscription_add_where(&a, TEXT_LIT("/x=1"), NULL), ERR_OK);
    assert_int_equal(subscription_add_where(&b, TEXT_LIT("/y"), NULL), ERR_OK);
    assert_int_equal(subscription_add_where(&b, TEXT_LIT("/x=1"), NULL), ERR_OK);
    assert_int_equal(subscription_seal(&a), ERR_OK);
    assert_int_equal(subscription_seal(&b), ERR_OK);
    assert_string_equal(a.key, b.key);
    assert_false(subscription_is_everything(&a));
    subscription_finish(&a);
    subscription_finish(&b);
}

static void
every_allocation_may_fail(void **state)
{
    enum err err = ERR_NOMEM;

    (void)state;
    for (long n = 1; err == ERR_NOMEM; n++) {
        struct subscription s;

        subscription_init(&s);
        mem_fail_at(n);
        err = subscription_add_where(&s, TEXT_LIT("/x=1"), NULL);
        if (err == ERR_OK)
            err = subscription_seal(&s);
        mem_fail_at(0);
        subscription_finish(&s);
        assert_true(n < 20);
    }
    assert_int_equal(err, ERR_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_hold_as_the_manual_says),
        cmocka_unit_test(data_that_is_not_json_has_no_members),
        cmocka_unit_test(what_is_no_condition_is_refused_with_the_rule),
        cmocka_unit_test(the_order_of_conditions_makes_no_other_feed),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
