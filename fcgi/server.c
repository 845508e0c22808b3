/* server: the program, from top to bottom.
 *
 * The loop's callbacks only record what has happened. Then, once per wake-up, server_turn() does
 * the work in a fixed order: accept → tail → replay → flush → timers → reap. Everything here
 * belongs to the loop's thread. What begins and ends it is in server_run.c. */
#include "fcgi/server.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "fcgi/conn.h"
#include "fcgi/conn_read.h"
#include "fcgi/control.h"
#include "fcgi/history.h"
#include "fcgi/loop.h"
#include "fcgi/publish.h"
#include "fcgi/replay.h"
#include "fcgi/route.h"
#include "fcgi/seat.h"
#include "fcgi/stream.h"

enum {
    ACCEPT_MAX = 256,      /* connections per turn and socket */
    ACCEPT_PAUSE_MS = 100, /* after running out of descriptors */
    PAUSE_LOG_MS = 10000,  /* it is logged this often while it lasts */
    LINGER_MS = 2000,      /* for the peer to close after the response */
    DRAIN_TICK_MS = 20,
    GATHER_MS = 100, /* heartbeats that are due within this time go out together */
    REST_US = 1000,  /* between two looks whether a round is over */
};

/* ---- accept ---- */

static void
pause_accepting(struct server *s)
{
    s->counters.accept_pauses++;
    if (s->now_ms >= s->pause_log_ms) {
        s->pause_log_ms = s->now_ms + PAUSE_LOG_MS;
        log_line(LOG_WARN, "accepting pauses for %d ms at a time: %s; %llu connections are open",
                 ACCEPT_PAUSE_MS, strerror(errno), (unsigned long long)s->n_conns);
    }
    loop_pause_listening(s, ACCEPT_PAUSE_MS);
}

/* Not inherited from the listening socket when that is a unix socket. What waits in the kernel
 * cannot coalesce any more; a small buffer keeps the backlog in the window. */
static void
limit_send_buffer(const struct server *s, int fd)
{
    int size = (int)s->settings->send_buffer;

    if (size > 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

static void
accept_from(struct server *s, int listener)
{
    for (int i = 0; i < ACCEPT_MAX; i++) {
        struct conn *c;
        int fd = -1;

        errno = EMFILE;
        if (s->n_conns < s->conns_max)
            fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                pause_accepting(s);
            return; /* EAGAIN: all taken; others concern one connection that is gone */
        }
        s->counters.connections++;
        limit_send_buffer(s, fd);
        c = conn_create(s, fd, false);
        if (!c)
            continue;
        conn_read(c);
        conn_watch(c);
    }
}

static void
stage_accept(struct server *s)
{
    struct conn_queue now;
    struct conn *c;

    /* A connection with more to read than is read at once links itself in again, for the next
     * turn. */
    TAILQ_INIT(&now);
    TAILQ_CONCAT(&now, &s->readable, in_readable);
    for (int i = 0; s->accept_due && i < s->n_sockets; i++)
        accept_from(s, s->sockets[i]);
    s->accept_due = false;
    while ((c = TAILQ_FIRST(&now))) {
        TAILQ_REMOVE(&now, c, in_readable);
        c->is_readable = false;
        if (c->state != CONN_DEAD)
            conn_read(c);
    }
    if (s->writer)
        writer_go(s->writer);
}

/* ---- tail ---- */

/* Before the window has caught up, "now" would be a place in the past. */
static void
begin_when_caught_up(struct server *s)
{
    struct conn *c;

    if (s->serving || s->hub.window.head_id < s->newest_at_start)
        return;
    s->serving = true;
    loop_listen(s);
    if (s->single) {
        c = conn_create(s, STDOUT_FILENO, true);
        if (c) {
            conn_watch(c);
            route(c, s->single);
        }
    }
}

static void
stage_tail(struct server *s)
{
    struct page *p;
    struct writer_job *job;

    hub_expire(&s->hub, s->now_ms);
    while ((p = tail_take(s->tail))) {
        s->counters.events_read += p->n;
        hub_publish(&s->hub, p);
        page_destroy(p);
    }
    begin_when_caught_up(s);
    while (s->writer && (job = writer_take(s->writer)))
        publish_written(s, job);
}

/* ---- replay ---- */

static void
stage_replay(struct server *s)
{
    reader_deliver(s->reader);
}

/* ---- flush ---- */

/* A connection that has used up its share links itself in again, for the next turn. */
static void
flush_queue(struct conn_queue *queue)
{
    struct conn_queue now;
    struct conn *c;

    TAILQ_INIT(&now);
    TAILQ_CONCAT(&now, queue, in_ready);
    while ((c = TAILQ_FIRST(&now))) {
        TAILQ_REMOVE(&now, c, in_ready);
        c->is_ready = false;
        if (c->state != CONN_DEAD)
            conn_flush(c);
    }
}

/* Streams get what is new, when the web server has passed on what they got before. */
static void
next_round(struct server *s)
{
    struct feed *f;
    struct subscriber *sub;

    if (!round_over(&s->round, s->now_ms))
        return;
    round_begin(&s->round, s->now_ms);
    while ((f = hub_next_dirty(&s->hub))) {
        TAILQ_FOREACH (sub, &f->live, in_feed) {
            if (!seat_conn(sub)->blocked)
                conn_make_ready(seat_conn(sub));
        }
    }
    flush_queue(&s->patient);
}

static void
stage_flush(struct server *s)
{
    flush_queue(&s->ready);
    next_round(s);
    hub_trim(&s->hub);
    replay_more(s);
    history_read_more(s);
}

/* ---- timers ---- */

static struct conn *
due(const struct server *s, const struct conn_list *list, int64_t limit_ms)
{
    struct conn *c = TAILQ_FIRST(&list->queue);

    return c && s->now_ms - c->since_ms >= limit_ms ? c : NULL;
}

/* Ends an even share of the streams, so that clients do not come back all at once. */
static void
drain(struct server *s)
{
    int64_t left_ms = s->drain_ends_ms - s->now_ms;
    uint64_t share = s->n_seats;
    struct conn *c;

    if (left_ms > DRAIN_TICK_MS)
        share = s->n_seats * DRAIN_TICK_MS / (uint64_t)left_ms + 1;
    while (share-- > 0) {
        c = TAILQ_FIRST(&s->quiet.queue);
        if (!c)
            c = TAILQ_FIRST(&s->blocked.queue);
        if (!c)
            break;
        conn_end(c, REASON_SHUTDOWN);
    }
    history_end_waits(s);
    while ((c = TAILQ_FIRST(&s->idle.queue)))
        conn_drop(c, REASON_SHUTDOWN);
    if (left_ms <= 0)
        while ((c = TAILQ_FIRST(&s->requests.queue)))
            conn_drop(c, REASON_SHUTDOWN);
}

/* Many at once instead of one after the other: waking up, for us and for the web server, costs as
 * much as the heartbeat itself. */
static void
send_heartbeats(struct server *s)
{
    int64_t every_ms = s->settings->heartbeat_ms;
    struct conn *c;

    if (!due(s, &s->quiet, every_ms))
        return;
    every_ms -= every_ms / 10 < GATHER_MS ? every_ms / 10 : GATHER_MS;
    while ((c = due(s, &s->quiet, every_ms)))
        stream_heartbeat(c);
}

static void
stage_timers(struct server *s)
{
    const struct settings *set = s->settings;
    struct conn *c;

    send_heartbeats(s);
    while ((c = due(s, &s->blocked, set->stall_timeout_ms))) {
        s->counters.stalled++;
        conn_drop(c, REASON_STALLED);
    }
    while ((c = due(s, &s->requests, set->request_timeout_ms))) {
        s->counters.connections_bad++;
        log_line(LOG_WARN, "connection closed: no whole request within %lld ms",
                 (long long)set->request_timeout_ms);
        conn_drop(c, REASON_STALLED);
    }
    while ((c = due(s, &s->asking, set->request_timeout_ms)))
        history_too_late(c);
    while ((c = due(s, &s->ending, LINGER_MS)))
        conn_drop(c, REASON_CLIENT_GONE);
    while ((c = due(s, &s->idle, set->keep_idle_ms)))
        conn_drop(c, REASON_CLIENT_GONE);
    seat_expire_due(s);
    addresses_trim(&s->addresses, s->now_ms);
    if (s->draining)
        drain(s);
}

/* ---- reap ---- */

static void
stage_reap(struct server *s)
{
    struct conn *c;

    while ((c = TAILQ_FIRST(&s->dead.queue)))
        conn_reap(c);
}

/* ---- the turn ---- */

static void
soonest(const struct server *s, const struct conn_list *list, int64_t limit_ms, int64_t *wait_ms)
{
    const struct conn *c = TAILQ_FIRST(&list->queue);
    int64_t left = c ? c->since_ms + limit_ms - s->now_ms : INT64_MAX;

    if (left < *wait_ms)
        *wait_ms = left > 0 ? left : 0;
}

static void
soonest_deadline(const struct server *s, const struct deadlines *all, int64_t *wait_ms)
{
    const struct deadline *d = deadlines_first(all);

    if (d && d->at_ms - s->now_ms < *wait_ms)
        *wait_ms = d->at_ms > s->now_ms ? d->at_ms - s->now_ms : 0;
}

static bool
is_work_left(const struct server *s)
{
    return !TAILQ_EMPTY(&s->ready) || !TAILQ_EMPTY(&s->readable);
}

static bool
is_round_wanted(const struct server *s)
{
    return !TAILQ_EMPTY(&s->patient) || !TAILQ_EMPTY(&s->hub.dirty);
}

/* Streams have to wait for the web server: then every commit, and every socket that has room again,
 * would wake us only to be noted, and take the web server off its work where it shares our core. A
 * moment later all of them are noted at once. */
static void
rest_in_round(const struct server *s)
{
    if (!is_work_left(s) && is_round_wanted(s) && !round_over(&s->round, s->now_ms))
        loop_rest(s, REST_US);
}

/* Makes sure that the next turn comes in time: at once when work is left, else at the next timeout.
 */
static void
plan_next_turn(struct server *s)
{
    const struct settings *set = s->settings;
    int64_t wait_ms = INT64_MAX;

    soonest(s, &s->quiet, set->heartbeat_ms, &wait_ms);
    soonest(s, &s->blocked, set->stall_timeout_ms, &wait_ms);
    soonest(s, &s->requests, set->request_timeout_ms, &wait_ms);
    soonest(s, &s->asking, set->request_timeout_ms, &wait_ms);
    soonest(s, &s->ending, LINGER_MS, &wait_ms);
    soonest(s, &s->idle, set->keep_idle_ms, &wait_ms);
    soonest_deadline(s, &s->ends, &wait_ms);
    if (s->draining && wait_ms > DRAIN_TICK_MS)
        wait_ms = DRAIN_TICK_MS;
    loop_next_turn(s, is_work_left(s) || is_round_wanted(s) ? 0 : wait_ms);
}

void
server_turn(struct server *s, int64_t now_ms)
{
    s->now_ms = now_ms;
    control(s);
    stage_accept(s);
    stage_tail(s);
    stage_replay(s);
    stage_flush(s);
    stage_timers(s);
    stage_reap(s);
    if (s->n_conns == 0 && (s->draining || (s->single && s->serving)))
        loop_stop(s);
    rest_in_round(s);
    plan_next_turn(s);
}
