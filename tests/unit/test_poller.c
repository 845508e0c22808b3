/* poller: what is reported about a socket, and how often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "fcgi/poller.h"

static struct poller poller;
static int ours, theirs;
static unsigned reported, reports;

static void
happened(void *who, unsigned what)
{
    assert_ptr_equal(who, &ours);
    reported |= what;
    reports++;
}

static unsigned
take(void)
{
    reported = 0;
    poller_take(&poller, happened);
    return reported;
}

static int
set_up(void **state)
{
    int ends[2];
    struct errbuf eb;

    (void)state;
    if (poller_open(&poller, &eb) != ERR_OK ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) < 0)
        return -1;
    ours = ends[0];
    theirs = ends[1];
    reports = 0;
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    close(ours);
    close(theirs);
    poller_close(&poller);
    return 0;
}

static void
fill(int fd)
{
    char bytes[4096] = {0};

    while (write(fd, bytes, sizeof bytes) > 0)
        ;
}

static void
empty(int fd)
{
    char bytes[4096];

    while (read(fd, bytes, sizeof bytes) > 0)
        ;
}

static void
what_came_before_watching_is_reported(void **state)
{
    (void)state;
    assert_int_equal(write(theirs, "x", 1), 1);
    assert_true(poller_add(&poller, ours, &ours));
    assert_int_equal(take(), POLLER_READABLE);
}

static void
what_is_left_unread_is_not_reported_again(void **state)
{
    (void)state;
    poller_add(&poller, ours, &ours);
    assert_int_equal(write(theirs, "x", 1), 1);
    assert_int_equal(take(), POLLER_READABLE);
    assert_int_equal(take(), 0);
    assert_int_equal(write(theirs, "y", 1), 1);
    assert_int_equal(take(), POLLER_READABLE);
}

static void
writability_is_reported_only_when_it_is_wanted(void **state)
{
    (void)state;
    poller_add(&poller, ours, &ours);
    assert_int_equal(take(), 0);
    fill(ours);
    empty(theirs);
    assert_int_equal(take(), 0);
    poller_want_writable(&poller, ours, &ours, true);
    assert_int_equal(take(), POLLER_WRITABLE);
    assert_int_equal(take(), 0);
}

static void
each_time_a_full_socket_empties_is_reported(void **state)
{
    (void)state;
    poller_add(&poller, ours, &ours);
    poller_want_writable(&poller, ours, &ours, true);
    take();
    for (int i = 0; i < 3; i++) {
        fill(ours);
        assert_int_equal(take(), 0);
        empty(theirs);
        assert_int_equal(take(), POLLER_WRITABLE);
    }
    poller_want_writable(&poller, ours, &ours, false);
    fill(ours);
    empty(theirs);
    assert_int_equal(take(), 0);
}

static void
a_peer_that_closes_is_reported(void **state)
{
    (void)state;
    poller_add(&poller, ours, &ours);
    shutdown(theirs, SHUT_WR);
    assert_int_equal(take(), POLLER_READABLE | POLLER_CLOSED);
}

static void
a_closed_descriptor_is_not_reported(void **state)
{
    (void)state;
    poller_add(&poller, ours, &ours);
    assert_int_equal(write(theirs, "x", 1), 1);
    close(ours);
    ours = -1;
    assert_int_equal(take(), 0);
}

static void
more_sockets_than_are_asked_for_at_once(void **state)
{
    enum { MANY = 400 };
    int ends[MANY][2];

    (void)state;
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]), 0);
        assert_int_equal(write(ends[i][1], "x", 1), 1);
        assert_true(poller_add(&poller, ends[i][0], &ours));
    }
    take();
    assert_int_equal(reports, MANY);
    for (int i = 0; i < MANY; i++) {
        close(ends[i][0]);
        close(ends[i][1]);
    }
}

static void
a_plain_file_cannot_be_watched(void **state)
{
    char name[] = "poller-XXXXXX";
    int fd = mkstemp(name);

    (void)state;
    assert_true(fd >= 0);
    unlink(name);
    assert_false(poller_add(&poller, fd, &ours));
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_came_before_watching_is_reported),
        TEST(what_is_left_unread_is_not_reported_again),
        TEST(writability_is_reported_only_when_it_is_wanted),
        TEST(each_time_a_full_socket_empties_is_reported),
        TEST(a_peer_that_closes_is_reported),
        TEST(a_closed_descriptor_is_not_reported),
        TEST(more_sockets_than_are_asked_for_at_once),
        TEST(a_plain_file_cannot_be_watched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
