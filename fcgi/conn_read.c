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
    UNREAD_ANSWERS = 4096, /* bytes: a peer that asks and asks and reads no answer is refused */
};

static enum err
refuse(struct errbuf *why, const char *text)
{
    return err_set(why, ERR_INVALID, "%s", text);
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

/* What comes behind the parameters: the body of a POST, one that no use asked for, or an abort. */
static enum err
got_body(struct conn *c, struct text *bytes, struct errbuf *why)
{
    struct buf *body = body_of(c);

    switch (record_read(&c->reader, bytes, body)) {
    case RECORD_MORE:
        if (body)
            c->use->body_came(c, false);
        return ERR_OK;
    case RECORD_END:
        body_ended(c, body);
        return ERR_OK;
    case RECORD_ABORT:
        return ERR_MISSING;
    case RECORD_INVALID:
        return refuse(why, "what follows the request is not FastCGI, or comes before the answer");
    }
    return ERR_OK;
}

static enum err
got_request(struct conn *c, struct text bytes, struct errbuf *why)
{
    struct request r;
    enum err err = request_parse(bytes, &r, why);

    if (err != ERR_OK)
        return err;
    c->out.request_id = c->reader.request_id = r.id;
    c->keep = r.keeps;
    route(c, &r);
    request_finish(&r);
    return ERR_OK;
}

/* Adds to what has come of a request's head. */
static enum err
keep_piece(struct conn *c, struct text bytes)
{
    if (!c->in) {
        c->in = mem_alloc(sizeof *c->in);
        if (!c->in)
            return ERR_NOMEM;
        buf_init(c->in, (size_t)c->server->settings->request_max + READ_BYTES);
    }
    buf_text(c->in, bytes);
    return buf_failed(c->in) ? ERR_NOMEM : ERR_OK;
}

/* A question of the web server about this process, between requests. The connection then waits for
 * a request as one that is kept does. */
static enum err
got_management(struct conn *c, struct text record, struct errbuf *why)
{
    struct buf answer;
    enum err err = ERR_OK;

    buf_init(&answer, RECORD_HEAD + RECORD_CONTENT_MAX);
    if (c->out.rest_n - c->out.rest_at > UNREAD_ANSWERS)
        err = refuse(why, "answers to FCGI_GET_VALUES are not read");
    else if (!record_answer_management(&answer, record, c->server->conns_max))
        err = refuse(why, "the names in FCGI_GET_VALUES are incomplete");
    else if (buf_failed(&answer) || !outlet_hold_record(&c->out, buf_view(&answer)))
        err = ERR_NOMEM;
    else
        conn_await_request(c);
    buf_finish(&answer);
    return err;
}

/* bytes: all that has come of the request's head; *n is how many of them are the head. */
static enum err
look_at_head(struct conn *c, struct text bytes, size_t *n, struct errbuf *why)
{
    size_t request_max = (size_t)c->server->settings->request_max;
    enum record_look look;

    *n = bytes.n;
    look = record_look(bytes, n);
    if (look == RECORD_GARBAGE)
        return refuse(why, "the input is not the beginning of a FastCGI request");
    if (look != RECORD_MANAGEMENT && *n > request_max)
        return refuse(why, "the request is longer than --request-bytes");
    if (look == RECORD_PARTLY)
        return c->in ? ERR_OK : keep_piece(c, bytes);
    bytes.n = *n;
    return look == RECORD_WHOLE ? got_request(c, bytes, why) : got_management(c, bytes, why);
}

/* Takes what belongs to the request's head off *bytes. */
static enum err
got_head(struct conn *c, struct text *bytes, struct errbuf *why)
{
    size_t before = c->in ? c->in->length : 0, n;
    struct text all = *bytes;
    enum err err = c->in ? keep_piece(c, all) : ERR_OK;

    if (err != ERR_OK)
        return err;
    if (c->in)
        all = buf_view(c->in);
    err = look_at_head(c, all, &n, why);
    if (c->state != CONN_REQUEST)
        conn_forget_pieces(c);
    *bytes = (struct text){bytes->p + (n - before), bytes->n - (n - before)};
    return err;
}

/* Until nothing is left of them, or it fails. */
static enum err
got_bytes(struct conn *c, struct text bytes, struct errbuf *why)
{
    enum err err = ERR_OK;

    while (err == ERR_OK && bytes.n > 0 && c->state != CONN_DEAD) {
        if (c->state == CONN_IDLE)
            conn_begin_request(c);
        err = c->state == CONN_REQUEST ? got_head(c, &bytes, why) : got_body(c, &bytes, why);
    }
    return err;
}

/* The one place where what was read, or that it ended, ends the connection. */
static void
give_up(struct conn *c, enum err err, const struct errbuf *why)
{
    if (why->text[0]) {
        c->server->counters.connections_bad++;
        log_line(LOG_WARN, "connection closed: %s", why->text);
    }
    conn_drop(c, err == ERR_NOMEM ? REASON_NO_MEMORY : REASON_CLIENT_GONE);
}

void
conn_read(struct conn *c)
{
    struct errbuf why = {""};
    char bytes[READ_BYTES];
    enum err err = ERR_MISSING; /* closed; or plain CGI's pipe, whose reader is gone */
    ssize_t n;

    do
        n = recv(c->out.fd, bytes, sizeof bytes, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return;
    if (n > 0)
        err = got_bytes(c, (struct text){bytes, (size_t)n}, &why);
    if (err != ERR_OK)
        give_up(c, err, &why);
    else if (n == READ_BYTES || c->peer_closed) /* what is left is not reported again */
        conn_make_readable(c);
}
