/* A hub whose memory runs out at every possible moment: a client that got in must get
 * everything. */
#include "tests/unit/hub_world.h"

#include <string.h>

#include "base/mem.h"

static void
a_gather_without_memory_gives_nothing_and_moves_nothing(void **state)
{
    struct client c;

    (void)state;
    open_hub(64 * 1024, 64, 0);
    assert_true(join(&c, wish("a", NULL, NULL), 0));
    mem_fail_at(1); /* for the text of freshet:live */
    assert_int_equal(gather(&c, 4096), GATHERED_PART);
    mem_fail_at(0);
    assert_string_equal(c.ids, "");
    assert_false(c.sub.at.live_told);
    catch_up(&c);
    assert_string_equal(c.ids, "live ");
    leave(&c);
    close_hub();
}

/* Topics go round: b, ab, a, b, …; every seventh event has a type. */
static void
insert_up_to(int64_t id)
{
    static const char *const round[] = {"a", "b", "ab"};

    while (newest < id)
        insert(round[(newest + 1) % 3], (newest + 1) % 7 ? NULL : "x");
}

/* One life of a hub in which the n-th allocation fails. Whoever got in must get everything. False
 * when there were fewer allocations than n. */
static bool
live_with_failure_at(long n)
{
    static const struct {
        const char *topic, *second, *type, *ids;
    } wishes[] = {
        {"a", NULL, NULL, "3 6 9 12 15 18 21 24 27 30 live 33 36 "},
        {"a", NULL, NULL, "3 6 9 12 15 18 21 24 27 30 live 33 36 "},
        {"a*", NULL, NULL, "3 5 6 8 9 11 12 14 15 17 18 20 21 23 24 26 27 29 30 live 32 33 35 36 "},
        {NULL, NULL, "x", "7 14 21 28 live 35 "},
        {"b", "ab", NULL, "4 5 7 8 10 11 13 14 16 17 19 20 22 23 25 26 28 29 live 31 32 34 35 "},
    };
    struct client clients[COUNT_OF(wishes)];
    bool in[COUNT_OF(wishes)], failed;

    empty_table();
    mem_fail_at(n);
    if (hub_init(&hub, 900, 8, 3000, 0, "k3f9") != ERR_OK) {
        mem_fail_at(0);
        return true;
    }
    insert_up_to(30);
    publish_new();
    for (size_t i = 0; i < COUNT_OF(wishes); i++)
        in[i] = join(&clients[i], wish(wishes[i].topic, wishes[i].second, wishes[i].type), 2);
    for (size_t i = 0; i < COUNT_OF(wishes); i++)
        if (in[i])
            catch_up(&clients[i]);
    insert_up_to(33);
    publish_new();
    insert_up_to(36);
    publish_new();
    while (hub_next_dirty(&hub))
        ;
    hub_trim(&hub);
    for (size_t i = 0; i < COUNT_OF(wishes); i++)
        if (in[i])
            catch_up(&clients[i]);
    failed = mem_count() >= n;
    mem_fail_at(0);
    for (size_t i = 0; i < COUNT_OF(wishes); i++) {
        if (in[i] && strcmp(clients[i].ids, wishes[i].ids) != 0)
            fail_msg("allocation %ld: client %zu has \"%s\"", n, i, clients[i].ids);
        leave(&clients[i]);
    }
    close_hub();
    return failed;
}

static void
a_hub_survives_a_failure_at_every_allocation(void **state)
{
    long n = 1;

    (void)state;
    while (live_with_failure_at(n))
        n++;
    assert_true(n > 50); /* else nothing was tried */
}

/* A topic that looks like a pattern meets its feed twice. If memory ends at the first meeting, the
 * second one must not put the event where the feed says that it knows nothing: it would be counted
 * twice, or not at all. */
static void
a_feed_that_had_no_memory_still_counts_right(void **state)
{
    (void)state;
    for (long n = 1; n < 20; n++) {
        struct client c;
        int64_t position;

        open_hub(64 * 1024, 64, 1 << 20);
        assert_true(join(&c, wish("a*", NULL, NULL), 0));
        insert("a*", NULL);
        insert("a*", NULL);
        mem_fail_at(n);
        publish_new();
        mem_fail_at(0);
        for (int wanted = 2; wanted >= 1; wanted--)
            if (!feed_last(c.sub.feed, (uint64_t)wanted, &position) || position != 2 - wanted)
                fail_msg("allocation %ld: the newest %d begin after %lld", n, wanted,
                         (long long)position);
        catch_up(&c);
        assert_string_equal(c.ids, "1 2 live ");
        leave(&c);
        close_hub();
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gather_without_memory_gives_nothing_and_moves_nothing),
        cmocka_unit_test(a_hub_survives_a_failure_at_every_allocation),
        cmocka_unit_test(a_feed_that_had_no_memory_still_counts_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
