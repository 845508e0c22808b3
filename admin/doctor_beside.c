/* Behind a login at one path, open at another: a location of the web server that was forgotten when
 * the others got their grants shows everything to everybody. */
#include <stdio.h>

#include "admin/doctor_internal.h"
#include "base/mem.h"

struct visit {
    struct exchange x;
    struct http_request request;
};

/* Asks for where the log ends, anonymously. False: there is no answer. */
static bool
visit(struct doctor *d, struct visit *v, const char *url)
{
    struct errbuf eb;

    *v = (struct visit){.request = {.url = url, .accept = "application/json", .anonymous = true}};
    return http_open(&d->http, &v->x, &v->request, &eb) == ERR_OK &&
           doctor_wait(d, doctor_has_ended, &v->x, PATIENCE_US) && v->x.status != 0;
}

static bool
has(const struct exchange *x, const char *header, const char *word)
{
    struct text value = http_header(x, header, NULL);

    return value.p && memmem(value.p, value.n, word, strlen(word));
}

/* A page of this log to which nothing was applied that depends on who asks. */
static bool
is_open(const struct doctor *d, const struct exchange *x)
{
    const char *epoch = strchr(d->heard.live_id, '-');

    return x->status == 200 && epoch &&
           memmem(x->body.data, x->body.length, epoch, strlen(epoch)) &&
           !has(x, "Cache-Control", "private") && !has(x, "Vary", "Authorization");
}

/* The last segment of the path right below the host: "/private/events" → "/events". NULL when that
 * is where the URL is, or without memory; the caller frees it. */
static char *
place_beside(const char *url)
{
    size_t end = strcspn(url, "?#"), host, last;
    const char *authority = strstr(url, "://");
    struct buf b;

    if (!authority)
        return NULL;
    host = (size_t)(authority + 3 - url);
    host += strcspn(url + host, "/?#");
    for (last = end; last > host && url[last - 1] != '/';)
        last--;
    if (last <= host + 1 || last == end)
        return NULL;
    buf_init(&b, SIZE_MAX / 4);
    buf_append(&b, url, host);
    buf_byte(&b, '/');
    buf_append(&b, url + last, end - last);
    buf_string(&b, "?since=now&limit=1");
    return buf_take(&b);
}

void
doctor_look_beside(struct doctor *d)
{
    const struct http *h = &d->http;
    char *url = h->token || h->cookie || h->headers->n > 0 ? place_beside(d->url) : NULL;
    struct visit v;

    if (!url)
        return;
    /* Only where a login is needed at all. */
    if (visit(d, &v, d->url) && (v.x.status == 401 || v.x.status == 403)) {
        http_close(&d->http, &v.x);
        if (visit(d, &v, url) && is_open(d, &v.x))
            doctor_symptom(d, SYMPTOM_OPEN_BESIDE, "%.*s is not", (int)strcspn(url, "?"), url);
    }
    http_close(&d->http, &v.x);
    mem_free(url);
}
