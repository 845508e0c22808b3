#include "fcgi/conn_read.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/mem.h"
#include "fcgi/request.h"
#include "fcgi/route.h"
#include "fcgi/state.h"

enum {
    READ_BYTES = 16 * 1024,
    UNREAD_ANSWERS = 4096, /* bytes: who asks for ever and takes no answer is refused */
};

static void
refuse(struct conn *c, const char *why)
{
    c->server->counters.connections_bad++;
    log_line(LOG_WARN, "connection closed: %s", why);
    conn_drop(c, REASON_CLIENT_GONE);
}

static struct buf *
body_of(struct conn *c)
{
    return c->use && c->use->body ? c->use->body(c) : NULL;
}

static void
body_ended(struct conn *c, bool wanted)
{
    if (c->state == CONN_ENDING)
        conn_flush(c); /* the next request may have waited for this */
    else if (wanted)
        c->use->body_came(c, true);
}

/* What comes behind the parameters: the body of a POST, one that nobody asked for, or an abort. */
static void
got_body(struct conn *c, struct text *bytes)
{
    struct buf *body = body_of(c);

    switch (record_read(&c->reader, bytes, body)) {
    case RECORD_MORE:
        if (body)
            c->use->body_came(c, false);
        break;
    case RECORD_END:
        body_ended(c, body);
        break;
    case RECORD_ABORT:
        conn_drop(c, REASON_CLIENT_GONE);
        break;
    case RECORD_INVALID:
        refuse(c, "what follows the request is not FastCGI, or comes before the answer");
        break;
    }
}

static void
got_request(struct conn *c, struct text bytes)
{
    struct request r;
    struct errbuf eb;

    if (request_parse(bytes, &r, &eb) != ERR_OK) {
        refuse(c, eb.text);
        return;
    }
    c->out.request_id = c->reader.request_id = r.id;
    route(c, &r);
    request_finish(&r);
}

/* Adds to what has come of a request's head; false when memory ran out. */
static bool
keep_piece(struct conn *c, struct text bytes)
{
    if (!c->in) {
        c->in = mem_alloc(sizeof *c->in);
        if (!c->in)
            return false;
        buf_init(c->in, (size_t)c->server->settings->request_max + READ_BYTES);
    }
    buf_text(c->in, bytes);
    return !buf_failed(c->in);
}

/* A question of the web server about this process, between requests. The connection then waits for
 * a request as one that is kept does. */
static void
got_management(struct conn *c, struct text record)
{
    struct buf answer;

    buf_init(&answer, RECORD_HEAD + RECORD_CONTENT_MAX);
    if (c->out.rest_n - c->out.rest_at > UNREAD_ANSWERS) {
        refuse(c, "answers to FCGI_GET_VALUES are not read");
    } else if (!record_answer_management(&answer, record, c->server->conns_max)) {
        refuse(c, "the names in FCGI_GET_VALUES are incomplete");
    } else if (buf_failed(&answer) || !outlet_hold_record(&c->out, buf_view(&answer))) {
        conn_drop(c, REASON_NO_MEMORY);
    } else {
        conn_make_ready(c);
        c->state = CONN_IDLE;
        conn_move(c, &c->server->idle);
    }
    buf_finish(&answer);
}

/* bytes: all that has come of the request's head; gives back how many of them are the head. */
static size_t
look_at_head(struct conn *c, struct text bytes)
{
    size_t n = bytes.n, request_max = (size_t)c->server->settings->request_max;

    switch (record_look(bytes, &n)) {
    case RECORD_GARBAGE:
        refuse(c, "what came is not the beginning of a FastCGI request");
        break;
    case RECORD_WHOLE:
        c->keep = record_keeps(bytes);
        if (n > request_max)
            refuse(c, "the request is longer than --request-bytes");
        else
            got_request(c, (struct text){bytes.p, n});
        break;
    case RECORD_MANAGEMENT:
        got_management(c, (struct text){bytes.p, n});
        break;
    case RECORD_PARTLY:
        if (n > request_max)
            refuse(c, "the request is longer than --request-bytes");
        else if (!c->in && !keep_piece(c, bytes))
            conn_drop(c, REASON_NO_MEMORY);
        break;
    }
    return n;
}

/* Takes what belongs to the request's head off *bytes. */
static void
got_head(struct conn *c, struct text *bytes)
{
    size_t before = c->in ? c->in->length : 0, n;
    struct text all = *bytes;

    if (c->state == CONN_IDLE) {
        c->state = CONN_REQUEST;
        c->begun_ms = c->server->now_ms;
        conn_move(c, &c->server->requests);
    }
    if (c->in) {
        if (!keep_piece(c, all)) {
            conn_drop(c, REASON_NO_MEMORY);
            return;
        }
        all = buf_view(c->in);
    }
    n = look_at_head(c, all);
    if (c->state != CONN_REQUEST)
        conn_forget_pieces(c);
    *bytes = (struct text){bytes->p + (n - before), bytes->n - (n - before)};
}

void
conn_read(struct conn *c)
{
    char bytes[READ_BYTES];
    struct text rest = TEXT_NONE;
    ssize_t n;

    do
        n = recv(c->out.fd, bytes, sizeof bytes, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return;
    if (n <= 0) /* closed; or plain CGI's pipe, which only reports that its reader is gone */
        conn_drop(c, REASON_CLIENT_GONE);
    else
        rest = (struct text){bytes, (size_t)n};
    while (rest.n > 0 && c->state != CONN_DEAD) {
        if (c->state == CONN_REQUEST || c->state == CONN_IDLE)
            got_head(c, &rest);
        else
            got_body(c, &rest);
    }
    /* What is left is not reported again. */
    if (n == READ_BYTES || c->peer_closed)
        conn_make_readable(c);
}
