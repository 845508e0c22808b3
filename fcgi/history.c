#include "fcgi/history.h"

#include <stdio.h>

#include "base/mem.h"
#include "fcgi/conn.h"
#include "fcgi/history_read.h"
#include "fcgi/respond.h"
#include "fcgi/seat.h"
#include "fcgi/state.h"
#include "http/accept.h"
#include "http/access.h"
#include "http/request.h"

enum {
    LIMIT = 100,         /* events of a page when the request does not say */
    SHARED_BY_LAST = 16, /* this many of the newest reads are looked through for the same */
    SHARED_FOR_MS = 20,  /* a read that has not begun by then waits behind its client's others */
    LINK_MAX = 1024,     /* a longer query gets no Link: web servers bound the head of a response */
};

struct history_job;

/* One connection's request. */
struct history {
    struct conn *conn;
    struct history_job *job; /* NULL while it waits */
    struct seat seat;        /* of a long poll, from its first waiting on */
    char *query, *none_match;
    int64_t wait_ms, expires_ms; /* the latter of the token, by the loop's clock */
    uint64_t signer;             /* of the token */
    uint32_t limit;
    bool ndjson, reset_now, is_head, is_private, has_waited, timed_out;
    TAILQ_ENTRY(history) in_job;
};

/* One read, and the askers that wait for it. */
struct history_job {
    struct history_read read; /* first: the reader gives it back */
    struct feed *feed;        /* a reference that keeps the filter; NULL: read.query has it */
    TAILQ_HEAD(, history) askers;
    bool queued;
    int64_t made_ms;
    TAILQ_ENTRY(history_job) in_queue; /* of those that wait, or of those that are being read */
};

/* ---- reads ---- */

static void read_done(struct reader_job *read, void *context);

static void
destroy_job(struct server *s, struct history_job *job)
{
    if (job->feed)
        hub_release(&s->hub, job->feed);
    history_read_finish(&job->read);
    mem_free(job);
}

/* Whether a new asker may be given what that job reads: nothing has been read yet, and it is not
 * kept waiting behind what another client asks for. */
static bool
may_share(const struct server *s, const struct history_job *job)
{
    return job->queued ||
           (!atomic_load(&job->read.begun_reading) && !atomic_load(&job->read.job.cancelled) &&
            s->now_ms - job->made_ms <= SHARED_FOR_MS);
}

static struct history_job *
find_same(const struct server *s, const struct history_queue *queue, const struct history_job *job)
{
    struct history_job *other;
    int looked_at = 0;

    TAILQ_FOREACH_REVERSE(other, queue, history_queue, in_queue)
    {
        if (history_same(&other->read, &job->read) && may_share(s, other))
            return other;
        if (++looked_at == SHARED_BY_LAST)
            break;
    }
    return NULL;
}

/* The asker waits for this read, or for one that is the same and has not begun. */
static void
enqueue(struct server *s, struct history *h, struct history_job *job)
{
    struct history_job *same = find_same(s, &s->history, job);

    if (!same)
        same = find_same(s, &s->history_reading, job);
    if (same) {
        destroy_job(s, job);
        job = same;
    } else {
        TAILQ_INSERT_TAIL(&s->history, job, in_queue);
        job->queued = true;
        job->made_ms = s->now_ms;
        job->read.job.lane = conn_lane(h->conn);
    }
    TAILQ_INSERT_TAIL(&job->askers, h, in_job);
    h->job = job;
    conn_move(h->conn, &s->asking);
}

void
history_read_more(struct server *s)
{
    struct history_job *job;

    while (s->history_unsent < (uint64_t)s->settings->history_bytes &&
           (job = TAILQ_FIRST(&s->history))) {
        TAILQ_REMOVE(&s->history, job, in_queue);
        job->queued = false;
        TAILQ_INSERT_TAIL(&s->history_reading, job, in_queue);
        s->counters.history_reads++;
        reader_submit(s->reader, &job->read.job);
    }
}

static struct history_job *
create_job(const struct server *s, struct query *q, enum history_what what, uint32_t limit,
           bool ndjson)
{
    const struct settings *set = s->settings;
    struct history_job *job = mem_zalloc(sizeof *job);

    if (!job)
        return NULL;
    history_read_init(&job->read, q);
    job->read.what = what;
    job->read.limit = limit;
    job->read.ndjson = ndjson;
    job->read.step = settings_step(set);
    job->read.dialect = server_dialect(s);
    job->read.search_us = set->search_ms * 1000;
    job->read.job.done = read_done;
    job->read.bytes_max = (size_t)set->page_bytes;
    TAILQ_INIT(&job->askers);
    return job;
}

/* ---- the end ---- */

/* If no asker is left, it is not read to its end. */
static void
give_up_read(struct server *s, struct history_job *job)
{
    if (!TAILQ_EMPTY(&job->askers))
        return;
    if (job->queued) {
        TAILQ_REMOVE(&s->history, job, in_queue);
        destroy_job(s, job);
    } else {
        atomic_store(&job->read.job.cancelled, true);
    }
}

static void
end_asking(struct conn *c, enum conn_reason reason)
{
    struct server *s = c->server;
    struct history *h = c->using;

    (void)reason;
    if (h->job) {
        TAILQ_REMOVE(&h->job->askers, h, in_job);
        give_up_read(s, h->job);
    }
    if (h->seat.conn)
        seat_leave(&h->seat);
    mem_free(h->query);
    mem_free(h->none_match);
    mem_free(h);
}

/* ---- responses ---- */

static void
append_links(struct buf *b, const struct history *h, const struct history_read *r)
{
    const char *name = r->what == HISTORY_TOPICS             ? "topics"
                       : r->query.start.kind == START_BEFORE ? "before"
                                                             : "last_event_id";

    if (r->what == HISTORY_PAGE) {
        buf_format(b, "Freshet-Live: %s\r\n", r->live ? "true" : "false");
        if (r->place.limited)
            buf_string(b, "Freshet-Limited: true\r\n");
        if (r->reset != CURSOR_EXACT)
            buf_format(b, "Freshet-Reset: %s\r\n", cursor_reset_name(r->reset));
    }
    if (r->next.length == 0)
        return;
    if (r->what == HISTORY_PAGE) {
        buf_string(b, "Freshet-Next: ");
        buf_text(b, buf_view(&r->next));
        buf_string(b, "\r\n");
    }
    if (h->query) {
        buf_string(b, "Link: <");
        query_link(b, text_of(h->query), name, buf_view(&r->next));
        buf_string(b, ">; rel=\"next\"\r\n");
    }
}

/* What access allowed is asked for again each time, and costs 304: a browser may have another user
 * by then, or the same one other rights. */
static void
append_caching(struct buf *b, const struct server *s, const struct history *h,
               const struct history_read *r, const char *tag)
{
    int64_t seconds = s->settings->history_max_age_ms / 1000;

    if (h->is_private)
        buf_string(b, "Cache-Control: private, no-cache\r\n");
    else if (r->fixed && !h->has_waited && seconds > 0)
        buf_format(b, "Cache-Control: public, max-age=%lld, immutable\r\n", (long long)seconds);
    else
        buf_string(b, "Cache-Control: no-cache\r\n");
    /* One line, though cors.c has one of its own: nginx before 1.23 knows only the last. */
    buf_format(b, "ETag: %s\r\nVary: Accept, Last-Event-ID%s%s\r\n", tag,
               h->is_private || s->settings->public_topics ? ", Authorization, Cookie" : "",
               s->settings->cors_origin ? ", Origin" : "");
}

static void
send_page(struct conn *c, const struct history_read *r)
{
    struct server *s = c->server;
    const struct history *h = c->using;
    char tag[64];
    bool same;
    struct buf b;

    snprintf(tag, sizeof tag, "\"%s-%016llx\"", server_dialect(s)->epoch,
             (unsigned long long)r->hash);
    same = accept_none_match(text_of(h->none_match), text_of(tag));
    buf_init(&b, UINT32_MAX / 2);
    buf_format(&b, "Status: %s\r\n", same ? "304 Not Modified" : "200 OK");
    append_caching(&b, s, h, r, tag);
    append_links(&b, h, r);
    if (!same)
        buf_format(&b, "Content-Type: %s\r\nContent-Length: %zu\r\n",
                   r->ndjson ? "application/x-ndjson" : "application/json", r->body.length);
    buf_string(&b, "\r\n");
    if (!same && !h->is_head)
        buf_text(&b, buf_view(&r->body));
    s->counters.history_unchanged += same;
    respond_reply(c, &b);
    buf_finish(&b);
}

static void
answer_asker(struct conn *c, const struct history_read *r)
{
    if (r->job.err == ERR_NOMEM) {
        conn_drop(c, REASON_NO_MEMORY);
    } else if (r->job.err != ERR_OK) {
        respond_problem(c, 500, "Internal Server Error", "", "the database cannot be read");
    } else if (r->found == HISTORY_GONE) {
        respond_problem(c, 410, "Gone", "", "this event has been deleted");
    } else if (r->found == HISTORY_UNKNOWN) {
        respond_problem(c, 404, "Not Found", "", "there is no such event");
    } else {
        send_page(c, r);
    }
}

static void
answer_empty(struct conn *c, int64_t position)
{
    struct query none = {0};
    struct history_read r;

    history_read_init(&r, &none);
    r.what = HISTORY_PAGE;
    r.dialect = server_dialect(c->server);
    r.ndjson = ((struct history *)c->using)->ndjson;
    history_make_empty(&r, position);
    if (r.no_memory)
        conn_drop(c, REASON_NO_MEMORY);
    else
        send_page(c, &r);
    history_read_finish(&r);
}

static void
answer_busy(struct conn *c)
{
    char header[64];

    snprintf(header, sizeof header, "Retry-After: %lld\r\n",
             (long long)(c->server->settings->busy_retry_ms + 999) / 1000);
    respond_problem(c, 503, "Service Unavailable", header, "too many requests at once");
}

/* ---- waiting ---- */

/* Reads what comes after the position, for an asker that has waited. */
static void
read_on(struct conn *c, int64_t position)
{
    struct server *s = c->server;
    struct history *h = c->using;
    struct query q = {.start = {.kind = START_AFTER, .id = position, .reset_now = h->reset_now}};
    struct history_job *job = create_job(s, &q, HISTORY_PAGE, h->limit, h->ndjson);

    if (!job) {
        conn_drop(c, REASON_NO_MEMORY);
        return;
    }
    job->feed = hub_share(h->seat.sub.feed);
    job->read.filter = &job->feed->what;
    enqueue(s, h, job);
}

/* Moves *position to just before the first event in memory that matches after it, so that all
 * askers that wake up for the same event ask for the same page; false when there is none. */
static bool
find_in_memory(const struct feed *f, int64_t *position)
{
    int64_t id = *position, first = 0;
    uint64_t events, larger;

    feed_run(f, &id, 0, &first, &events, &larger);
    if (larger == 0)
        return false;
    feed_run(f, &id, larger, &first, &events, &larger);
    *position = first - 1;
    return true;
}

/* The asker becomes a subscriber, unless there is something for it already. */
static void
wait_after(struct conn *c, int64_t position)
{
    struct history *h = c->using;
    struct feed *feed = h->seat.sub.feed;

    if (!feed_covers(feed, position) || find_in_memory(feed, &position)) {
        read_on(c, position);
        return;
    }
    seat_join(&h->seat, position);
    conn_move(c, &c->server->waiting);
}

/* The first time it waits: it takes a seat. */
static void
begin_waiting(struct conn *c, struct history_job *job)
{
    struct server *s = c->server;
    struct history *h = c->using;
    int64_t end_ms = s->now_ms + h->wait_ms;

    if ((!job->feed && !server_may_ask(s, &job->read.query.what)) ||
        !seat_take(&h->seat, c, h->signer)) {
        answer_busy(c);
        return;
    }
    if (!job->feed)
        job->feed = hub_hold(&s->hub, &job->read.query.what, DIALECT_PLAIN);
    if (!job->feed || seat_listen(&h->seat, hub_share(job->feed),
                                  end_ms < h->expires_ms ? end_ms : h->expires_ms) != ERR_OK) {
        conn_drop(c, REASON_NO_MEMORY);
        return;
    }
    h->has_waited = true;
    s->counters.history_waits++;
    wait_after(c, job->read.at.cursor);
}

/* Something that matches was published. */
static void
wake_asker(struct conn *c)
{
    struct history *h = c->using;
    struct subscriber *sub = &h->seat.sub;
    int64_t position = sub->at.pos.cursor;

    if (!sub->joined) /* a read is on its way already */
        return;
    if (!feed_covers(sub->feed, position) || find_in_memory(sub->feed, &position)) {
        seat_part(&h->seat);
        read_on(c, position);
    }
}

/* One that is reading answers with what it gets. */
static void
end_wait(struct conn *c)
{
    struct history *h = c->using;

    h->timed_out = true;
    if (h->seat.sub.joined)
        answer_empty(c, h->seat.sub.at.pos.cursor);
}

void
history_end_waits(struct server *s)
{
    struct conn *c;

    while ((c = TAILQ_FIRST(&s->waiting.queue)))
        end_wait(c);
}

void
history_too_late(struct conn *c)
{
    answer_busy(c);
}

/* ---- a read is done ---- */

static bool
may_wait(const struct history *h, const struct history_read *r)
{
    return r->job.err == ERR_OK && r->what == HISTORY_PAGE && r->n == 0 && r->live &&
           r->reset == CURSOR_EXACT && h->wait_ms > 0 && !h->timed_out && !h->is_head &&
           !h->conn->server->draining;
}

static void
asker_gets(struct conn *c, struct history_job *job)
{
    struct history *h = c->using;

    if (!may_wait(h, &job->read))
        answer_asker(c, &job->read);
    else if (h->seat.conn)
        wait_after(c, job->read.at.cursor);
    else
        begin_waiting(c, job);
}

static void
read_done(struct reader_job *read, void *context)
{
    struct history_job *job = (struct history_job *)read;
    struct server *s = context;
    struct history *h;

    TAILQ_REMOVE(&s->history_reading, job, in_queue);
    while ((h = TAILQ_FIRST(&job->askers))) {
        TAILQ_REMOVE(&job->askers, h, in_job);
        h->job = NULL;
        asker_gets(h->conn, job);
    }
    destroy_job(s, job);
}

/* ---- requests ---- */

static struct seat *
seat_of_asker(struct conn *c)
{
    return &((struct history *)c->using)->seat;
}

static const struct conn_use history_use = {
    .flush = wake_asker, .expire = end_wait, .seat = seat_of_asker, .leave = end_asking};

/* The asker, with what is still needed of the request when the answer is there. */
static struct history *
create_asker(struct conn *c, const struct request *r, const struct access *access,
             const struct query *q)
{
    const struct settings *set = c->server->settings;
    struct history *h = mem_zalloc(sizeof *h);

    if (!h)
        return NULL;
    h->conn = c;
    h->query = r->query.n <= LINK_MAX ? mem_copy(r->query) : NULL;
    h->none_match = r->none_match.n ? mem_copy(r->none_match) : NULL;
    h->limit = q->limit == 0 ? LIMIT : q->limit;
    if (h->limit > set->history_max)
        h->limit = (uint32_t)set->history_max;
    h->wait_ms = q->wait_ms < set->wait_max_ms ? q->wait_ms : set->wait_max_ms;
    h->reset_now = q->start.reset_now;
    h->is_head = text_equal(r->method, TEXT_LIT("HEAD"));
    h->is_private = access->is_private;
    h->expires_ms = respond_expiry(c, access);
    h->signer = access->signer;
    return h;
}

static void
ask(struct conn *c, const struct request *r, const struct access *access, enum history_what what,
    struct query *q)
{
    bool ndjson = what != HISTORY_EVENT && accept_choose(r->accept) == ACCEPT_NDJSON;
    struct history *h = create_asker(c, r, access, q);
    struct history_job *job = h ? create_job(c->server, q, what, h->limit, ndjson) : NULL;

    if (!job) {
        if (h)
            mem_free(h->query);
        if (h)
            mem_free(h->none_match);
        mem_free(h);
        query_finish(q);
        conn_drop(c, REASON_NO_MEMORY);
        return;
    }
    h->ndjson = ndjson;
    conn_begin(c, &history_use, h, &c->server->asking);
    c->server->counters.history_requests++;
    enqueue(c->server, h, job);
}

void
history_event(struct conn *c, const struct request *r, const struct access *access)
{
    struct text id = query_event(r->path_info, r->path);
    struct query q;

    if (!respond_query(c, r, access, QUERY_EVENT, &q))
        return;
    if (dialect_read_id(server_dialect(c->server), id, &q.id) != CURSOR_EXACT) {
        query_finish(&q);
        respond_problem(c, 404, "Not Found", "", "there is no such event");
        return;
    }
    q.requested = mem_copy(id); /* without memory the answer may not be kept, no more */
    ask(c, r, access, HISTORY_EVENT, &q);
}

void
history_page(struct conn *c, const struct request *r, const struct access *access)
{
    struct query q;

    if (respond_query(c, r, access, QUERY_PAGE, &q))
        ask(c, r, access, HISTORY_PAGE, &q);
}

void
history_topics(struct conn *c, const struct request *r, const struct access *access)
{
    struct query q;

    if (respond_query(c, r, access, QUERY_TOPICS, &q))
        ask(c, r, access, HISTORY_TOPICS, &q);
}
