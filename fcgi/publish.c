#include "fcgi/publish.h"

#include "base/log.h"
#include "base/mem.h"
#include "http/access.h"
#include "fcgi/respond.h"
#include "fcgi/conn.h"
#include "http/form.h"
#include "http/header.h"
#include "http/query.h"
#include "http/request.h"
#include "fcgi/state.h"

enum {
    PATH_MAX_BYTES =
        1024, /* a longer one gets no Location: web servers bound the head of a response */
    BODY_STEP = 16 * 1024, /* this much of a body must come within each --request-timeout */
};

static bool
choose_format(struct text content_type, enum body_format *format)
{
    if (header_is_type(content_type, "application/json"))
        *format = BODY_JSON;
    else if (header_is_type(content_type, "application/x-ndjson"))
        *format = BODY_NDJSON;
    else if (header_is_type(content_type, "application/x-www-form-urlencoded"))
        *format = BODY_FORM;
    else
        return false;
    return true;
}

/* The query's topic is for events that name none. */
static enum err
take_topic(struct writer_job *job, struct text query, struct errbuf *eb)
{
    struct text name, raw;

    while (form_next(&query, &name, &raw)) {
        size_t n;
        enum err err;

        if (!form_name_is(name, "topic", true))
            continue;
        mem_free(job->topic);
        job->topic = NULL;
        err = form_decode(raw, true, &job->topic, &n, eb);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

static enum err
take_request(struct writer_job *job, const struct request *r, const struct access *access,
             struct errbuf *eb)
{
    enum err err = take_topic(job, r->query, eb);
    struct errbuf why;

    if (err == ERR_OK)
        err = grants_copy(&job->may, &access->write);
    if (err == ERR_OK && r->idempotency_key.n > 0) {
        err = header_string(r->idempotency_key, &job->key, &why);
        if (err != ERR_OK)
            err_set(eb, err, "Idempotency-Key: %s", why.text);
    }
    return err;
}

/* Seconds to wait, or 0. */
static int
over_rate(struct conn *c)
{
    struct server *s = c->server;
    int64_t rate = s->settings->publishes_per_second;
    int wait = rate ? addresses_publish(&s->addresses, text_of(c->remote), rate, s->now_ms) : 0;

    s->counters.address_refusals += wait > 0;
    return wait;
}

static void
forget_upload(struct server *s, struct writer_job *job)
{
    s->upload_memory -= job->memory;
    writer_job_destroy(job);
}

/* What the connection is used for. */
struct upload {
    struct writer_job *job; /* while job->owner is set the writer has it */
    char *path; /* of the request, for the Location of what was published; may be NULL */
};

static void
end_upload(struct conn *c, enum conn_reason reason)
{
    struct upload *up = c->using;

    (void)reason;
    if (up->job && up->job->owner)
        up->job->owner = NULL; /* the writer has it, and writes it all the same */
    else if (up->job)
        forget_upload(c->server, up->job);
    mem_free(up->path);
    mem_free(up);
}

static struct buf *
body_of_upload(struct conn *c)
{
    const struct upload *up = c->using;

    return up->job->owner ? NULL : &up->job->body;
}

static void upload_came(struct conn *c, bool whole);

static const struct conn_use publish_use = {
    .body = body_of_upload, .body_came = upload_came, .leave = end_upload};

/* The connection stays in the list of requests: the body is a part of one. */
static void
begin_upload(struct conn *c, const struct request *r, struct writer_job *job)
{
    struct upload *up = mem_zalloc(sizeof *up);
    struct text path = query_endpoint(r->path_info, r->path);

    if (!up) {
        forget_upload(c->server, job);
        conn_drop(c, REASON_NO_MEMORY);
        return;
    }
    up->job = job;
    up->path = path.n <= PATH_MAX_BYTES ? mem_copy(path) : NULL;
    conn_begin(c, &publish_use, up, NULL);
}

/* A body in chunks comes without a length, and from Caddy with -1. */
static bool
is_length_known(const struct request *r)
{
    return r->content_length.n > 0 && !text_equal(r->content_length, TEXT_LIT("-1"));
}

void
publish(struct conn *c, const struct request *r, const struct access *access)
{
    struct server *s = c->server;
    enum body_format format;
    struct writer_job *job;
    struct errbuf eb;
    long long length = 0;
    enum err err;

    if (s->draining) {
        respond_problem(c, 503, "Service Unavailable", "Retry-After: 2\r\n", "shutting down");
    } else if (!choose_format(r->content_type, &format)) {
        respond_problem(c, 415, "Unsupported Media Type", "",
                        "Content-Type must be application/json, application/x-ndjson or "
                        "application/x-www-form-urlencoded");
    } else if (is_length_known(r) && !text_to_int64(r->content_length, &length)) {
        respond_problem(c, 400, "Bad Request", "", "Content-Length is not a number");
    } else if (length > s->settings->body_max) {
        respond_too_large(c);
    } else if (over_rate(c)) {
        respond_problem(c, 429, "Too Many Requests", "Retry-After: 1\r\n",
                        "this address publishes too often; nothing was written");
    } else {
        job = writer_job_create((size_t)s->settings->body_max);
        err = job ? take_request(job, r, access, &eb) : ERR_NOMEM;
        if (err == ERR_OK) {
            job->format = format;
            job->announced = is_length_known(r) ? length : -1;
            begin_upload(c, r, job);
            return;
        }
        writer_job_destroy(job);
        if (err == ERR_INVALID)
            respond_problem(c, 400, "Bad Request", "", eb.text);
        else
            conn_drop(c, REASON_NO_MEMORY);
    }
}

static void
answer_no_room(struct conn *c)
{
    respond_problem(c, 503, "Service Unavailable", "Retry-After: 1\r\n",
                    "too many requests are waiting to be written");
}

/* False when it has been answered. */
static bool
body_may_grow(struct conn *c)
{
    struct server *s = c->server;
    struct writer_job *job = ((struct upload *)c->using)->job;

    s->upload_memory += job->body.capacity - job->memory;
    job->memory = job->body.capacity;
    if (buf_failed(&job->body))
        respond_too_large(c);
    else if (s->upload_memory > (uint64_t)s->settings->publish_bytes)
        answer_no_room(c);
    else
        return true;
    return false;
}

static void
submit_upload(struct conn *c, struct writer_job *job)
{
    struct server *s = c->server;

    if (job->announced >= 0 && (uint64_t)job->announced != job->body.length) {
        respond_problem(c, 400, "Bad Request", "",
                        "the body is not as long as Content-Length says; nothing was written");
    } else if (!writer_submit(s->writer, job)) {
        answer_no_room(c);
    } else {
        job->owner = c;
        conn_move(c, &s->publishing);
    }
}

/* What keeps coming has its time again with each step. */
static void
upload_came(struct conn *c, bool whole)
{
    struct writer_job *job = ((struct upload *)c->using)->job;

    if (!body_may_grow(c))
        return;
    if (whole) {
        submit_upload(c, job);
    } else if (job->body.length - job->timed >= BODY_STEP) {
        job->timed = job->body.length;
        conn_move(c, &c->server->requests);
    }
}

static void
accepted(struct conn *c, const struct writer_job *job)
{
    const struct upload *up = c->using;
    const struct dialect *d = server_dialect(c->server);
    struct buf json, b;

    buf_init(&json, SIZE_MAX / 4);
    buf_string(&json, "{\"ids\":[");
    for (size_t i = 0; i < job->n; i++) {
        buf_string(&json, i ? ",\"" : "\"");
        dialect_id(d, &json, job->ids[i]);
        buf_byte(&json, '"');
    }
    buf_string(&json, "]}\n");
    buf_init(&b, SIZE_MAX / 4);
    /* Location comes before Status: of the two HAProxy takes the later one for the status, and a
     * Location says 302. */
    if (job->n == 1 && up->path) {
        buf_string(&b, "Location: ");
        buf_percent(&b, text_of(up->path), "-._~!$&'()*+,;=:@/");
        buf_byte(&b, '/');
        dialect_id(d, &b, job->ids[0]);
        buf_string(&b, "\r\n");
    }
    buf_format(&b, "Status: %s\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n",
               job->all_repeated ? "200 OK" : "201 Created");
    buf_format(&b, "Content-Length: %zu\r\n\r\n", json.length);
    buf_text(&b, buf_view(&json));
    b.failed = b.failed || buf_failed(&json);
    respond_whole(c, &b);
    buf_finish(&b);
    buf_finish(&json);
}

static void
send_outcome(struct conn *c, const struct writer_job *job)
{
    switch (job->err) {
    case ERR_OK:
        accepted(c, job);
        break;
    case ERR_INVALID:
        if (job->too_large)
            respond_problem(c, 413, "Content Too Large", "", job->why.text);
        else
            respond_problem(c, 400, "Bad Request", "", job->why.text);
        break;
    case ERR_DENIED:
        respond_problem(c, 403, "Forbidden", "", job->why.text);
        break;
    case ERR_EXISTS:
        if (job->reused)
            respond_problem(c, 422, "Unprocessable Content", "", job->why.text);
        else
            respond_problem(c, 409, "Conflict", "", job->why.text);
        break;
    case ERR_BUSY:
    case ERR_NOMEM:
        respond_problem(c, 503, "Service Unavailable", "Retry-After: 1\r\n",
                        "the database is busy; nothing was written");
        break;
    case ERR_MISSING: /* another one may be on its way */
        respond_problem(c, 503, "Service Unavailable", "Retry-After: 1\r\n",
                        "the database, or a table of it, is not in its place; nothing was written");
        break;
    case ERR_FULL:
        respond_problem(c, 507, "Insufficient Storage", "",
                        "the disk is full; nothing was written");
        break;
    case ERR_FOREIGN:
    case ERR_IO:
    case ERR_CORRUPT:
        respond_problem(c, 500, "Internal Server Error", "",
                        "the database cannot be written; nothing was written");
        break;
    }
}

void
publish_written(struct server *s, struct writer_job *job)
{
    struct conn *c = job->owner;

    s->counters.publishes++;
    if (job->err == ERR_OK)
        s->counters.events_published += job->n;
    if (c) {
        ((struct upload *)c->using)->job = NULL;
        send_outcome(c, job);
    }
    forget_upload(s, job);
}
