#include "fcgi/conn.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "fcgi/state.h"

enum {
    MAKE_ROOM_PART = 8,    /* of --unsent-bytes is made free at once */
    UNSENT_LOG_MS = 10000, /* it is logged this often while it lasts */
};

static void
leave_list(struct conn *c)
{
    if (c->list != CONN_NO_LIST)
        TAILQ_REMOVE(&c->server->lists[c->list].queue, c, in_list);
    c->list = CONN_NO_LIST;
}

void
conn_move(struct conn *c, struct conn_list *list)
{
    leave_list(c);
    TAILQ_INSERT_TAIL(&list->queue, c, in_list);
    c->list = (uint8_t)(list - c->server->lists);
    c->since_ms = c->server->now_ms;
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
    c->is_patient = c->in_rounds;
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
 * and asking costs a system call. When it could be written to and nothing waited for that, asking
 * ends. */
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
    c->list = CONN_NO_LIST;
    outlet_init(&c->out, fd, 0, bare);
    c->begun_ms = s->now_ms;
    conn_move(c, &s->requests);
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

uint64_t
conn_lane(const struct conn *c)
{
    return text_hash(c->server->seed, text_of(c->remote));
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
    if (c->state == CONN_BUSY)
        conn_move(c, blocked ? &s->blocked : &s->quiet);
}

/* The socket took something: what was blocked is not, and the silence starts again. */
static void
progress(struct conn *c)
{
    if (c->blocked)
        set_blocked(c, false);
    else if (c->state == CONN_BUSY)
        conn_move(c, &c->server->quiet);
}

static void
count_unsent(struct conn *c)
{
    uint32_t unsent = outlet_memory(&c->out);

    c->server->unsent += unsent - (uint64_t)c->unsent;
    c->unsent = unsent;
}

/* What is kept for clients has a bound. Of those whose sockets are full, those that have taken
 * nothing for longest make room, a share at once: looking for them costs as much for one. They lose
 * nothing, because they come back to their position. */
static void
make_room(struct server *s)
{
    uint64_t max = (uint64_t)s->settings->unsent_bytes;
    struct conn *c, *next;

    if (s->unsent <= max)
        return;
    for (c = TAILQ_FIRST(&s->blocked.queue); c && s->unsent > max - max / MAKE_ROOM_PART;
         c = next) {
        next = TAILQ_NEXT(c, in_list);
        if (c->unsent == 0)
            continue;
        s->counters.unsent_drops++;
        conn_drop(c, REASON_UNSENT);
    }
    if (s->now_ms < s->unsent_log_ms)
        return;
    s->unsent_log_ms = s->now_ms + UNSENT_LOG_MS;
    log_line(LOG_WARN,
             "closing connections that have accepted nothing for longest, because "
             "--unsent-bytes is reached; %llu so far",
             (unsigned long long)s->counters.unsent_drops);
}

/* True when all is sent. */
static bool
judge(struct conn *c, enum outlet_sent result)
{
    count_unsent(c);
    switch (result) {
    case OUTLET_SENT:
        return true;
    case OUTLET_KEPT:
    case OUTLET_NOTHING:
        set_blocked(c, true);
        make_room(c->server);
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

bool
conn_sent(struct conn *c, enum outlet_sent result)
{
    if (!judge(c, result))
        return false;
    progress(c);
    return true;
}

/* Everything goes out when the connection's turn comes, together with what is there by then. */
static void
send_text(struct conn *c, struct text text)
{
    if (!outlet_hold(&c->out, text)) {
        conn_drop(c, REASON_NO_MEMORY);
        return;
    }
    count_unsent(c);
    conn_make_ready(c);
}

/* Puts c->headers behind the first line. */
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

bool
conn_hold_end(struct conn *c)
{
    c->end_sent = outlet_hold_end(&c->out);
    count_unsent(c);
    return c->end_sent;
}

bool
conn_flush_rest(struct conn *c)
{
    uint64_t before = c->out.bytes;
    enum outlet_sent result = outlet_flush(&c->out);

    c->server->counters.bytes_sent += c->out.bytes - before;
    if (!judge(c, result))
        return false;
    if (c->out.bytes > before || c->blocked)
        progress(c);
    return true;
}

void
conn_forget_pieces(struct conn *c)
{
    if (c->in)
        buf_finish(c->in);
    mem_free(c->in);
    c->in = NULL;
}

/* Frees what belongs to one request. */
static void
forget_request(struct conn *c)
{
    conn_forget_pieces(c);
    mem_free(c->remote);
    mem_free(c->headers);
    c->remote = c->headers = NULL;
}

void
conn_begin_request(struct conn *c)
{
    c->state = CONN_REQUEST;
    c->begun_ms = c->server->now_ms;
    conn_move(c, &c->server->requests);
}

void
conn_await_request(struct conn *c)
{
    c->state = CONN_IDLE;
    conn_move(c, &c->server->idle);
    conn_make_ready(c);
}

/* The response is with the kernel and the request has been read to its end. */
static void
await_next_request(struct conn *c)
{
    forget_request(c);
    c->reader = (struct record_reader){0};
    c->out.bytes = 0;
    c->end_sent = false;
    c->state = CONN_IDLE;
    conn_move(c, &c->server->idle);
}

static void
flush_ending(struct conn *c)
{
    if (!c->end_sent && !conn_hold_end(c)) {
        conn_drop(c, REASON_NO_MEMORY);
        return;
    }
    if (!conn_flush_rest(c))
        return;
    if (c->keep && !c->server->draining) {
        if (c->reader.ended)
            await_next_request(c);
        return; /* else for the rest of a body that no use wanted */
    }
    if (c->out.bare || shutdown(c->out.fd, SHUT_WR) < 0)
        conn_drop(c, REASON_CLIENT_GONE);
    /* Else the peer's close is awaited: closing with unread bytes would reset the connection and
     * might destroy what the peer has not read yet. */
}

void
conn_end_now(struct conn *c)
{
    conn_end(c, REASON_ANSWERED);
    flush_ending(c);
}

void
conn_flush(struct conn *c)
{
    if (c->state == CONN_ENDING)
        flush_ending(c);
    else if (c->use && c->use->flush)
        c->use->flush(c);
    else
        conn_flush_rest(c);
}

/* ---- the end ---- */

/* What is held for this request is given back. */
static void
end_use(struct conn *c, enum conn_reason reason)
{
    const struct conn_use *use = c->use;

    c->use = NULL;
    if (use)
        use->leave(c, reason);
    c->using = NULL;
    c->in_rounds = false;
}

void
conn_begin(struct conn *c, const struct conn_use *use, void *using, struct conn_list *list)
{
    end_use(c, REASON_ANSWERED);
    c->use = use;
    c->using = using;
    c->state = CONN_BUSY;
    if (list)
        conn_move(c, list);
}

void
conn_end(struct conn *c, enum conn_reason reason)
{
    if (c->state == CONN_DEAD || c->state == CONN_ENDING)
        return;
    end_use(c, reason);
    c->state = CONN_ENDING;
    conn_move(c, &c->server->ending);
    if (!c->blocked)
        conn_make_ready(c);
}

void
conn_drop(struct conn *c, enum conn_reason reason)
{
    if (c->state == CONN_DEAD)
        return;
    end_use(c, reason);
    c->state = CONN_DEAD;
    conn_move(c, &c->server->dead);
    outlet_finish(&c->out);
    count_unsent(c);
}

static void
free_conn(struct conn *c)
{
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
    leave_list(c);
    s->n_conns--;
    close(c->out.fd); /* which takes it out of the poller, too */
    free_conn(c);
}
