/* feed: rings of what matches in the window. */
#include "tests/unit/hub_world.h"

/* Two feeds of the same events, and memory for one ring of 32 entries beside a first one of 16. */
static void
rings_that_may_not_grow_keep_what_is_newer(void **state)
{
    struct client a, b;

    (void)state;
    open_hub(64 * 1024, 256, 0);
    hub.feed_memory.max = 48 * sizeof(struct feed_entry);
    assert_true(join(&a, wish("x", "y", NULL), 0));
    assert_true(join(&b, wish("x", "z", NULL), 0));
    for (int i = 0; i < 150; i++)
        insert("x", NULL);
    publish_new();
    assert_int_equal(hub.feed_memory.bytes, hub.feed_memory.max);
    assert_int_equal(a.sub.feed->capacity + b.sub.feed->capacity, 48);
    assert_in_range(a.sub.feed->floor_id, 150 - 32, 150 - 8);
    assert_in_range(b.sub.feed->floor_id, 150 - 32, 150 - 8);
    a.sub.at.pos.cursor = b.sub.at.pos.cursor = 146;
    catch_up(&a);
    catch_up(&b);
    assert_string_equal(a.ids, "147 148 149 150 live ");
    assert_string_equal(b.ids, "147 148 149 150 live ");
    leave(&a);
    leave(&b);
    assert_int_equal(hub.feed_memory.bytes, 0);
    close_hub();
}

static void
the_newest_n_are_found_in_memory_or_not_at_all(void **state)
{
    struct client all, some;
    int64_t position = -1;

    (void)state;
    open_hub(64 * 1024, 16, 0);
    for (int i = 0; i < 30; i++)
        insert(i % 3 ? "a" : "b", NULL); /* b: 1, 4, 7, … 28 */
    publish_new();                       /* kept: 15 to 30 */
    assert_true(join(&all, wish(NULL, NULL, NULL), 0));
    assert_true(join(&some, wish("b", NULL, NULL), 0));
    assert_true(feed_last(all.sub.feed, 0, &position));
    assert_int_equal(position, 30);
    assert_true(feed_last(all.sub.feed, 1, &position));
    assert_int_equal(position, 29);
    assert_true(feed_last(all.sub.feed, 16, &position));
    assert_int_equal(position, 14);
    assert_false(feed_last(all.sub.feed, 17, &position));
    assert_true(feed_last(some.sub.feed, 0, &position));
    assert_int_equal(position, 30);
    assert_true(feed_last(some.sub.feed, 1, &position));
    assert_in_range(position, 25, 27);
    assert_true(feed_last(some.sub.feed, 5, &position)); /* 16, 19, 22, 25, 28 */
    assert_in_range(position, 14, 15);
    assert_false(feed_last(some.sub.feed, 6, &position));
    some.sub.at.pos.cursor = 15;
    catch_up(&some);
    assert_string_equal(some.ids, "16 19 22 25 28 live ");
    leave(&all);
    leave(&some);
    close_hub();
}

static void
a_feed_made_late_finds_what_the_window_holds(void **state)
{
    struct client c;

    (void)state;
    open_hub(64 * 1024, 64, 0);
    for (int i = 0; i < 40; i++)
        insert(i % 2 ? "a" : "b", i % 4 ? "x" : NULL);
    publish_new();
    assert_true(join(&c, wish("b", NULL, "x"), 20));
    assert_true(feed_covers(c.sub.feed, 0));
    catch_up(&c);
    assert_string_equal(c.ids, "23 27 31 35 39 live ");
    leave(&c);
    close_hub();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rings_that_may_not_grow_keep_what_is_newer),
        cmocka_unit_test(the_newest_n_are_found_in_memory_or_not_at_all),
        cmocka_unit_test(a_feed_made_late_finds_what_the_window_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
