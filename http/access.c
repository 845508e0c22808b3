#include "http/access.h"

#include <strings.h>

#include "http/cors.h"
#include "http/header.h"

#define NEEDED "WWW-Authenticate: Bearer realm=\"freshet\"\r\n"
#define REFUSED "WWW-Authenticate: Bearer realm=\"freshet\", error=\"invalid_token\"\r\n"

enum source { SOURCE_NONE, SOURCE_BEARER, SOURCE_COOKIE, SOURCE_UNCLEAR };

static void
deny(struct access *a, int status, const char *challenge, const char *why)
{
    a->status = status;
    a->challenge = challenge;
    err_set(&a->why, ERR_DENIED, "%s", why);
}

/* ---- finding the token ---- */

static bool
is_bearer(struct text authorization, struct text *token)
{
    const size_t n = strlen("Bearer");

    if (authorization.n < n || strncasecmp(authorization.p, "Bearer", n) != 0)
        return false;
    if (authorization.n > n && authorization.p[n] != ' ')
        return false;
    *token = header_trim((struct text){authorization.p + n, authorization.n - n});
    return true;
}

/* RFC 6265, 4.1.1: a value may stand in double quotes; they are not part of a token. */
static struct text
without_quotes(struct text s)
{
    bool quoted = s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"';

    return quoted ? (struct text){s.p + 1, s.n - 2} : s;
}

/* How many cookies of this name there are; *value is the first one's. */
static size_t
find_cookie(struct text cookies, const char *name, struct text *value)
{
    size_t found = 0;

    while (cookies.n > 0) {
        struct text one, its_name;

        text_cut(&cookies, ';', &one);
        one = header_trim(one);
        if (!text_cut(&one, '=', &its_name) || !text_equal(its_name, text_of(name)))
            continue;
        if (found++ == 0)
            *value = without_quotes(one);
    }
    return found;
}

/* Two headers, or two cookies (a page of a sister domain may have set one), are ambiguous: neither
 * is used. */
static enum source
find_token(const struct access_rules *rules, const struct request *r, struct text *token)
{
    size_t cookies;

    if (r->authorizations > 1)
        return SOURCE_UNCLEAR;
    if (is_bearer(r->authorization, token))
        return SOURCE_BEARER;
    cookies = rules->cookie ? find_cookie(r->cookie, rules->cookie, token) : 0;
    if (cookies > 1)
        return SOURCE_UNCLEAR;
    return cookies == 1 ? SOURCE_COOKIE : SOURCE_NONE;
}

/* ---- the two that vouch ---- */

/* *good, false before: there is a token, it is good, and *t is filled; else *a may have got a
 * status. */
static enum err
take_token(const struct access_rules *rules, const struct request *r, bool needed, int64_t now_ms,
           struct access *a, struct token *t, bool *good)
{
    struct text text;
    enum err err;

    switch (find_token(rules, r, &text)) {
    case SOURCE_NONE:
        if (needed)
            deny(a, 401, NEEDED, "a token is needed here");
        return ERR_OK;
    case SOURCE_UNCLEAR:
        deny(a, 401, REFUSED, "there is more than one token in the request");
        return ERR_OK;
    case SOURCE_BEARER:
    case SOURCE_COOKIE:
        err = token_verify(rules->tokens, text, now_ms, t, &a->why);
        *good = err == ERR_OK;
        if (err == ERR_INVALID) {
            a->status = 401;
            a->challenge = REFUSED;
            err = ERR_OK;
        }
        return err;
    }
    return ERR_OK;
}

/* What the web server says, or leaves to what is public. */
static enum err
server_read(const struct access_rules *rules, const struct request *r, bool token, struct grants *g)
{
    if (r->topics.p)
        return grants_parse(g, r->topics, NULL);
    g->all = token || !rules->open;
    return g->all ? ERR_OK : grants_copy(g, rules->open);
}

static enum err
decide_read(const struct access_rules *rules, const struct request *r, const struct token *t,
            struct access *a)
{
    struct grants server;
    enum err err;

    grants_init(&server);
    err = server_read(rules, r, t, &server);
    if (err == ERR_INVALID) { /* the web server's mistake must not let anybody in */
        deny(a, 403, "", "the web server's FRESHET_TOPICS is malformed");
        err = ERR_OK;
    } else if (err == ERR_OK && t) {
        err = grants_meet(&server, &t->read, &a->read);
    } else if (err == ERR_OK) {
        a->read = server;
        grants_init(&server); /* moved */
    }
    grants_finish(&server);
    if (err == ERR_OK && a->status == 0 && grants_none(&a->read))
        deny(a, 403, "", "nothing may be read here");
    return err;
}

static void
decide_write(const struct access_rules *rules, const struct request *r, struct token *t,
             struct access *a)
{
    struct text ignored;
    bool on = text_equal(r->publish, TEXT_LIT("on"));

    if (r->publish.p && !on) {
        ; /* the web server forbids it */
    } else if (t) {
        a->write = t->write;
        grants_init(&t->write); /* moved */
    } else {
        a->write.all = on;
    }
    if (grants_none(&a->write))
        deny(a, 403, "", "publishing is not allowed here");
    else if (!is_bearer(r->authorization, &ignored) && !cors_may_write(rules->origins, r))
        deny(a, 403, "", "pages of this origin may not publish here");
}

/* True when only a token could let this request in. */
static bool
needs_token(const struct access_rules *rules, const struct request *r, bool writing)
{
    if (writing)
        return !r->publish.p;
    if (r->topics.p)
        return header_trim(r->topics).n == 0;
    return !rules->open || grants_none(rules->open);
}

enum err
access_decide(const struct access_rules *rules, const struct request *r, int64_t now_ms,
              struct access *a)
{
    bool writing = text_equal(r->method, TEXT_LIT("POST"));
    bool needed = needs_token(rules, r, writing);
    bool tokens = token_used(rules->tokens), good = false;
    struct token t;
    enum err err = ERR_OK;

    *a = (struct access){.challenge = "", .expires_ms = TOKEN_NEVER};
    grants_init(&a->read);
    grants_init(&a->write);
    a->is_private = tokens || r->topics.p || r->user.n > 0 || r->authorization.n > 0;
    if (tokens)
        err = take_token(rules, r, needed, now_ms, a, &t, &good);
    if (err == ERR_OK && a->status == 0) {
        if (writing)
            decide_write(rules, r, good ? &t : NULL, a);
        else
            err = decide_read(rules, r, good ? &t : NULL, a);
    }
    if (tokens && !good && !writing && !r->topics.p && a->status == 0)
        a->challenge = NEEDED; /* for what is not public */
    if (good) {
        a->expires_ms = t.expires_ms;
        a->signer = t.signer;
        token_finish(&t);
    }
    if (err != ERR_OK)
        access_finish(a);
    return err;
}

void
access_finish(struct access *a)
{
    grants_finish(&a->read);
    grants_finish(&a->write);
}
