/* A stream begins with its head and the reconnection time, sent before anything else is known, so
 * that the browser's `open` event comes at once. Where in the log it begins is then found out: from
 * memory if possible, else by the reader. */
#include "fcgi/stream.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "fcgi/conn.h"
#include "fcgi/respond.h"
#include "fcgi/seat.h"
#include "fcgi/state.h"
#include "http/access.h"
#include "sql/locate.h"
#include "stream/sse.h"

static const char head_lines[] = "Status: 200 OK\r\n"
                                 "Content-Type: text/event-stream\r\n"
                                 "Cache-Control: no-cache, no-transform\r\n"
                                 "X-Accel-Buffering: no\r\n"
                                 "\r\n";

/* What the connection is used for. */
struct stream {
    struct seat seat; /* whose feed is set all the time */
    union {
        struct reader_job *job; /* until it has joined: finds out where; NULL when that is known */
        int64_t part_id;        /* then: the event that is sent in parts */
    };
    uint32_t part;     /* of an event larger than a record, how much is sent; 0 = there is none */
    uint16_t part_max; /* the bound with which it was gathered */
    uint16_t beats;    /* heartbeats since it was last given its position by one */
};

enum { AT_MS = 60000 };

static struct subscriber *
sub_of(const struct conn *c)
{
    return &((struct stream *)c->using)->seat.sub;
}

/* Evenly from low to high. Good for spreading clients, not for secrets. */
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

/* Asks the table. */
struct beginning {
    struct reader_job job; /* first: the reader gives it back */
    struct locate locate;
    struct store_step step;
    struct conn *conn; /* not looked at when cancelled */
    struct feed *feed; /* a reference: its subscription is the filter */
    char *requested;   /* the cursor as it was sent, or NULL */
};

static bool
run_beginning(struct reader_job *job, struct store *store, enum err *err, struct errbuf *eb)
{
    struct beginning *b = (struct beginning *)job;
    bool done;

    *err = locate_step(&b->locate, store, &b->step, &done, eb);
    return done;
}

/* What is sent to the client before anything else: that it begins elsewhere than it asked to, or
 * with fewer events than it asked for. */
static void
send_news(struct conn *c, const struct beginning *b)
{
    const struct locate *l = &b->locate;
    struct buf block;

    buf_init(&block, 1024);
    if (l->reset != CURSOR_EXACT) {
        c->server->counters.resets++;
        dialect_reset(b->feed->dialect, &block, l->reset, text_of(b->requested), &l->marks);
    } else if (l->limited) {
        dialect_limited(b->feed->dialect, &block, l->start.count, l->found, l->at.cursor);
    }
    if (buf_failed(&block))
        conn_drop(c, REASON_NO_MEMORY);
    else if (block.length > 0)
        conn_send(c, buf_view(&block));
    buf_finish(&block);
}

static void
begin_where_found(struct conn *c, const struct beginning *b)
{
    const struct locate *l = &b->locate;
    struct stream *st = c->using;

    st->job = NULL;
    send_news(c, b);
    if (c->state != CONN_BUSY) /* sending has failed */
        return;
    st->seat.sub.at.pos.told_pruned = l->at.told_pruned;
    join_feed(c, l->at.cursor);
}

static void
beginning_found(struct reader_job *job, void *context)
{
    struct beginning *b = (struct beginning *)job;
    struct server *s = context;

    if (atomic_load(&job->cancelled))
        ; /* the client has left */
    else if (job->err != ERR_OK)
        conn_end(b->conn, REASON_DATABASE);
    else
        begin_where_found(b->conn, b);
    hub_release(&s->hub, b->feed);
    mem_free(b->requested);
    mem_free(b);
}

static void
ask_table(struct conn *c, struct query *q)
{
    const struct settings *set = c->server->settings;
    struct beginning *b = mem_zalloc(sizeof *b);
    struct stream *st = c->using;

    if (!b) {
        conn_drop(c, REASON_NO_MEMORY);
        return;
    }
    b->job.run = run_beginning;
    b->job.done = beginning_found;
    b->job.lane = conn_lane(c);
    b->feed = hub_share(st->seat.sub.feed);
    b->locate.start = q->start;
    b->locate.filter = &b->feed->what;
    b->locate.search_us = set->search_ms * 1000;
    b->step = settings_step(set);
    b->conn = c;
    b->requested = q->requested;
    q->requested = NULL;
    st->job = &b->job;
    reader_submit(c->server->reader, &b->job);
}

/* What memory can tell needs no look at the table. */
static bool
find_in_memory(const struct conn *c, const struct start *start, int64_t *position)
{
    const struct window *w = &c->server->hub.window;

    switch (start->kind) {
    case START_NOW:
        *position = w->head_id;
        return true;
    case START_AFTER: /* else this process may lag behind the one that gave the id */
        *position = start->id;
        return start->id <= w->head_id;
    case START_LAST:
        return feed_last(sub_of(c)->feed, start->count, position);
    case START_EARLIEST:
    case START_SINCE:
    case START_RESET:
    case START_BEFORE: /* pages only */
        return false;
    }
    return false;
}

static void
begin_at(struct conn *c, struct query *q)
{
    int64_t position;

    if (find_in_memory(c, &q->start, &position))
        join_feed(c, position);
    else
        ask_table(c, q);
}

/* ---- what it gets ---- */

/* Sends what was gathered behind what is kept; true when the socket took all. */
static bool
send_record(struct conn *c, struct gather *g, const struct subscriber_position *before)
{
    struct counters *counters = &c->server->counters;
    struct stream *st = c->using;
    struct subscriber *sub = &st->seat.sub;
    uint64_t bytes_before = c->out.bytes;
    enum outlet_sent result = outlet_gather(&c->out, g, &st->part);

    counters->writes++;
    counters->writes_cut += result != OUTLET_SENT;
    counters->bytes_sent += c->out.bytes - bytes_before;
    st->part_id = sub->at.last_id;
    if (result == OUTLET_NOTHING || st->part > 0)
        sub->at = *before;
    else
        counters->events_sent += sub->at.events - before->events;
    round_wrote(&c->server->round, &c->out);
    return conn_sent(c, result);
}

/* An event that was sent in part goes on only in itself. If it was deleted meanwhile, the stream
 * ends: the client drops what it has of it, comes back, and learns what happened. */
static bool
goes_on(const struct stream *st, const struct gather *g, enum gathered gathered,
        const struct subscriber_position *before)
{
    const struct subscriber_position *at = &st->seat.sub.at;

    if (st->part == 0 || (g->bytes == 0 && gathered != GATHERED_ALL))
        return true;
    return at->events == before->events + 1 && at->last_id == st->part_id && g->bytes > st->part;
}

/* One record. True when another one may follow at once. */
static bool
flush_record(struct conn *c, uint16_t bytes_max)
{
    struct server *s = c->server;
    struct stream *st = c->using;
    struct subscriber *sub = &st->seat.sub;
    struct subscriber_position before = sub->at;
    struct gather g;
    enum gathered gathered;

    if (st->part == 0)
        st->part_max = bytes_max;
    gather_init(&g, st->part_max);
    gathered = subscriber_gather(sub, &g);
    if (!goes_on(st, &g, gathered, &before)) {
        sub->at = before;
        conn_end(c, REASON_DATABASE);
        return false;
    }
    if (g.bytes > 0 ? !send_record(c, &g, &before) : !conn_flush_rest(c))
        return false;
    if (st->part > 0 && g.bytes > 0)
        return true;
    if (gathered == GATHERED_PART && g.bytes > 0)
        return true;
    if (gathered == GATHERED_PART ||
        (gathered == GATHERED_BEHIND && hub_wait(&s->hub, sub, conn_lane(c)) != ERR_OK))
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
    while (flush_record(c, (uint16_t)set->record_bytes)) {
        if (c->out.bytes - begin >= (uint64_t)set->turn_bytes) {
            conn_make_ready(c);
            return;
        }
    }
}

/* A stream that is quiet while the log moves is given its position, about once in AT_MS: when it is
 * cut, it comes back from there, and what was committed meanwhile is not lost to it. */
static bool
say_position(struct stream *st, int64_t heartbeat_ms, struct buf *out)
{
    int64_t beats = AT_MS / heartbeat_ms;

    st->beats += st->beats < UINT16_MAX;
    if (!subscriber_say_at(&st->seat.sub, out, st->beats >= beats ? 1 : SUBSCRIBER_AT_ROWS))
        return false;
    st->beats = 0;
    return true;
}

void
stream_heartbeat(struct conn *c)
{
    struct stream *st = c->using;
    struct buf b;

    if (st->part > 0) { /* a comment may stand anywhere but within an event */
        conn_move(c, &c->server->quiet);
        return;
    }
    c->server->counters.heartbeats++;
    buf_init(&b, 1024);
    if (!say_position(st, c->server->settings->heartbeat_ms, &b))
        buf_string(&b, ":\n");
    if (buf_failed(&b))
        conn_drop(c, REASON_NO_MEMORY);
    else
        conn_send(c, buf_view(&b));
    buf_finish(&b);
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
    if (!st->seat.sub.joined && st->job) /* the reader has it, with a reference of its own */
        atomic_store(&st->job->cancelled, true);
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

static struct seat *
seat_of_stream(struct conn *c)
{
    return &((struct stream *)c->using)->seat;
}

static const struct conn_use stream_use = {
    .flush = flush_stream, .expire = expire_stream, .seat = seat_of_stream, .leave = end_stream};

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
    struct feed *feed = hub_hold(&s->hub, &q->what, q->dialect);

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
    } else if (c->server->draining || !server_may_ask(c->server, &q.what) ||
               !seat_take(&st->seat, c, access->signer)) {
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
