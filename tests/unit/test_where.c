/* where: conditions on the JSON inside an event's data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/mem.h"
#include "stream/decimal.h"
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

#define BIG                                                                                        \
    "{\"id\":9007199254740993,\"ns\":1732792500123456789,\"max\":18446744073709551616,"            \
    "\"long\":123456789012345678901234567890123456789012345678901234567890123456789012345,"        \
    "\"third\":0.333333333333333333333,\"huge\":1E400,\"tiny\":-1e-400,\"zero\":-0.0e9}"

/* As doubles, all of these pairs would be equal, or infinite. */
static void
numbers_are_compared_exactly_whatever_their_length(void **state)
{
    static const struct {
        const char *condition;
        bool holds;
    } rows[] = {
        {"/id=9007199254740993", true},
        {"/id=9007199254740992", false},
        {"/id!=9007199254740992", true},
        {"/id>9007199254740992", true},
        {"/id<9007199254740994", true},
        {"/id>=9007199254740994", false},
        {"/id=9007199254740993.0", true},
        {"/id<9007199254740993.0000000000000000001", true},
        {"/id=9007199254740993e0", true},
        {"/id=9.007199254740993e15", true},
        {"/ns>1732792500123456788", true},
        {"/ns<=1732792500123456788", false},
        {"/max=18446744073709551617", false},
        {"/max=18446744073709551616", true},
        {"/long=123456789012345678901234567890123456789012345678901234567890123456789012345", true},
        {"/long>123456789012345678901234567890123456789012345678901234567890123456789012344", true},
        {"/long<123456789012345678901234567890123456789012345678901234567890123456789012346", true},
        {"/third<0.3333333333333333333334", true},
        {"/third>0.3333333333333333333329", true},
        {"/huge=1e400", true},
        {"/huge=10e399", true},
        {"/huge<1e401", true},
        {"/huge>1e309", true},
        {"/huge<1e999999999", true},
        {"/huge<1e99999999999999999999999999999999999999", true},
        {"/huge>1e-99999999999999999999999999999999999999", true},
        {"/tiny<0", true},
        {"/tiny>-1e-399", true},
        {"/tiny=0", false},
        {"/zero=0", true},
        {"/zero=0e99999999999999999999", true},
        {"/zero<0", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (ask(rows[i].condition, BIG) != rows[i].holds)
            fail_msg("%s must be %d", rows[i].condition, rows[i].holds);
}

static int
order(const char *a, const char *b)
{
    struct decimal x = decimal_of(text_of(a)), y = decimal_of(text_of(b));
    int forward = decimal_compare(&x, &y), backward = decimal_compare(&y, &x);

    assert_true((forward > 0) == (backward < 0) && (forward == 0) == (backward == 0));
    return (forward > 0) - (forward < 0);
}

static void
exponents_may_be_as_long_as_they_like(void **state)
{
    /* Those of one row are equal. */
    static const char *const rising[][4] = {
        {"-1e100000000000000000000000000"},
        {"-1e99999999999999999999999999"},
        {"-10"},
        {"-1", "-1.0e000000000000000000000000", "-0.001e+3"},
        {"-1e-99999999999999999999999999"},
        {"0", "-0", "0e-99999999999999999999999999", "0.000"},
        {"1e-100000000000000000000000000"},
        {"1e-99999999999999999999999999", "0.0001e-99999999999999999999999995",
         "10e-100000000000000000000000000"},
        {"2e-99999999999999999999999999"},
        {"1", "0.00000001E8", "100e-2"},
        {"1.5"},
        {"15"},
        {"1e18446744073709551616", "0.1e18446744073709551617", "100e+18446744073709551614"},
        {"1e18446744073709551617"},
        {"1.00001e18446744073709551617"},
        {"1e99999999999999999999999999"},
        {"1e100000000000000000000000000", "10e99999999999999999999999999"},
    };
    const size_t n = sizeof rising / sizeof rising[0];

    (void)state;
    for (size_t i = 0; i < n * 4; i++) {
        for (size_t k = 0; k < n * 4; k++) {
            const char *a = rising[i / 4][i % 4], *b = rising[k / 4][k % 4];

            if (a && b && order(a, b) != (i / 4 > k / 4) - (i / 4 < k / 4))
                fail_msg("%s and %s", a, b);
        }
    }
}

/* What the digits' number takes from the exponent may be more than the exponents' first digits. */
static void
long_digits_and_large_exponents_make_up_for_each_other(void **state)
{
    char a[64], b[512];

    (void)state;
    for (int zeros = 0; zeros <= 300; zeros += 25) {
        for (int more = -1; more <= 1; more++) {
            snprintf(a, sizeof a, "1e%d", 1000 + more);
            snprintf(b, sizeof b, "1%0*de%d", zeros, 0, 1000 - (zeros ? zeros : 1));
            if (order(a, b) != more)
                fail_msg("%s and %s", a, b);
            snprintf(a, sizeof a, "1e-%d", 1000 - more);
            snprintf(b, sizeof b, "0.%0*d1e-%d", zeros, 0, 1000 - (zeros ? zeros : 1) - 1);
            if (order(a, b) != more)
                fail_msg("%s and %s", a, b);
        }
    }
}

/* digits × 10^exponent, written in one of many ways. */
static void
spell(char *out, size_t n, long digits, int exponent)
{
    int zeros = rand() % 4, places = rand() % 4;
    long unit = places == 0 ? 1 : places == 1 ? 10 : places == 2 ? 100 : 1000;
    char tail[32] = "";

    if (exponent - zeros + places != 0 || rand() % 2)
        snprintf(tail, sizeof tail, "%c%s%0*d", rand() % 2 ? 'e' : 'E',
                 exponent - zeros + places < 0 ? "-"
                 : rand() % 2                  ? "+"
                                               : "",
                 1 + rand() % 3, abs(exponent - zeros + places));
    for (; zeros > 0; zeros--)
        digits *= 10;
    if (places > 0)
        snprintf(out, n, "%s%ld.%0*ld%s", digits < 0 ? "-" : "", labs(digits) / unit, places,
                 labs(digits) % unit, tail);
    else
        snprintf(out, n, "%ld%s", digits, tail);
}

static void
random_numbers_are_ordered_as_integers_of_the_same_unit_are(void **state)
{
    enum { EXPONENT_MAX = 9 };

    (void)state;
    srand(4);
    for (int round = 0; round < 100000; round++) {
        long digits[2];
        int exponent[2], wanted;
        __int128 value[2];
        char text[2][64];

        for (int i = 0; i < 2; i++) {
            digits[i] = rand() % 2 ? rand() % 21 - 10 : rand() - RAND_MAX / 2;
            exponent[i] = rand() % (2 * EXPONENT_MAX + 1) - EXPONENT_MAX;
            if (i == 1 && rand() % 4 == 0) { /* close to the first one */
                digits[1] = digits[0] * 10 + rand() % 3 - 1;
                exponent[1] = exponent[0] - 1;
            }
            value[i] = digits[i];
            for (int k = exponent[i]; k > -EXPONENT_MAX - 1; k--)
                value[i] *= 10;
            spell(text[i], sizeof text[i], digits[i], exponent[i]);
        }
        wanted = (value[0] > value[1]) - (value[0] < value[1]);
        if (order(text[0], text[1]) != wanted)
            fail_msg("%s and %s must be ordered %d", text[0], text[1], wanted);
    }
}

/* ---- what members are ---- */

static void
names_and_strings_are_what_they_stand_for(void **state)
{
    static const char data[] = "{\"id\\u0000a\":1,\"k\":\"a\\u0000b\",\"l\":\"\\ud800\","
                               "\"\\u0061\":\"\\u00e9\\ud83d\\udc26\",\"two\":1,\"two\":{\"x\":2}}";

    (void)state;
    assert_false(ask("/id", data));
    assert_false(ask("/k=a", data));
    assert_true(ask("/k", data));
    assert_true(ask("/l", data));
    assert_true(ask("/l!=\xef\xbf\xbd", data));
    assert_true(ask("/a=\xc3\xa9\xf0\x9f\x90\xa6", data));
    assert_true(ask("/two/x=2", data)); /* the last of two */
    assert_false(ask("/two=1", data));
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
        cmocka_unit_test(numbers_are_compared_exactly_whatever_their_length),
        cmocka_unit_test(exponents_may_be_as_long_as_they_like),
        cmocka_unit_test(long_digits_and_large_exponents_make_up_for_each_other),
        cmocka_unit_test(random_numbers_are_ordered_as_integers_of_the_same_unit_are),
        cmocka_unit_test(names_and_strings_are_what_they_stand_for),
        cmocka_unit_test(data_that_is_not_json_has_no_members),
        cmocka_unit_test(what_is_no_condition_is_refused_with_the_rule),
        cmocka_unit_test(the_order_of_conditions_makes_no_other_feed),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
