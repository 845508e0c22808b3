/* turn: what the responder does when time passes: heartbeats, stalls, timeouts, draining, rounds,
 * long polls, tokens that expire. Whole, but for the loop that waits; see turn_world.h. */
#include "tests/unit/turn_world.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "fcgi/round.h"
#include "tests/unit/front.h"
#include "tests/unit/keys.h"
#include "tests/unit/sign.h"

static const char *const none[] = {NULL};

static struct turn_world w;

static int
close_world(void **state)
{
    (void)state;
    turn_world_close(&w);
    return 0;
}

#define INSERT(topic, data)                                                                        \
    sql(&w, "INSERT INTO events(topic, data) VALUES ('" topic "', " data ")")

static size_t
count(struct client *c, const char *text)
{
    const char *at, *end;
    size_t n = 0;

    has_got(c, text);
    at = c->got.data;
    end = at + c->got.length;
    for (; (at = memmem(at, (size_t)(end - at), text, strlen(text))); at += strlen(text))
        n++;
    return n;
}

static void
an_event_reaches_the_streams_that_want_it(void **state)
{
    struct client *all, *some, *other;

    (void)state;
    turn_world_open(&w, none);
    all = stream_of(&w, "");
    some = stream_of(&w, "topic=a*");
    other = stream_of(&w, "topic=b");
    INSERT("ab", "'first'");
    UNTIL(&w, has_got(all, "data: first\n\n") && has_got(some, "data: first\n\n"));
    assert_false(has_got(other, "first"));
    assert_false(has_ended(all));
}

static void
silence_ends_with_a_heartbeat_when_it_is_due(void **state)
{
    static const char *const options[] = {"--heartbeat", "15s", NULL};
    struct client *c;

    (void)state;
    turn_world_open(&w, options);
    c = stream_of(&w, "topic=a");
    pass(&w, 0);
    assert_int_equal(w.wait_ms, 15000); /* the loop is asked to wait that long, no longer */
    pass(&w, 14000);
    assert_int_equal(count(c, "\n:\n"), 0);
    assert_int_equal(w.wait_ms, 1000);
    pass(&w, 1000);
    pass(&w, 0);
    assert_int_equal(count(c, "\n:\n"), 1);
    assert_int_equal(w.wait_ms, 15000);
    /* What is sent counts: the silence begins again. */
    pass(&w, 10000);
    INSERT("a", "'x'");
    UNTIL(&w, has_got(c, "data: x\n\n"));
    pass(&w, 14000);
    assert_int_equal(count(c, "\n:\n"), 1);
    pass(&w, 1000);
    pass(&w, 0);
    assert_int_equal(count(c, "\n:\n"), 2);
    assert_int_equal(w.server.counters.heartbeats, 2);
}

static void
a_client_that_takes_nothing_is_ended_after_the_stall_timeout(void **state)
{
    static const char *const options[] = {"--stall-timeout", "60s", "--record-bytes", "65535",
                                          NULL};
    struct client *lazy, *slow;

    (void)state;
    turn_world_open(&w, options);
    lazy = stream_of(&w, "topic=a");
    slow = stream_of(&w, "topic=a");
    INSERT("a", "hex(zeroblob(100000))");
    UNTIL(&w, w.server.counters.writes_cut >= 2);
    assert_true(w.server.unsent > 0 && w.server.unsent < 2 * 70000);
    pass(&w, 59000);
    assert_false(is_closed(slow)); /* which reads, and so makes room: progress */
    UNTIL(&w, w.server.n_conns == 2 && has_got(slow, "000\n\n"));
    pass(&w, 1000);
    assert_int_equal(w.server.counters.stalled, 1);
    assert_int_equal(w.server.n_conns, 1);
    assert_int_equal(w.server.n_seats, 1);
    assert_true(is_closed(lazy));
    assert_false(has_ended(lazy)); /* cut, not ended: a part of a record was on its way */
    assert_false(is_closed(slow));
    assert_int_equal(w.server.unsent, 0);
}

static void
a_request_that_does_not_come_is_waited_for_no_longer_than_said(void **state)
{
    static const char *const options[] = {"--request-timeout", "10s", "--keep-idle", "75s", NULL};
    struct client *kept, *half;
    char begun[] = "\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0";

    (void)state;
    turn_world_open(&w, options);
    kept = ask(&w, "nonsense=%zz&since=what", true, NULL);
    UNTIL(&w, has_ended(kept)); /* 400, and the connection is kept */
    assert_true(has_got(kept, "Status: 400"));
    pass(&w, 74000);
    half = kept; /* the next request begins on it, and stops in the middle */
    say(half, (struct text){begun, 16});
    UNTIL(&w, !TAILQ_EMPTY(&w.server.requests.queue));
    pass(&w, 9000);
    assert_false(is_closed(half));
    assert_int_equal(w.wait_ms, 1000);
    pass(&w, 1000);
    assert_true(is_closed(half));
    assert_int_equal(w.server.counters.connections_bad, 1);
    kept = ask(&w, "since=what", true, NULL);
    UNTIL(&w, has_ended(kept));
    pass(&w, 74000);
    assert_false(is_closed(kept));
    pass(&w, 1000);
    assert_true(is_closed(kept));
    assert_int_equal(w.server.n_conns, 0);
}

static void
draining_ends_a_share_of_the_streams_at_a_time(void **state)
{
    enum { STREAMS = 40 };
    static const char *const options[] = {"--drain", "2s", NULL};
    static const char *const wait[] = {"HTTP_ACCEPT", "application/json", NULL};
    struct client *streams[STREAMS], *poll;
    int ended = 0;

    (void)state;
    turn_world_open(&w, options);
    for (int i = 0; i < STREAMS; i++)
        streams[i] = stream_of(&w, "topic=a");
    poll = ask(&w, "topic=a&wait=30s", false, wait);
    UNTIL(&w, w.server.counters.history_waits == 1);
    w.server.stop_asked = 1;
    pass(&w, 0);
    assert_false(w.listening);
    pass(&w, 0);
    assert_true(has_got(poll, "\"events\":[]")); /* nothing to wait for any more */
    for (int ms = 0; ms < 200; ms += 20)
        pass(&w, 20);
    for (int i = 0; i < STREAMS; i++)
        ended += has_ended(streams[i]);
    assert_in_range(ended, 4, STREAMS / 2);
    assert_false(w.stopped);
    for (int ms = 0; ms < 1800; ms += 20)
        pass(&w, 20);
    for (int i = 0; i < STREAMS; i++)
        assert_true(has_ended(streams[i]));
    /* The web server closes; if it does not, it is not waited for. */
    pass(&w, 2000);
    assert_int_equal(w.server.n_conns, 0);
    assert_true(w.stopped);
}

static void
the_next_round_waits_for_the_web_server_but_not_for_long(void **state)
{
    enum { STREAMS = ROUND_SMALL + 8 };
    struct client *streams[STREAMS];
    int64_t longest_ms = STREAMS * ROUND_EACH_US / 1000 + 1;

    (void)state;
    turn_world_open(&w, none);
    for (int i = 0; i < STREAMS; i++)
        streams[i] = stream_of(&w, "topic=a");
    pass(&w, longest_ms);
    INSERT("a", "'one'");
    UNTIL(&w, w.server.counters.events_sent == STREAMS);
    /* Nobody has read: what is new meanwhile waits, and goes out together. */
    INSERT("a", "'two'");
    UNTIL(&w, w.server.counters.events_read == 2);
    INSERT("a", "'three'");
    UNTIL(&w, w.server.counters.events_read == 3);
    assert_int_equal(w.server.counters.events_sent, STREAMS);
    assert_int_equal(w.wait_ms, 0);
    for (int i = 0; i < STREAMS; i++)
        assert_true(has_got(streams[i], "data: one\n\n"));
    pass(&w, 0);
    assert_int_equal(w.server.counters.events_sent, 3 * STREAMS);
    assert_int_equal(w.server.counters.writes, 3 * STREAMS); /* live, one, two with three */
    /* Where nobody reads at all, it does not wait for ever. */
    INSERT("a", "'four'");
    UNTIL(&w, w.server.counters.events_read == 4);
    assert_int_equal(w.server.counters.events_sent, 3 * STREAMS);
    pass(&w, longest_ms + 1);
    assert_int_equal(w.server.counters.events_sent, 4 * STREAMS);
}

static void
a_long_poll_is_answered_by_an_event_or_when_its_time_is_up(void **state)
{
    static const char *const json[] = {"HTTP_ACCEPT", "application/json", NULL};
    static const char *const options[] = {"--wait-max", "50s", NULL};
    struct client *first, *second, *longest;

    (void)state;
    turn_world_open(&w, options);
    first = ask(&w, "topic=a&wait=30s", false, json);
    second = ask(&w, "topic=b&wait=30s", false, json);
    longest = ask(&w, "topic=b&wait=1h", false, json);
    UNTIL(&w, w.server.counters.history_waits == 3);
    assert_int_equal(w.server.n_seats, 3);
    pass(&w, 29000);
    assert_int_equal(w.wait_ms, 1000);
    INSERT("a", "'now'");
    UNTIL(&w, has_got(first, "\"data\":\"now\""));
    assert_false(has_got(second, "Status"));
    pass(&w, 1000);
    pass(&w, 0);
    assert_true(has_got(second, "Status: 200 OK"));
    assert_true(has_got(second, "\"events\":[]"));
    assert_false(has_got(longest, "Status"));
    pass(&w, 20000);
    pass(&w, 0);
    assert_true(has_got(longest, "\"events\":[]"));
    assert_int_equal(w.server.n_seats, 0);
}

/* With a token that is good for that many seconds from now on. */
static struct client *
ask_with_token(const char *query, int seconds)
{
    char claims[200], header[1000];
    const char *more[] = {"HTTP_AUTHORIZATION", header, NULL};
    struct buf token;

    snprintf(claims, sizeof claims, "{\"exp\":%lld,\"freshet\":{\"read\":[\"a\"]}}",
             (long long)time(NULL) + seconds);
    buf_init(&token, sizeof header);
    sign_token(&token, "HS256", secret, "{\"alg\":\"HS256\"}", claims);
    snprintf(header, sizeof header, "Bearer %.*s", (int)token.length, token.data);
    buf_finish(&token);
    return ask(&w, query, false, more);
}

static void
a_stream_ends_with_its_token(void **state)
{
    static const char *const options[] = {"--token-key", "KEY", NULL};
    struct client *brief, *lasting, *poll;

    (void)state;
    turn_world_open(&w, options);
    lasting = ask_with_token("topic=a", 3600);
    brief = ask_with_token("topic=a", 60);
    UNTIL(&w, has_got(brief, "freshet:live") && has_got(lasting, "freshet:live"));
    pass(&w, 58000);
    assert_false(has_ended(brief));
    pass(&w, 2000);
    pass(&w, 0);
    assert_true(has_ended(brief));
    assert_false(has_ended(lasting));
    assert_int_equal(w.server.counters.streams_expired, 1);
    poll = ask_with_token("topic=b", 60);
    UNTIL(&w, has_ended(poll));
    assert_true(has_got(poll, "Status: 403"));
}

static void
what_is_kept_for_clients_stays_within_its_bound(void **state)
{
    enum { STREAMS = 8, KEPT_MAX = 200000 };
    static const char *const options[] = {"--unsent-bytes", "200000", "--record-bytes", "65535",
                                          NULL};
    struct client *streams[STREAMS];

    (void)state;
    turn_world_open(&w, options);
    for (int i = 0; i < STREAMS; i++) {
        streams[i] = stream_of(&w, "topic=a");
        pass(&w, 1); /* the first is the one that has taken nothing for longest */
    }
    INSERT("a", "hex(zeroblob(100000))");
    UNTIL(&w, w.server.counters.writes_cut >= STREAMS);
    assert_in_range(w.server.unsent, 1, KEPT_MAX);
    assert_in_range(w.server.counters.unsent_drops, 1, STREAMS - 1);
    assert_int_equal(w.server.n_conns, STREAMS - (int)w.server.counters.unsent_drops);
    for (int i = 0; i < STREAMS; i++)
        assert_int_equal(is_closed(streams[i]), i < (int)w.server.counters.unsent_drops);
    UNTIL(&w, has_got(streams[STREAMS - 1], "000\n\n")); /* a client that reads goes on */
}

#define TURN_TEST(name) cmocka_unit_test_teardown(name, close_world)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TURN_TEST(an_event_reaches_the_streams_that_want_it),
        TURN_TEST(silence_ends_with_a_heartbeat_when_it_is_due),
        TURN_TEST(a_client_that_takes_nothing_is_ended_after_the_stall_timeout),
        TURN_TEST(a_request_that_does_not_come_is_waited_for_no_longer_than_said),
        TURN_TEST(draining_ends_a_share_of_the_streams_at_a_time),
        TURN_TEST(the_next_round_waits_for_the_web_server_but_not_for_long),
        TURN_TEST(a_long_poll_is_answered_by_an_event_or_when_its_time_is_up),
        TURN_TEST(a_stream_ends_with_its_token),
        TURN_TEST(what_is_kept_for_clients_stays_within_its_bound),
    };

    return cmocka_run_group_tests_name("turn", tests, NULL, NULL);
}
