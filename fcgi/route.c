/* One table says what each request is answered by: its method, what its path, query and Accept
 * name, and what it must be granted. */
#include "fcgi/route.h"

#include "base/clock.h"
#include "base/log.h"
#include "fcgi/conn.h"
#include "fcgi/history.h"
#include "fcgi/publish.h"
#include "fcgi/respond.h"
#include "fcgi/state.h"
#include "fcgi/stream.h"
#include "http/accept.h"
#include "http/access.h"
#include "http/cors.h"
#include "http/query.h"
#include "http/request.h"

static void options(struct conn *c, const struct request *r, const struct access *access);

enum { GET = 1, HEAD = 2, OPTIONS = 4, POST = 8 };
enum { STREAM = 1, PAGE = 2, EVENT = 4, TOPICS = 8, ANY = 15 };

/* The first row that fits. */
static const struct row {
    unsigned methods, asked;
    enum { NOTHING, READ, WRITE } needs;
    void (*serve)(struct conn *c, const struct request *r, const struct access *access);
} rows[] = {
    {GET, STREAM, READ, stream},
    {HEAD, STREAM, READ, stream_head},
    {GET | HEAD, PAGE, READ, history_page},
    {GET | HEAD, EVENT, READ, history_event},
    {GET | HEAD, TOPICS, READ, history_topics},
    {POST, ANY, WRITE, publish},
    {OPTIONS, ANY, NOTHING, options},
};

static unsigned
method_of(const struct request *r)
{
    static const struct {
        const char *name;
        unsigned method;
    } methods[] = {{"GET", GET}, {"HEAD", HEAD}, {"OPTIONS", OPTIONS}, {"POST", POST}};

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (text_equal(r->method, text_of(methods[i].name)))
            return methods[i].method;
    return 0;
}

static unsigned
asked_by(const struct request *r)
{
    enum accept_form form = accept_choose(r->accept);

    if (query_event(r->path_info, r->path).p)
        return EVENT;
    if (form != ACCEPT_STREAM && query_has(r->query, "topics"))
        return TOPICS;
    return form == ACCEPT_JSON || form == ACCEPT_NDJSON ? PAGE : STREAM;
}

/* NULL: nothing is done by this method here. */
static const struct row *
find_row(const struct server *s, const struct request *r)
{
    unsigned method = method_of(r), asked = asked_by(r);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].methods & method && rows[i].asked & asked)
            return rows[i].needs == WRITE && !s->writer ? NULL : &rows[i];
    return NULL;
}

static const char *
allow_line(const struct conn *c)
{
    return c->server->writer ? "Allow: GET, HEAD, OPTIONS, POST\r\n"
                             : "Allow: GET, HEAD, OPTIONS\r\n";
}

static void
options(struct conn *c, const struct request *r, const struct access *access)
{
    struct buf b;

    (void)access;
    buf_init(&b, 4096);
    buf_format(&b, "Status: 204 No Content\r\n%s", allow_line(c));
    cors_preflight(c->server->settings->cors_origin, r, &b);
    buf_string(&b, "\r\n");
    respond_whole(c, &b);
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

/* False: no memory. */
static bool
decide(const struct server *s, const struct request *r, struct access *a)
{
    const struct settings *set = s->settings;
    struct token_rules tokens = {.audience = set->token_audience,
                                 .issuer = set->token_issuer,
                                 .leeway_ms = set->token_leeway_ms,
                                 .keys = &s->token_keys};
    struct access_rules rules = {&tokens, set->token_cookie, set->cors_origin,
                                 set->public_topics ? &s->open : NULL};

    return access_decide(&rules, r, clock_wall_ms(), a) == ERR_OK;
}

/* A location of the web server that was forgotten when the others were given grants lets everybody
 * read everything. */
static void
look_for_mixture(struct server *s, const struct request *r)
{
    s->seen_granted |= r->topics.p != NULL;
    s->seen_open |= !r->topics.p;
    if (!s->seen_granted || !s->seen_open || s->mixture_logged || s->token_keys.n > 0 ||
        s->settings->public_topics)
        return;
    s->mixture_logged = true;
    log_line(LOG_WARN,
             "some requests come with FRESHET_TOPICS and some without, and the latter may read "
             "everything; name what is public with --public-topics, or '*' (freshet-fcgi(8), "
             "ACCESS)");
}

/* Does what is asked, as far as it is granted. False: no memory. */
static bool
serve_granted(struct conn *c, const struct request *r, const struct row *row)
{
    struct access a;

    if (row->needs == READ)
        look_for_mixture(c->server, r);
    if (!decide(c->server, r, &a))
        return false;
    if (a.status)
        respond_denied(c, &a, a.why.text);
    else
        row->serve(c, r, &a);
    access_finish(&a);
    return true;
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

/* False: no memory. */
static bool
serve_request(struct conn *c, const struct request *r)
{
    const struct row *row = find_row(c->server, r);

    if (!add_headers(c, r))
        return false;
    if (row && row->needs != NOTHING)
        return serve_granted(c, r, row);
    if (row)
        row->serve(c, r, NULL);
    else
        respond_problem(c, 405, "Method Not Allowed", allow_line(c),
                        "events are read with GET; HEAD and OPTIONS work, too");
    return true;
}

void
route(struct conn *c, const struct request *r)
{
    struct text remote = r->address.n ? r->address : r->remote;

    c->remote = remote.n ? name_for_log(remote) : NULL;
    if (!serve_request(c, r))
        conn_drop(c, REASON_NO_MEMORY);
}
