#include "fcgi/cors.h"

#include <strings.h>

#define PREFLIGHT_MAX_AGE "7200" /* seconds; browsers take at most this */

/* The next of the list; false at the end. */
static bool
next_origin(const char **list, struct text *origin)
{
    const char *end;

    if (!*list)
        return false;
    while (**list == ' ')
        (*list)++;
    end = strchr(*list, ',');
    *origin = (struct text){*list, end ? (size_t)(end - *list) : strlen(*list)};
    while (origin->n > 0 && origin->p[origin->n - 1] == ' ')
        origin->n--;
    *list = end ? end + 1 : NULL;
    return true;
}

static bool
is_origin(struct text s)
{
    const char *rest = memmem(s.p, s.n, "://", 3);
    size_t at;

    if (!text_starts(s, TEXT_LIT("http://")) && !text_starts(s, TEXT_LIT("https://")))
        return false;
    at = (size_t)(rest + 3 - s.p);
    if (at == s.n)
        return false;
    for (size_t i = at; i < s.n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789.-_:[]", s.p[i]))
            return false;
    return true;
}

enum err
cors_check_list(const char *list, struct errbuf *eb)
{
    struct text origin;

    while (next_origin(&list, &origin))
        if (!is_origin(origin))
            return err_set(
                eb, ERR_INVALID,
                "--cors-origin: \"%.*s\" is no origin such as https://app.example (lower "
                "case, no path, no *)",
                (int)origin.n, origin.p);
    return ERR_OK;
}

bool
cors_listed(const char *list, struct text origin)
{
    struct text one;

    while (origin.n > 0 && next_origin(&list, &one))
        if (text_equal(one, origin))
            return true;
    return false;
}

void
cors_headers(const char *list, const struct request *r, struct buf *out)
{
    if (!list)
        return;
    buf_string(out, "Vary: Origin\r\n");
    if (!cors_listed(list, r->origin))
        return;
    buf_string(out, "Access-Control-Allow-Origin: ");
    buf_text(out, r->origin);
    buf_string(out, "\r\nAccess-Control-Allow-Credentials: true\r\n"
                    "Access-Control-Expose-Headers: ETag, Link, Location, Retry-After\r\n");
}

void
cors_preflight(const char *list, const struct request *r, struct buf *out)
{
    if (!r->preflight.p || !cors_listed(list, r->origin))
        return;
    buf_string(out, "Access-Control-Allow-Methods: GET, HEAD, POST\r\n"
                    "Access-Control-Allow-Headers: Accept, Authorization, Cache-Control, "
                    "Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID\r\n"
                    "Access-Control-Max-Age: " PREFLIGHT_MAX_AGE "\r\n");
}

/* Browsers leave the standard port out of an Origin; a Host may have it. */
static struct text
without_port(struct text host, const char *port)
{
    size_t n = strlen(port);

    if (host.n > n && memcmp(host.p + host.n - n, port, n) == 0)
        host.n -= n;
    return host;
}

/* The page's host is the one it writes to. The scheme is not known for sure, since TLS may end
 * before the web server; but what came by TLS does not come from a page without. */
static bool
is_same_origin(const struct request *r)
{
    bool tls = text_starts(r->origin, TEXT_LIT("https://"));
    struct text site = r->origin, host = r->host;
    size_t scheme = tls ? strlen("https://") : strlen("http://");

    if (!tls && !text_starts(r->origin, TEXT_LIT("http://")))
        return false;
    if (!tls && text_equal(r->scheme, TEXT_LIT("https")))
        return false;
    site = (struct text){site.p + scheme, site.n - scheme};
    host = without_port(host, tls ? ":443" : ":80");
    return site.n > 0 && site.n == host.n && strncasecmp(site.p, host.p, site.n) == 0;
}

bool
cors_may_write(const char *list, const struct request *r)
{
    bool same_site = !r->fetch_site.p || text_equal(r->fetch_site, TEXT_LIT("same-origin"));

    if (r->origin.p)
        return cors_listed(list, r->origin) || (same_site && is_same_origin(r));
    if (r->fetch_site.p)
        return same_site;
    return !r->cookie.p;
}
