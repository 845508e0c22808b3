/* question: many conditions answered in one walk give what each gives alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "stream/question.h"

enum { HELD_MAX = 60, STEPS = 20000 };

static struct questions registry;
static struct question_index index_;
static uint64_t seed = 1;

static uint32_t
dice(uint32_t below)
{
    seed = seed * 6364136223846793005 + 1442695040888963407;
    return (uint32_t)(seed >> 33) % below;
}

static void
open_all(void)
{
    questions_init(&registry);
    question_index_init(&index_);
}

static void
hand_over(void)
{
    question_changes_move(&index_.changes, &registry.changes);
    question_index_apply(&index_);
}

static void
close_all(void)
{
    hand_over();
    assert_int_equal(registry.n, 0);
    assert_int_equal(index_.n, 0);
    question_index_finish(&index_);
    questions_finish(&registry);
}

static struct question *
hold(const char *source)
{
    struct where_condition c;
    struct question *q;

    assert_int_equal(where_parse(&c, text_of(source), NULL), ERR_OK);
    q = question_hold(&registry, &c);
    where_finish(&c);
    return q;
}

static bool
bit(const struct buf *row, const struct question *q)
{
    const uint64_t *words = (const uint64_t *)(const void *)row->data;

    return words[q->slot / 64] >> q->slot % 64 & 1;
}

/* What the condition says alone. */
static bool
alone(const struct question *q, const char *data)
{
    struct where_subject subject = {0};

    where_subject_set(&subject, text_of(data));
    return where_holds(&q->condition, 1, &subject);
}

static void
ask(struct question **held, size_t n, const char *data)
{
    struct buf row;

    buf_init(&row, 1 << 20);
    question_index_answer(&index_, text_of(data), &row);
    assert_false(buf_failed(&row));
    assert_int_equal(row.length, index_.words * 8);
    for (size_t i = 0; i < n; i++)
        if (held[i] && held[i]->since <= index_.applied &&
            bit(&row, held[i]) != alone(held[i], data))
            fail_msg("seed %llu: %s of %s", (unsigned long long)seed, held[i]->condition.source.p,
                     data);
    buf_finish(&row);
}

static const char *const conditions[] = {
    "/a",        "/a=1",        "/a=x",       "/a!=1",   "/a>0",   "/b",       "/b/c",
    "/b/c=null", "/b/c!=true",  "/b/c>=2.50", "/b/0",    "/b/0=1", "/b/1/c=x", "/b/10",
    "/b/c/d",    "/\xc3\xa9=1", "/q~1r=1",    "/q~0r=1", "/=1",    "/a/a/a",   "/a/a/a!=0",
};

/* JSON with all that makes it hard: doubles, escapes in names, depth, arrays, what is no object. */
static const char *const documents[] = {
    "{\"a\":1}",
    "{\"a\":\"x\",\"b\":{\"c\":null}}",
    "{\"a\":1,\"a\":2}",
    "{\"b\":{\"c\":2.5},\"b\":{}}",
    "{\"b\":{\"c\":2.5},\"b\":3}",
    "{\"b\":{\"c\":{\"d\":1}},\"a\":{\"a\":{\"a\":0}}}",
    "{\"b\":[1,{\"c\":\"x\"},3]}",
    "{\"b\":[0,1,2,3,4,5,6,7,8,9,10]}",
    "{\"\\u0061\":1,\"\\u00e9\":1}",
    "{\"\xc3\xa9\":1,\"q/r\":1,\"q~r\":1,\"\":1}",
    "{\"a\\u0000\":1,\"\\ud800\":1}",
    "[{\"a\":1}]",
    "\"a\"",
    "17",
    "not JSON at all",
    "",
    "{\"a\":1",
    "{\"a\":{\"a\":{\"a\":0,\"a\":1}},\"a\":{\"a\":[]}}",
};

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static void
all_questions_together_give_what_each_gives_alone(void **state)
{
    struct question *held[HELD_MAX] = {NULL};

    (void)state;
    open_all();
    for (int step = 0; step < STEPS; step++) {
        size_t i = dice(HELD_MAX);

        if (held[i]) {
            question_release(&registry, held[i]);
            held[i] = NULL;
        } else {
            held[i] = hold(conditions[dice(COUNT_OF(conditions))]);
            assert_non_null(held[i]);
        }
        if (dice(3) == 0)
            hand_over();
        ask(held, HELD_MAX, documents[dice(COUNT_OF(documents))]);
    }
    for (size_t i = 0; i < HELD_MAX; i++)
        if (held[i])
            question_release(&registry, held[i]);
    close_all();
}

static void
the_same_text_is_the_same_question(void **state)
{
    struct question *a, *b, *c;

    (void)state;
    open_all();
    a = hold("/a=1");
    b = hold("/a=1");
    c = hold("/a=2");
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    assert_int_equal(registry.n, 2);
    question_release(&registry, a);
    assert_int_equal(registry.n, 2);
    question_release(&registry, b);
    question_release(&registry, c);
    close_all();
}

/* Added and dropped before the other end heard of it, or while it was on its way. */
static void
what_was_dropped_on_its_way_never_arrives(void **state)
{
    struct question *a, *b;
    struct question_changes on_the_way;

    (void)state;
    open_all();
    a = hold("/a");
    question_release(&registry, a);
    hand_over();
    assert_int_equal(index_.n, 0);
    b = hold("/b");
    question_changes_init(&on_the_way);
    question_changes_move(&on_the_way, &registry.changes);
    question_release(&registry, b);
    question_changes_move(&on_the_way, &registry.changes);
    question_changes_move(&index_.changes, &on_the_way);
    question_index_apply(&index_);
    assert_int_equal(index_.n, 0);
    close_all();
}

static void
a_name_longer_than_any_is_found_too(void **state)
{
    static char source[4000], data[9000];
    struct question *held[1];
    int n;

    (void)state;
    open_all();
    memset(source, 'x', 3000);
    source[0] = '/';
    held[0] = hold(source);
    hand_over();
    n = snprintf(data, sizeof data, "{\"\\u0078%s\":1}", source + 2); /* with an escape */
    assert_true(n > 3000);
    assert_true(alone(held[0], data));
    ask(held, 1, data);
    question_release(&registry, held[0]);
    close_all();
}

/* Whatever is short of memory: a question is refused, or comes later; none is answered wrongly. */
static void
every_allocation_may_fail(void **state)
{
    (void)state;
    for (long n = 1; n < 60; n++) {
        struct question *held[3] = {NULL};

        open_all();
        mem_fail_at(n);
        for (size_t i = 0; i < 3; i++) {
            struct where_condition c;

            if (where_parse(&c, text_of(conditions[6 + i]), NULL) != ERR_OK)
                continue;
            held[i] = question_hold(&registry, &c);
            where_finish(&c);
        }
        hand_over();
        mem_fail_at(0);
        ask(held, 3, documents[5]);
        hand_over();
        assert_int_equal(index_.applied, index_.changes.last);
        ask(held, 3, documents[5]);
        for (size_t i = 0; i < 3; i++)
            if (held[i])
                question_release(&registry, held[i]);
        close_all();
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_questions_together_give_what_each_gives_alone),
        cmocka_unit_test(the_same_text_is_the_same_question),
        cmocka_unit_test(what_was_dropped_on_its_way_never_arrives),
        cmocka_unit_test(a_name_longer_than_any_is_found_too),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
