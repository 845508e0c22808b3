#include "fcgi/route.h"

#include "base/clock.h"
#include "http/access.h"
#include "fcgi/respond.h"
#include "fcgi/conn.h"
#include "http/cors.h"
#include "fcgi/history.h"
#include "fcgi/publish.h"
#include "http/request.h"
#include "fcgi/state.h"
#include "fcgi/stream.h"

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
        respond_problem(c, a->status, a->status == 401 ? "Unauthorized" : "Forbidden", a->challenge,
                        a->why.text);
    else if (text_equal(r->method, TEXT_LIT("POST")))
        publish(c, &granted, a);
    else if (history(c, &granted))
        return;
    else if (text_equal(r->method, TEXT_LIT("GET")))
        stream(c, &granted);
    else
        stream_head(c);
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
route(struct conn *c, const struct request *r)
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
        respond_problem(c, 405, "Method Not Allowed", allow_line(c),
                        "events are read with GET; HEAD and OPTIONS are understood too");
    } else if (decide(c, r, &a) != ERR_OK) {
        conn_drop(c, REASON_NO_MEMORY);
    } else {
        serve(c, r, &a);
        access_finish(&a);
    }
}
