#include "fcgi/respond.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fcgi/conn.h"
#include "fcgi/state.h"
#include "http/access.h"
#include "http/request.h"
#include "stream/event_json.h"

void
respond_whole(struct conn *c, const struct buf *b)
{
    if (buf_failed(b)) {
        conn_drop(c, REASON_NO_MEMORY);
        return;
    }
    conn_send(c, buf_view(b));
    conn_end(c, REASON_ANSWERED);
}

/* ---- replies ---- */

struct reply {
    size_t unsent; /* as counted */
};

static void
flush_reply(struct conn *c)
{
    if (conn_flush_rest(c))
        conn_end_now(c);
}

static void
end_reply(struct conn *c, enum conn_reason reason)
{
    struct reply *reply = c->using;

    (void)reason;
    c->server->history_unsent -= reply->unsent;
    mem_free(reply);
}

static const struct conn_use reply_use = {.flush = flush_reply, .leave = end_reply};

void
respond_reply(struct conn *c, const struct buf *b)
{
    struct reply *reply = buf_failed(b) ? NULL : mem_zalloc(sizeof *reply);

    if (!reply) {
        conn_drop(c, REASON_NO_MEMORY);
        return;
    }
    conn_begin(c, &reply_use, reply, &c->server->blocked);
    conn_send(c, buf_view(b));
    if (c->state == CONN_BUSY && !conn_hold_end(c))
        conn_drop(c, REASON_NO_MEMORY);
    if (c->state != CONN_BUSY)
        return;
    reply->unsent = c->out.rest_n;
    c->server->history_unsent += reply->unsent;
}

/* ---- short ones ---- */

void
respond_problem(struct conn *c, int status, const char *title, const char *headers,
                const char *detail)
{
    struct buf json, b;

    c->server->counters.requests_bad++;
    buf_init(&json, 4096);
    buf_format(&json, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":", title,
               status);
    buf_json(&json, text_of(detail)); /* which may be cut in mid-character */
    buf_string(&json, "}\n");
    buf_init(&b, 8192);
    buf_format(&b,
               "Status: %d %s\r\nContent-Type: application/problem+json\r\n"
               "Cache-Control: no-store\r\n%sContent-Length: %zu\r\n\r\n",
               status, title, headers, json.length);
    buf_text(&b, buf_view(&json));
    b.failed = b.failed || buf_failed(&json);
    respond_whole(c, &b);
    buf_finish(&b);
    buf_finish(&json);
}

void
respond_too_large(struct conn *c)
{
    char detail[80];

    snprintf(detail, sizeof detail, "the body is longer than %lld bytes",
             (long long)c->server->settings->body_max);
    respond_problem(c, 413, "Content Too Large", "", detail);
}

void
respond_denied(struct conn *c, const struct access *access, const char *why)
{
    if (access->challenge[0])
        respond_problem(c, 401, "Unauthorized", access->challenge, why);
    else
        respond_problem(c, 403, "Forbidden", "", why);
}

bool
respond_query(struct conn *c, const struct request *r, const struct access *access,
              enum query_kind kind, struct query *q)
{
    struct server *s = c->server;
    const struct settings *set = s->settings;
    struct query_limits limits = {.topics_max = (size_t)set->topics_max,
                                  .where_max = (size_t)set->where_max,
                                  .dialect = server_dialect(s),
                                  .grants = &access->read,
                                  .now_ms = clock_wall_ms(),
                                  .kind = kind};
    struct errbuf eb;
    enum err err = query_parse(r->query, r->last_event_id, &limits, q, &eb);

    if (err == ERR_INVALID)
        respond_problem(c, 400, "Bad Request", "", eb.text);
    else if (err == ERR_DENIED)
        respond_denied(c, access, eb.text);
    else if (err != ERR_OK)
        conn_drop(c, REASON_NO_MEMORY);
    return err == ERR_OK;
}

int64_t
respond_expiry(const struct conn *c, const struct access *access)
{
    return access->expires_ms == TOKEN_NEVER
               ? DEADLINE_NEVER
               : c->server->now_ms + access->expires_ms - clock_wall_ms();
}
