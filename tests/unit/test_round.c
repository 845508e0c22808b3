/* round: the next one waits for a web server that is still busy, and for nobody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

#include "fcgi/round.h"

enum { MANY = 100 };

struct world {
    struct outlet to[MANY];
    int peers[MANY];
    struct round round;
};

static int
set_up(void **state)
{
    static struct world w;

    for (int i = 0; i < MANY; i++) {
        int ends[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        outlet_init(&w.to[i], ends[0], 1, true);
        w.peers[i] = ends[1];
    }
    *state = &w;
    return 0;
}

static int
tear_down(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < MANY; i++) {
        close(w->to[i].fd);
        close(w->peers[i]);
    }
    return 0;
}

/* A round at 0 ms that gives n connections something. */
static void
give(struct world *w, int n)
{
    round_begin(&w->round, 0);
    for (int i = 0; i < n; i++) {
        assert_int_equal(write(w->to[i].fd, "event", 5), 5);
        round_wrote(&w->round, &w->to[i]);
    }
}

/* The web server takes what is there for the first n. */
static void
pass_on(struct world *w, int n)
{
    char bytes[64];

    for (int i = 0; i < n; i++)
        while (read(w->peers[i], bytes, sizeof bytes) > 0)
            ;
}

static void
what_the_peer_has_not_read_is_known(void **state)
{
    struct world *w = *state;

    assert_int_equal(outlet_unread(&w->to[0]), 0);
    give(w, 1);
    assert_true(outlet_unread(&w->to[0]) >= 5);
    pass_on(w, 1);
    assert_int_equal(outlet_unread(&w->to[0]), 0);
    outlet_init(&w->to[0], w->to[0].fd, 1, true);
    assert_int_equal(outlet_unread(&(struct outlet){.fd = -1}), 0);
}

static void
the_first_round_waits_for_nothing(void **state)
{
    struct world *w = *state;

    w->round = (struct round){0};
    assert_true(round_over(&w->round, 0));
    round_begin(&w->round, 0);
    assert_true(round_over(&w->round, 0));
}

static void
a_round_is_over_when_the_web_server_is_past_its_middle(void **state)
{
    struct world *w = *state;

    /* In 100 the witnesses are numbers 64 to 67. */
    give(w, MANY);
    assert_false(round_over(&w->round, 0));
    pass_on(w, MANY / 2);
    assert_false(round_over(&w->round, 0));
    pass_on(w, 64);
    assert_false(round_over(&w->round, 0));
    pass_on(w, 65);
    assert_true(round_over(&w->round, 0));
}

static void
a_small_round_is_not_waited_for(void **state)
{
    struct world *w = *state;

    give(w, ROUND_SMALL - 1);
    assert_true(round_over(&w->round, 0));
    give(w, ROUND_SMALL);
    assert_false(round_over(&w->round, 0));
}

static void
one_client_that_does_not_read_holds_up_nobody(void **state)
{
    struct world *w = *state;
    char bytes[64];

    give(w, MANY);
    assert_true(read(w->peers[66], bytes, sizeof bytes) > 0);
    assert_true(round_over(&w->round, 0));
}

static void
when_nobody_reads_the_wait_ends(void **state)
{
    struct world *w = *state;
    int64_t longest_ms = MANY * ROUND_EACH_US / 1000;

    give(w, MANY);
    assert_false(round_over(&w->round, longest_ms));
    assert_true(round_over(&w->round, longest_ms + 1));
    w->round.n = 1000 * 1000; /* as if that many had been written to */
    assert_false(round_over(&w->round, ROUND_MS_MAX));
    assert_true(round_over(&w->round, ROUND_MS_MAX + 1));
}

static void
a_connection_that_is_closed_is_not_asked(void **state)
{
    struct world *w = *state;

    give(w, MANY);
    for (int i = 64; i < 67; i++)
        round_forget(&w->round, &w->to[i]);
    pass_on(w, 67);
    assert_false(round_over(&w->round, 0));
    round_forget(&w->round, &w->to[0]); /* no witness */
    pass_on(w, 68);
    assert_true(round_over(&w->round, 0));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_the_peer_has_not_read_is_known),
        TEST(the_first_round_waits_for_nothing),
        TEST(a_round_is_over_when_the_web_server_is_past_its_middle),
        TEST(a_small_round_is_not_waited_for),
        TEST(one_client_that_does_not_read_holds_up_nobody),
        TEST(when_nobody_reads_the_wait_ends),
        TEST(a_connection_that_is_closed_is_not_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
