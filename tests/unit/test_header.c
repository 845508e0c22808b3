/* header: white space, lists, types and quoted texts, as clients write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "http/header.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static void
a_list_is_cut_at_its_commas_only(void **state)
{
    static const char *const parts[] = {"a", "", "b c", "\"d, \\\", e\"", "f", "\"g"};
    struct text rest = TEXT_LIT("a,\t, b c\t,\"d, \\\", e\" ,f, \"g"), part;
    size_t n = 0;

    (void)state;
    while (header_next(&rest, ',', &part)) {
        assert_in_range(n, 0, COUNT_OF(parts) - 1);
        if (!text_equal(part, text_of(parts[n])))
            fail_msg("part %zu is \"%.*s\"", n, (int)part.n, part.p);
        n++;
    }
    assert_int_equal(n, COUNT_OF(parts));
    rest = TEXT_NONE;
    assert_false(header_next(&rest, ',', &part));
}

static void
a_type_is_known_by_its_name_whatever_follows(void **state)
{
    static const struct {
        const char *content_type;
        bool is;
    } rows[] = {
        {"application/json", true},
        {"Application/JSON", true},
        {"application/json;charset=utf-8", true},
        {"application/json ; charset=utf-8", true},
        {"application/json\t;charset=utf-8", true},
        {" \tapplication/json\t ", true},
        {"application/json;", true},
        {"application/jsonp", false},
        {"application/json charset=utf-8", false},
        {"application/json,text/plain", false},
        {";application/json", false},
        {"", false},
        {NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (header_is_type(text_of(rows[i].content_type), "application/json") != rows[i].is)
            fail_msg("\"%s\"", rows[i].content_type);
}

static void
a_text_means_the_same_with_and_without_quotes(void **state)
{
    static const struct {
        const char *header, *value; /* NULL: refused */
    } rows[] = {
        {"a b", "a b"},
        {"\"a b\"", "a b"},
        {" \"a b\"\t", "a b"},
        {"a\"b", "a\"b"},
        {"\"a\\\"b\\\\\"", "a\"b\\"},
        {"", ""},
        {"\"\"", ""},
        {"\"", NULL},
        {"\"a", NULL},
        {"\"a\\", NULL},
        {"\"a\\\"", NULL},
        {"\"a\\b\"", NULL},
        {"\"a\"b", NULL},
        {"\"a\";v=1", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct errbuf eb = {""};
        char *value;
        enum err err = header_string(text_of(rows[i].header), &value, &eb);

        if (err != (rows[i].value ? ERR_OK : ERR_INVALID) || !rows[i].value != !value ||
            (value && strcmp(value, rows[i].value) != 0))
            fail_msg("%s gives %d and %s", rows[i].header, (int)err, value ? value : "nothing");
        assert_true(!value == (eb.text[0] != '\0'));
        mem_free(value);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_cut_at_its_commas_only),
        cmocka_unit_test(a_type_is_known_by_its_name_whatever_follows),
        cmocka_unit_test(a_text_means_the_same_with_and_without_quotes),
    };

    return cmocka_run_group_tests_name("header", tests, NULL, NULL);
}
