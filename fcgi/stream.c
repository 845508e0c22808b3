/* A stream begins with its head and the reconnection time, sent before anything else is known, so
 * that the browser's `open` event comes at once. Where in the log it begins is then found out: from
 * memory if possible, else by the reader (a job); stream_located() goes on from there. */
#include "fcgi/stream.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "fcgi/conn.h"
#include "fcgi/respond.h"
#include "fcgi/seat.h"
#include "fcgi/state.h"
#include "stream/sse.h"

static const char head_lines[] = "Status: 200 OK\r\n"
                                 "Content-Type: text/event-stream\r\n"
                                 "Cache-Control: no-cache, no-transform\r\n"
                                 "X-Accel-Buffering: no\r\n"
                                 "\r\n";

/* What the connection is used for. */
struct stream {
    struct seat seat;       /* whose feed is set all the time */
    struct reader_job *job; /* finds out where it begins; NULL when that is known */
};

static struct subscriber *
sub_of(const struct conn *c)
{
    return &((struct stream *)c->using)->seat.sub;
}

/* Evenly from low to high. Statistics only, nothing that must not be guessed. */
static int64_t
between(int64_t low, int64_t high)
{
    return low + (high > low ? random() % (high - low + 1) : 0);
}

/* A 200 that ends at once: any other status would end a browser's EventSource for good. */
static void
come_back_later(struct conn *c)
{
    const struct settings *set = c->server->settings;
    struct buf b;

    c->server->counters.streams_refused++;
    buf_init(&b, 1024);
    buf_string(&b, head_lines);
    sse_retry(&b, between(set->busy_retry_ms, 2 * set->busy_retry_ms));
    respond_whole(c, &b);
    buf_finish(&b);
}

/* ---- where it begins ---- */

static void
join_feed(struct conn *c, int64_t cursor)
{
    struct stream *st = c->using;

    seat_join(&st->seat, cursor);
    c->in_rounds = true;
    conn_make_ready(c);
}

/* The text of the cursor that could not be honoured lives behind the job. */
struct locate {
    struct reader_job job;
    struct start start;
    char *requested;
};

static void
locate(struct conn *c, struct query *q, enum reader_job_kind kind)
{
    struct locate *l = mem_zalloc(sizeof *l);
    struct stream *st = c->using;

    if (!l) {
        conn_drop(c, REASON_NO_MEMORY);
        return;
    }
    l->start = q->start;
    l->requested = q->requested;
    q->requested = NULL;
    l->job.kind = kind;
    l->job.filter = &st->seat.sub.feed->what;
    l->job.owner = c;
    l->job.feed = hub_share(st->seat.sub.feed);
    l->job.position = q->start.id;
    l->job.time_ms = q->start.time_ms;
    l->job.count = q->start.count;
    st->job = &l->job;
    reader_submit(c->server->reader, &l->job);
}

static void
begin_at(struct conn *c, struct query *q)
{
    const struct window *w = &c->server->hub.window;
    int64_t position;

    switch (q->start.kind) {
    case START_BEFORE: /* pages only */
    case START_NOW:
        join_feed(c, w->head_id);
        break;
    case START_AFTER:
        if (q->start.id <= w->head_id)
            join_feed(c, q->start.id);
        else /* this process may lag behind the one that gave the id: ask the table */
            locate(c, q, JOB_MARKS);
        break;
    case START_LAST:
        if (feed_last(sub_of(c)->feed, q->start.count, &position))
            join_feed(c, position);
        else
            locate(c, q, JOB_LAST);
        break;
    case START_EARLIEST:
        locate(c, q, JOB_EARLIEST);
        break;
    case START_SINCE:
        locate(c, q, JOB_SINCE);
        break;
    case START_RESET:
        locate(c, q, JOB_MARKS);
        break;
    }
}

static void
send_reset(struct conn *c, const struct locate *l, enum cursor_reset why)
{
    const struct marks *m = &l->job.marks;
    struct buf b;

    c->server->counters.resets++;
    buf_init(&b, 1024);
    subscriber_reset(&b, why, text_of(l->requested), m->oldest, m->newest, c->server->epoch);
    if (buf_failed(&b))
        conn_drop(c, REASON_NO_MEMORY);
    else
        conn_send(c, buf_view(&b));
    buf_finish(&b);
}

static void
go_on(struct conn *c, const struct locate *l)
{
    enum cursor_reset why;
    struct position at = position_start(&l->start, l->job.position, &l->job.marks, &why);
    struct stream *st = c->using;

    st->job = NULL;
    if (why != CURSOR_EXACT)
        send_reset(c, l, why);
    if (c->state != CONN_BUSY) /* sending the reset has failed */
        return;
    st->seat.sub.at.pos.told_pruned = at.told_pruned;
    join_feed(c, at.cursor);
}

void
stream_located(struct server *s, struct reader_job *job)
{
    struct locate *l = (struct locate *)job;
    struct conn *c = job->owner;
    struct feed *f = job->feed;

    if (c && job->err != ERR_OK) {
        conn_end(c, REASON_DATABASE);
    } else if (c) {
        go_on(c, l);
    }
    hub_release(&s->hub, f);
    mem_free(l->requested);
    mem_free(l);
}

/* ---- what it gets ---- */

/* Sends what was gathered behind what is kept; true when the socket took all. */
static bool
send_record(struct conn *c, struct gather *g, const struct subscriber_position *before)
{
    struct counters *counters = &c->server->counters;
    struct subscriber *sub = sub_of(c);
    uint64_t bytes_before = c->out.bytes;
    enum outlet_sent result = outlet_gather(&c->out, g);

    counters->writes++;
    counters->writes_cut += result != OUTLET_SENT;
    counters->bytes_sent += c->out.bytes - bytes_before;
    if (result == OUTLET_NOTHING)
        sub->at = *before;
    else
        counters->events_sent += sub->at.events - before->events;
    round_wrote(&c->server->round, &c->out);
    return conn_sent(c, result);
}

/* One record. True when another one may follow at once. */
static bool
flush_record(struct conn *c, size_t bytes_max)
{
    struct server *s = c->server;
    struct subscriber *sub = sub_of(c);
    struct subscriber_position before = sub->at;
    struct gather g;
    enum gathered gathered;

    gather_init(&g, bytes_max);
    gathered = subscriber_gather(sub, &g, s->epoch);
    if (g.bytes > 0 ? !send_record(c, &g, &before) : !conn_flush_rest(c))
        return false;
    if (gathered == GATHERED_PART && g.bytes > 0)
        return true;
    if (gathered == GATHERED_PART ||
        (gathered == GATHERED_BEHIND && hub_wait(&s->hub, sub) != ERR_OK))
        conn_drop(c, REASON_NO_MEMORY);
    return false;
}

static void
flush_stream(struct conn *c)
{
    const struct settings *set = c->server->settings;
    const struct subscriber *sub = sub_of(c);
    uint64_t begin = c->out.bytes;

    if (!sub->joined || sub->waiting) {
        conn_flush_rest(c);
        return;
    }
    while (flush_record(c, (size_t)set->record_bytes)) {
        if (c->out.bytes - begin >= (uint64_t)set->turn_bytes) {
            conn_make_ready(c);
            return;
        }
    }
}

void
stream_heartbeat(struct conn *c)
{
    c->server->counters.heartbeats++;
    conn_send(c, TEXT_LIT(":\n"));
    if (c->state == CONN_BUSY)
        conn_move(c, &c->server->quiet);
}

/* ---- its end ---- */

static const char *
reason_word(enum conn_reason reason)
{
    switch (reason) {
#define REASON(name, word)                                                                         \
    case REASON_##name:                                                                            \
        return word;
#include "fcgi/reasons.def"
#undef REASON
    }
    return "unknown";
}

/* It leaves its feed, and gets its line in the log. */
static void
end_stream(struct conn *c, enum conn_reason reason)
{
    struct stream *st = c->using;
    const struct subscriber_position *at = &st->seat.sub.at;

    log_line(LOG_INFO,
             "stream end reason=%s remote=%s filter=\"%s\" first=%lld last=%lld events=%llu "
             "bytes=%llu ms=%lld",
             reason_word(reason), c->remote ? c->remote : "-", st->seat.sub.feed->what.key,
             (long long)at->first_id, (long long)at->last_id, (unsigned long long)at->events,
             (unsigned long long)c->out.bytes, (long long)(c->server->now_ms - c->begun_ms));
    if (st->job) /* the reader has it, with a reference of its own */
        st->job->owner = NULL;
    seat_leave(&st->seat);
    mem_free(st);
}

static void
expire_stream(struct conn *c)
{
    c->server->counters.streams_expired++;
    conn_end(c, REASON_EXPIRED);
}

/* ---- requests ---- */

static const struct conn_use stream_use = {
    .flush = flush_stream, .expire = expire_stream, .leave = end_stream};

static void
send_head(struct conn *c)
{
    const struct settings *set = c->server->settings;
    struct buf b;

    buf_init(&b, 1024);
    buf_string(&b, head_lines);
    sse_retry(&b, between(set->retry_min_ms, set->retry_max_ms));
    sse_comment(&b, TEXT_LIT("freshet"));
    if (buf_failed(&b))
        conn_drop(c, REASON_NO_MEMORY);
    else
        conn_send(c, buf_view(&b));
    buf_finish(&b);
}

/* Its seat is taken. */
static void
begin_stream(struct conn *c, struct stream *st, const struct access *access, struct query *q)
{
    struct server *s = c->server;
    struct feed *feed = hub_hold(&s->hub, &q->what);

    if (!feed) {
        seat_leave(&st->seat);
        mem_free(st);
        conn_drop(c, REASON_NO_MEMORY);
        return;
    }
    s->counters.streams++;
    st->seat.sub.reset_now = q->start.reset_now;
    conn_begin(c, &stream_use, st, &s->quiet);
    if (seat_listen(&st->seat, feed, respond_expiry(c, access)) != ERR_OK)
        conn_drop(c, REASON_NO_MEMORY);
    else
        send_head(c);
    if (c->state == CONN_BUSY)
        begin_at(c, q);
}

void
stream(struct conn *c, const struct request *r, const struct access *access)
{
    struct stream *st;
    struct query q;

    if (!respond_query(c, r, access, QUERY_STREAM, &q))
        return;
    st = mem_zalloc(sizeof *st);
    if (!st) {
        conn_drop(c, REASON_NO_MEMORY);
    } else if (c->server->draining || !seat_take(&st->seat, c)) {
        mem_free(st);
        come_back_later(c);
    } else {
        begin_stream(c, st, access, &q);
    }
    query_finish(&q);
}

void
stream_head(struct conn *c, const struct request *r, const struct access *access)
{
    struct buf b;

    (void)r;
    (void)access;
    buf_init(&b, 1024);
    buf_string(&b, head_lines);
    respond_whole(c, &b);
    buf_finish(&b);
}
