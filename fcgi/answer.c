/* answer: what a request gets.
 *
 * A stream begins with its head and the reconnection time, sent before anything else is known, so
 * that the browser's `open` event comes at once. Where in the log it begins is then found out: from
 * memory if possible, else by the reader (a job); answer_located() goes on from there. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fcgi/access.h"
#include "fcgi/answer.h"
#include "fcgi/cors.h"
#include "fcgi/history.h"
#include "fcgi/query.h"
#include "fcgi/request.h"
#include "stream/event_json.h"
#include "stream/sse.h"

static const char stream_head[] = "Status: 200 OK\r\n"
                                  "Content-Type: text/event-stream\r\n"
                                  "Cache-Control: no-cache, no-transform\r\n"
                                  "X-Accel-Buffering: no\r\n"
                                  "\r\n";

/* Evenly from low to high. Statistics only, nothing that must not be guessed. */
static int64_t
between(int64_t low, int64_t high)
{
    return low + (high > low ? random() % (high - low + 1) : 0);
}

static void
begin_response(struct conn *c)
{
    c->state = CONN_STREAM;
    server_list(c->server, c, &c->server->quiet);
}

void
answer_whole(struct conn *c, const struct buf *b)
{
    if (buf_failed(b)) {
        conn_drop(c, REASON_NO_MEMORY);
        return;
    }
    begin_response(c);
    conn_send(c, buf_view(b));
    conn_end(c, REASON_ANSWERED);
}

void
answer_problem(struct conn *c, int status, const char *title, const char *headers,
               const char *detail)
{
    struct buf json, b;

    c->server->counters.requests_bad++;
    buf_init(&json, 4096);
    buf_format(&json, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":", title,
               status);
    event_json_text(&json, text_of(detail)); /* which may be cut in mid-character */
    buf_string(&json, "}\n");
    buf_init(&b, 8192);
    buf_format(&b,
               "Status: %d %s\r\nContent-Type: application/problem+json\r\n"
               "Cache-Control: no-store\r\n%sContent-Length: %zu\r\n\r\n",
               status, title, headers, json.length);
    buf_text(&b, buf_view(&json));
    b.failed = b.failed || buf_failed(&json);
    answer_whole(c, &b);
    buf_finish(&b);
    buf_finish(&json);
}

void
answer_too_large(struct conn *c)
{
    char detail[80];

    snprintf(detail, sizeof detail, "the body is longer than %lld bytes",
             (long long)c->server->settings->body_max);
    answer_problem(c, 413, "Content Too Large", "", detail);
}

/* A 200 that ends at once: any other status would end a browser's EventSource for good. */
static void
come_back_later(struct conn *c)
{
    const struct settings *set = c->server->settings;
    struct buf b;

    c->server->counters.streams_refused++;
    buf_init(&b, 1024);
    buf_string(&b, stream_head);
    sse_retry(&b, between(set->busy_retry_ms, 2 * set->busy_retry_ms));
    answer_whole(c, &b);
    buf_finish(&b);
}

/* ---- where the stream begins ---- */

static void
join(struct conn *c, int64_t cursor)
{
    c->sub.at.cursor = cursor;
    c->joined = true;
    hub_join(&c->server->hub, &c->sub);
    conn_make_ready(c);
}

/* The text of the cursor that could not be honoured lives behind the job. */
struct locate {
    struct reader_job job;
    enum query_start start;
    enum cursor_reset reset;
    char *requested;
};

static void
locate(struct conn *c, struct query *q, enum reader_job_kind kind)
{
    struct locate *l = mem_zalloc(sizeof *l);

    if (!l) {
        conn_drop(c, REASON_NO_MEMORY);
        return;
    }
    l->start = q->start;
    l->reset = q->reset;
    l->requested = q->requested;
    q->requested = NULL;
    l->job.kind = kind;
    l->job.filter = &c->sub.feed->what;
    l->job.owner = c;
    l->job.feed = c->sub.feed;
    l->job.position = q->id;
    l->job.time_ms = q->time_ms;
    l->job.count = q->count;
    c->sub.feed->refs++;
    c->job = &l->job;
    reader_submit(c->server->reader, &l->job);
}

static void
begin_at(struct conn *c, struct query *q)
{
    const struct window *w = &c->server->hub.window;
    int64_t position;

    switch (q->start) {
    case START_BEFORE: /* pages only */
    case START_NOW:
        join(c, w->head_id);
        break;
    case START_AFTER:
        if (q->id <= w->head_id)
            join(c, q->id);
        else /* this process may lag behind the one that gave the id: ask the table */
            locate(c, q, JOB_MARKS);
        break;
    case START_LAST:
        if (feed_last(c->sub.feed, q->count, &position))
            join(c, position);
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
    const struct store_marks *m = &l->job.marks;
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
    const struct store_marks *m = &l->job.marks;
    int64_t position = l->job.position;
    enum cursor_reset why = l->reset;

    if (l->start == START_AFTER)
        why = position > m->newest ? CURSOR_FUTURE : CURSOR_EXACT;
    if (why != CURSOR_EXACT) {
        send_reset(c, l, why);
        position = c->sub.reset_now ? m->newest : m->oldest - 1;
    }
    /* A position that was looked up is as good as the table is now. */
    if (l->start != START_AFTER || why != CURSOR_EXACT)
        c->sub.at.told_pruned = m->pruned_through;
    if (c->state != CONN_STREAM) /* sending the reset has failed */
        return;
    c->job = NULL;
    join(c, position);
}

void
answer_located(struct server *s, struct reader_job *job)
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

/* ---- requests ---- */

static void
stream(struct conn *c, struct query *q)
{
    struct server *s = c->server;
    const struct settings *set = s->settings;
    struct feed *feed = hub_hold(&s->hub, &q->what);
    struct buf b;

    buf_init(&b, 1024);
    buf_string(&b, stream_head);
    sse_retry(&b, between(set->retry_min_ms, set->retry_max_ms));
    sse_comment(&b, TEXT_LIT("freshet"));
    if (!feed || buf_failed(&b)) {
        if (feed)
            hub_release(&s->hub, feed);
        conn_drop(c, REASON_NO_MEMORY);
    } else {
        s->counters.streams++;
        s->n_streams++;
        c->sub.feed = feed;
        c->sub.reset_now = q->reset_now;
        begin_response(c);
        if (c->expiry.at_ms != DEADLINE_NEVER &&
            deadlines_add(&s->expiring, &c->expiry, c->expiry.at_ms) != ERR_OK)
            conn_drop(c, REASON_NO_MEMORY);
        else
            conn_send(c, buf_view(&b));
        if (c->state == CONN_STREAM)
            begin_at(c, q);
    }
    buf_finish(&b);
}

bool
answer_admit(struct conn *c)
{
    struct server *s = c->server;
    int64_t max = s->settings->streams_per_address;

    if (max == 0)
        return true;
    c->address = addresses_begin(&s->addresses, text_of(c->remote), max);
    s->counters.address_refusals += !c->address;
    return c->address;
}

bool
answer_query(struct conn *c, const struct request *r, enum query_kind kind, struct query *q)
{
    struct server *s = c->server;
    struct query_limits limits = {(size_t)s->settings->topics_max, s->epoch, r->topics,
                                  clock_wall_ms(), kind};
    struct errbuf eb;
    enum err err = query_parse(r->query, r->last_event_id, &limits, q, &eb);

    if (err == ERR_INVALID)
        answer_problem(c, 400, "Bad Request", "", eb.text);
    else if (err == ERR_DENIED)
        answer_problem(c, 403, "Forbidden", "", eb.text);
    else if (err != ERR_OK)
        conn_drop(c, REASON_NO_MEMORY);
    return err == ERR_OK;
}

static void
get(struct conn *c, const struct request *r)
{
    struct server *s = c->server;
    struct query q;

    if (!answer_query(c, r, QUERY_STREAM, &q))
        return;
    if (s->draining || s->n_streams >= (uint64_t)s->settings->streams_max || !answer_admit(c))
        come_back_later(c);
    else
        stream(c, &q);
    query_finish(&q);
}

static const char *
allow_line(const struct conn *c)
{
    return c->server->writer ? "Allow: GET, HEAD, OPTIONS, POST\r\n"
                             : "Allow: GET, HEAD, OPTIONS\r\n";
}

static void
options(struct conn *c, const struct request *r)
{
    struct buf b;

    buf_init(&b, 4096);
    buf_format(&b, "Status: 204 No Content\r\n%s", allow_line(c));
    cors_preflight(c->server->settings->cors_origin, r, &b);
    buf_string(&b, "\r\n");
    answer_whole(c, &b);
    buf_finish(&b);
}

static void
head(struct conn *c)
{
    struct buf b;

    buf_init(&b, 1024);
    buf_string(&b, stream_head);
    answer_whole(c, &b);
    buf_finish(&b);
}

/* What every response to this request gets. False: no memory. */
static bool
add_headers(struct conn *c, const struct request *r)
{
    struct buf b;

    if (!c->server->settings->cors_origin)
        return true;
    buf_init(&b, SIZE_MAX / 4);
    cors_headers(c->server->settings->cors_origin, r, &b);
    c->headers = buf_take(&b);
    buf_finish(&b);
    return c->headers;
}

static enum err
decide(struct conn *c, const struct request *r, struct access *a)
{
    struct server *s = c->server;
    const struct settings *set = s->settings;
    struct token_rules tokens = {s->token_key, set->token_audience, set->token_issuer,
                                 set->token_leeway_ms};
    struct access_rules rules = {&tokens, set->token_cookie, set->cors_origin};
    int64_t wall_ms = clock_wall_ms();
    enum err err = access_decide(&rules, r, wall_ms, a);

    c->expiry.at_ms = DEADLINE_NEVER;
    if (err == ERR_OK && a->expires_ms != TOKEN_NEVER)
        c->expiry.at_ms = s->now_ms + a->expires_ms - wall_ms;
    return err;
}

/* Does what is asked, as far as it is granted: what follows sees that as FRESHET_TOPICS. */
static void
serve(struct conn *c, const struct request *r, struct access *a)
{
    struct request granted = *r;

    granted.topics = text_of(a->read);
    if (a->status)
        answer_problem(c, a->status, a->status == 401 ? "Unauthorized" : "Forbidden", a->challenge,
                       a->why.text);
    else if (text_equal(r->method, TEXT_LIT("POST")))
        publish(c, &granted, a);
    else if (history(c, &granted))
        return;
    else if (text_equal(r->method, TEXT_LIT("GET")))
        get(c, &granted);
    else
        head(c);
}

/* It is one word of a log line, whatever it holds; two that differ stay so. */
static char *
name_for_log(struct text remote)
{
    struct buf b;
    char *name;

    buf_init(&b, SIZE_MAX / 4);
    buf_percent(&b, remote, "-._~!$()*+,;:@/[]");
    name = buf_take(&b);
    buf_finish(&b);
    return name;
}

void
answer(struct conn *c, const struct request *r)
{
    struct text remote = r->address.n ? r->address : r->remote;
    struct access a;

    c->remote = remote.n ? name_for_log(remote) : NULL;
    if (!add_headers(c, r)) {
        conn_drop(c, REASON_NO_MEMORY);
    } else if (text_equal(r->method, TEXT_LIT("OPTIONS"))) {
        options(c, r);
    } else if (!text_equal(r->method, TEXT_LIT("GET")) &&
               !text_equal(r->method, TEXT_LIT("HEAD")) &&
               !(text_equal(r->method, TEXT_LIT("POST")) && c->server->writer)) {
        answer_problem(c, 405, "Method Not Allowed", allow_line(c),
                       "events are read with GET; HEAD and OPTIONS are understood too");
    } else if (decide(c, r, &a) != ERR_OK) {
        conn_drop(c, REASON_NO_MEMORY);
    } else {
        serve(c, r, &a);
        access_finish(&a);
    }
}
