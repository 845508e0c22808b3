#include "fcgi/conn_internal.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "fcgi/answer.h"
#include "fcgi/history.h"
#include "fcgi/server.h"

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

static struct conn_queue *
ready_queue(const struct conn *c)
{
    return c->is_patient ? &c->server->patient : &c->server->ready;
}

void
conn_make_ready(struct conn *c)
{
    if (c->is_ready || c->state == CONN_DEAD)
        return;
    c->is_ready = true;
    c->is_patient = c->state == CONN_STREAM && c->joined;
    TAILQ_INSERT_TAIL(ready_queue(c), c, in_ready);
}

void
conn_make_readable(struct conn *c)
{
    if (c->is_readable || c->state == CONN_DEAD)
        return;
    c->is_readable = true;
    TAILQ_INSERT_TAIL(&c->server->readable, c, in_readable);
}

static void
want_writable(struct conn *c, bool wanted)
{
    if (c->wants_writable == wanted)
        return;
    c->wants_writable = wanted;
    poller_want_writable(&c->server->poller, c->out.fd, c, wanted);
}

/* A socket that was full and took all goes on being asked for: under load it is full again soon,
 * and asking costs a system call. When it could be written to and nobody waited, asking ends. */
static void
now_writable(struct conn *c)
{
    if (c->blocked)
        conn_make_ready(c);
    else
        want_writable(c, false);
}

void
conn_happened(void *conn, unsigned what)
{
    struct conn *c = conn;

    c->peer_closed |= (what & POLLER_CLOSED) != 0;
    if (what & POLLER_READABLE)
        conn_make_readable(c);
    if (what & POLLER_WRITABLE)
        now_writable(c);
}

struct conn *
conn_create(struct server *s, int fd, bool bare)
{
    struct conn *c = mem_zalloc(sizeof *c);

    if (!c) {
        close(fd);
        return NULL;
    }
    c->server = s;
    c->state = CONN_REQUEST;
    outlet_init(&c->out, fd, 0, bare);
    c->begun_ms = s->now_ms;
    server_list(s, c, &s->requests);
    s->n_conns++;
    return c;
}

void
conn_watch(struct conn *c)
{
    if (c->state == CONN_DEAD)
        return;
    c->watched = poller_add(&c->server->poller, c->out.fd, c);
    if (!c->watched && !c->out.bare) {
        log_line(LOG_WARN, "connection closed: it cannot be watched: %s", strerror(errno));
        conn_drop(c, REASON_NO_MEMORY);
    }
}

/* ---- writing ---- */

static void
set_blocked(struct conn *c, bool blocked)
{
    struct server *s = c->server;

    if (blocked && !c->watched) { /* a plain file is never full: an error that will not pass */
        conn_drop(c, REASON_CLIENT_GONE);
        return;
    }
    if (blocked)
        want_writable(c, true);
    c->blocked = blocked;
    if (c->state == CONN_STREAM || c->state == CONN_REPLY)
        server_list(s, c, blocked ? &s->blocked : &s->quiet);
}

/* What follows from one attempt to send; true when the next one may be made at once. */
static bool
sent(struct conn *c, enum outlet_sent result)
{
    switch (result) {
    case OUTLET_SENT:
        return true;
    case OUTLET_KEPT:
    case OUTLET_NOTHING:
        set_blocked(c, true);
        return false;
    case OUTLET_GONE:
        conn_drop(c, REASON_CLIENT_GONE);
        return false;
    case OUTLET_NO_MEMORY:
        conn_drop(c, REASON_NO_MEMORY);
        return false;
    }
    return false;
}

/* Everything goes out when the connection's turn comes, together with what is there by then. */
static void
send_text(struct conn *c, struct text text)
{
    if (outlet_hold(&c->out, text))
        conn_make_ready(c);
    else
        conn_drop(c, REASON_NO_MEMORY);
}

/* Puts c->headers behind the Status line. */
static void
send_with_headers(struct conn *c, struct text text)
{
    const char *end = memchr(text.p, '\n', text.n);
    size_t line = end ? (size_t)(end - text.p) + 1 : 0;
    struct buf b;

    buf_init(&b, SIZE_MAX / 4);
    buf_append(&b, text.p, line);
    buf_string(&b, c->headers);
    buf_append(&b, text.p + line, text.n - line);
    mem_free(c->headers);
    c->headers = NULL;
    if (buf_failed(&b))
        conn_drop(c, REASON_NO_MEMORY);
    else
        send_text(c, buf_view(&b));
    buf_finish(&b);
}

void
conn_send(struct conn *c, struct text text)
{
    if (c->headers)
        send_with_headers(c, text);
    else
        send_text(c, text);
}

void
conn_reply(struct conn *c, const struct buf *response)
{
    if (buf_failed(response)) {
        conn_drop(c, REASON_NO_MEMORY);
        return;
    }
    c->state = CONN_REPLY;
    server_list(c->server, c, &c->server->blocked);
    conn_send(c, buf_view(response));
    if (c->state != CONN_REPLY)
        return;
    if (!outlet_hold_end(&c->out)) {
        conn_drop(c, REASON_NO_MEMORY);
        return;
    }
    c->end_sent = true;
    c->unsent = c->out.rest_n;
    c->server->history_unsent += c->unsent;
}

/* The socket took something: what was blocked is not, and the silence begins anew. */
static void
progress(struct conn *c)
{
    if (c->blocked)
        set_blocked(c, false);
    else if (c->state == CONN_STREAM)
        server_list(c->server, c, &c->server->quiet);
}

/* Sends what is kept; true when all is sent. */
static bool
flush_rest(struct conn *c)
{
    uint64_t before = c->out.bytes;
    enum outlet_sent result = outlet_flush(&c->out);

    c->server->counters.bytes_sent += c->out.bytes - before;
    if (!sent(c, result))
        return false;
    if (c->out.bytes > before || c->blocked)
        progress(c);
    return true;
}

/* Frees what belongs to one request. */
static void
forget_request(struct conn *c)
{
    conn_forget_pieces(c);
    mem_free(c->path);
    mem_free(c->remote);
    mem_free(c->headers);
    c->path = c->remote = c->headers = NULL;
}

/* The response is with the kernel and the request has been read to its end. */
static void
await_next_request(struct conn *c)
{
    forget_request(c);
    c->sub = (struct subscriber){0};
    c->reader = (struct record_reader){0};
    c->out.bytes = 0;
    c->end_sent = false;
    c->state = CONN_IDLE;
    server_list(c->server, c, &c->server->idle);
}

static void
flush_ending(struct conn *c)
{
    if (!c->end_sent && !outlet_hold_end(&c->out)) {
        conn_drop(c, REASON_NO_MEMORY);
        return;
    }
    c->end_sent = true;
    if (!flush_rest(c))
        return;
    if (c->keep && !c->server->draining) {
        if (c->reader.ended)
            await_next_request(c);
        return; /* else for the rest of a body that nobody wanted */
    }
    if (c->out.bare || shutdown(c->out.fd, SHUT_WR) < 0)
        conn_drop(c, REASON_CLIENT_GONE);
    /* Else the peer's close is awaited: closing with unread bytes would reset the connection and
     * might destroy what the peer has not read yet. */
}

/* Sends what was gathered behind what is kept; true when the socket took all. */
static bool
send_record(struct conn *c, struct gather *g, const struct subscriber_position *before)
{
    struct counters *counters = &c->server->counters;
    uint64_t bytes_before = c->out.bytes;
    enum outlet_sent result = outlet_gather(&c->out, g);

    counters->writes++;
    counters->writes_cut += result != OUTLET_SENT;
    counters->bytes_sent += c->out.bytes - bytes_before;
    if (result == OUTLET_NOTHING)
        c->sub.at = *before;
    else
        counters->events_sent += c->sub.at.events - before->events;
    round_wrote(&c->server->round, &c->out);
    if (!sent(c, result))
        return false;
    progress(c);
    return true;
}

/* One record. True when another one may follow at once. */
static bool
flush_record(struct conn *c, size_t bytes_max)
{
    struct server *s = c->server;
    struct subscriber_position before = c->sub.at;
    struct gather g;
    enum gathered gathered;

    gather_init(&g, bytes_max);
    gathered = subscriber_gather(&c->sub, &g, s->epoch);
    if (g.bytes > 0 ? !send_record(c, &g, &before) : !flush_rest(c))
        return false;
    if (gathered == GATHERED_PART && g.bytes > 0)
        return true;
    if (gathered == GATHERED_PART ||
        (gathered == GATHERED_BEHIND && hub_wait(&s->hub, &c->sub) != ERR_OK))
        conn_drop(c, REASON_NO_MEMORY);
    return false;
}

static void
flush_stream(struct conn *c)
{
    const struct settings *set = c->server->settings;
    uint64_t begin = c->out.bytes;

    while (flush_record(c, (size_t)set->record_bytes)) {
        if (c->out.bytes - begin >= (uint64_t)set->turn_bytes) {
            conn_make_ready(c);
            return;
        }
    }
}

/* At once: all is sent, and the web server may be sending the next request. */
static void
end_reply(struct conn *c)
{
    conn_end(c, REASON_ANSWERED);
    flush_ending(c);
}

void
conn_flush(struct conn *c)
{
    if (c->state == CONN_ENDING)
        flush_ending(c);
    else if (c->state == CONN_HISTORY)
        history_wake(c);
    else if (c->state == CONN_STREAM && c->joined && !c->sub.waiting)
        flush_stream(c);
    else if (flush_rest(c) && c->state == CONN_REPLY)
        end_reply(c);
}

void
conn_heartbeat(struct conn *c)
{
    c->server->counters.heartbeats++;
    send_text(c, TEXT_LIT(":\n\n"));
    if (c->state == CONN_STREAM)
        server_list(c->server, c, &c->server->quiet);
}

/* ---- the end ---- */

static void
leave(struct conn *c, enum conn_reason reason)
{
    const struct subscriber_position *at = &c->sub.at;
    struct server *s = c->server;

    if (c->upload && c->state == CONN_PUBLISH)
        c->upload->owner = NULL; /* it is written all the same */
    else
        publish_forget(s, c->upload);
    c->upload = NULL;
    deadlines_remove(&s->expiring, &c->expiry);
    if (c->address)
        addresses_end(&s->addresses, c->address);
    c->address = NULL;
    if (c->history)
        history_leave(c);
    s->history_unsent -= c->unsent;
    c->unsent = 0;
    if (!c->sub.feed)
        return;
    s->n_streams--;
    log_line(LOG_INFO,
             "stream end reason=%s remote=%s filter=\"%s\" first=%lld last=%lld events=%llu "
             "bytes=%llu ms=%lld",
             reason_word(reason), c->remote ? c->remote : "-", c->sub.feed->what.key,
             (long long)at->first_id, (long long)at->last_id, (unsigned long long)at->events,
             (unsigned long long)c->out.bytes, (long long)(s->now_ms - c->begun_ms));
    if (c->job) /* the reader has it, with a reference of its own */
        c->job->owner = NULL;
    c->job = NULL;
    if (c->joined) {
        hub_leave(&s->hub, &c->sub);
    } else {
        hub_release(&s->hub, c->sub.feed);
        c->sub.feed = NULL;
    }
    c->joined = false;
}

void
conn_end(struct conn *c, enum conn_reason reason)
{
    if (c->state == CONN_DEAD || c->state == CONN_ENDING)
        return;
    leave(c, reason);
    c->state = CONN_ENDING;
    server_list(c->server, c, &c->server->ending);
    if (!c->blocked)
        conn_make_ready(c);
}

void
conn_drop(struct conn *c, enum conn_reason reason)
{
    if (c->state == CONN_DEAD)
        return;
    leave(c, reason);
    c->state = CONN_DEAD;
    server_list(c->server, c, &c->server->dead);
}

static void
free_conn(struct conn *c)
{
    outlet_finish(&c->out);
    forget_request(c);
    mem_free(c);
}

void
conn_reap(struct conn *c)
{
    struct server *s = c->server;

    assert(c->state == CONN_DEAD);
    if (c->is_readable)
        TAILQ_REMOVE(&s->readable, c, in_readable);
    if (c->is_ready)
        TAILQ_REMOVE(ready_queue(c), c, in_ready);
    round_forget(&s->round, &c->out);
    TAILQ_REMOVE(&c->list->queue, c, in_list);
    s->n_conns--;
    close(c->out.fd); /* which takes it out of the poller, too */
    free_conn(c);
}
