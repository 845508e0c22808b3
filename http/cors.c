#include "http/cors.h"

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
                "--cors-origin: \"%.*s\" is not an origin such as https://app.example (lower "
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
                    "Access-Control-Expose-Headers: ETag, Freshet-Live, Freshet-Next, "
                    "Freshet-Reset, Link, Location, Retry-After\r\n");
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

/* "host:port" in its two parts; the port is TEXT_NONE when there is none. */
static void
split_host(struct text s, struct text *host, struct text *port)
{
    size_t i = s.n;

    while (i > 0 && s.p[i - 1] >= '0' && s.p[i - 1] <= '9')
        i--;
    *host = s;
    *port = TEXT_NONE;
    if (i > 1 && i < s.n && s.p[i - 1] == ':') {
        *host = (struct text){s.p, i - 1};
        *port = (struct text){s.p + i, s.n - i};
    }
}

/* The page's host and port are those that it writes to. Browsers leave the scheme's own port out of
 * an Origin. Where the web server passes a Host without port (Debian's nginx always does), the port
 * is the one it listens on. A request over TLS does not come from a page without TLS. */
static bool
is_same_origin(const struct request *r)
{
    bool tls = text_starts(r->origin, TEXT_LIT("https://"));
    size_t scheme = tls ? strlen("https://") : strlen("http://");
    struct text usual = tls ? TEXT_LIT("443") : TEXT_LIT("80");
    struct text host, port, site, site_port;

    if (!tls && !text_starts(r->origin, TEXT_LIT("http://")))
        return false;
    if (!tls && text_equal(r->scheme, TEXT_LIT("https")))
        return false;
    split_host((struct text){r->origin.p + scheme, r->origin.n - scheme}, &site, &site_port);
    split_host(r->host, &host, &port);
    if (!port.p)
        port = r->port.p ? r->port : usual;
    if (!site_port.p)
        site_port = usual;
    return site.n > 0 && site.n == host.n && strncasecmp(site.p, host.p, site.n) == 0 &&
           text_equal(port, site_port);
}

/* Where the browser itself says how the two origins relate, no comparison is better. */
bool
cors_may_write(const char *list, const struct request *r)
{
    if (cors_listed(list, r->origin))
        return true;
    if (r->fetch_site.p)
        return text_equal(r->fetch_site, TEXT_LIT("same-origin"));
    return r->origin.p ? is_same_origin(r) : !r->cookie.p;
}
