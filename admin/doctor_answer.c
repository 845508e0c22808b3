#include <json-c/json.h>
#include <stdio.h>
#include <strings.h>

#include "admin/doctor_internal.h"

enum { SHOWN_MAX = 300 };

/* A header's value for printf's "%.*s". */
#define VALUE(s) (int)((s).n < SHOWN_MAX ? (s).n : SHOWN_MAX), ((s).p ? (s).p : "")

static bool
contains(struct text s, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i + n <= s.n; i++)
        if (strncasecmp(s.p + i, word, n) == 0)
            return true;
    return false;
}

/* ---- a status other than 200 ---- */

/* What a problem body (RFC 9457) says, or the beginning of another one. */
static void
explain(const struct exchange *x, char out[SHOWN_MAX])
{
    struct json_object *problem = NULL, *title, *detail;
    enum json_tokener_error error;
    struct buf copy;

    buf_init(&copy, HTTP_BODY_MAX + 1);
    buf_text(&copy, buf_view(&x->body));
    buf_byte(&copy, '\0');
    if (!buf_failed(&copy))
        problem = json_tokener_parse_verbose(copy.data, &error);
    title = problem ? json_object_object_get(problem, "title") : NULL;
    detail = problem ? json_object_object_get(problem, "detail") : NULL;
    if (title || detail)
        snprintf(out, SHOWN_MAX, " (%s%s%s)", title ? json_object_get_string(title) : "",
                 title && detail ? ": " : "", detail ? json_object_get_string(detail) : "");
    json_object_put(problem);
    buf_finish(&copy);
}

void
doctor_judge_status(struct doctor *d, const struct exchange *x)
{
    char why[SHOWN_MAX] = "";
    enum symptom s = SYMPTOM_STATUS;

    explain(x, why);
    if (x->status == 401)
        s = SYMPTOM_NOT_LOGGED_IN;
    else if (x->status == 403)
        s = SYMPTOM_NOT_ALLOWED;
    else if (x->status == 404)
        s = SYMPTOM_NOT_FOUND;
    else if (x->status >= 502 && x->status <= 504)
        s = SYMPTOM_GATEWAY;
    doctor_symptom(d, s, "the answer has status %d%s", x->status, why);
}

/* ---- the first answer ---- */

static void
remember_server(struct doctor *d, const struct exchange *x)
{
    struct text server = http_header(x, "Server", NULL);

    if (server.p)
        snprintf(d->server, sizeof d->server, "%.*s", VALUE(server));
}

static void
tell_connection(struct doctor *d, const struct exchange *x)
{
    char tls[64] = "";

    if (x->tls_us)
        snprintf(tls, sizeof tls, ", TLS after %.1f ms", doctor_ms(x->tls_us));
    doctor_good(d, "connect", "%s port %d after %.1f ms%s%s%s", x->address, x->port,
                doctor_ms(x->connect_us), tls, d->server[0] ? ", server " : "", d->server);
    if (x->redirects && x->strange)
        doctor_symptom(d, SYMPTOM_REDIRECTED_AWAY, "redirected to %s", x->url);
    else if (x->redirects)
        doctor_symptom(d, SYMPTOM_REDIRECTED, "redirected to %s", x->url);
}

bool
doctor_judge_answer(struct doctor *d)
{
    const struct exchange *x = &d->stream;
    struct text type = http_header(x, "Content-Type", NULL);

    remember_server(d, x);
    tell_connection(d, x);
    if (x->status != 200) {
        doctor_judge_status(d, x);
        return false;
    }
    if (!text_starts(type, TEXT_LIT("text/event-stream"))) {
        doctor_symptom(d, SYMPTOM_TYPE, "the answer has Content-Type %.*s",
                       VALUE(type.p ? type : TEXT_LIT("none")));
        return false;
    }
    doctor_good(d, "answer", "200, text/event-stream, %s, the head after %.1f ms", x->version,
                doctor_ms(x->head_us - x->began_us));
    return true;
}

/* ---- what else the head says ---- */

static void
judge_compression(struct doctor *d)
{
    struct text encoding = http_header(&d->stream, "Content-Encoding", NULL);

    if (!encoding.p)
        doctor_good(d, "compression", "none, although compression was offered");
    else
        doctor_symptom(d, d->heard.last_us ? SYMPTOM_COMPRESSED : SYMPTOM_SQUEEZED,
                       "the stream is compressed (Content-Encoding: %.*s)", VALUE(encoding));
}

static void
judge_caching(struct doctor *d)
{
    const struct exchange *x = &d->stream;
    struct text age = http_header(x, "Age", NULL), via = http_header(x, "Via", NULL);
    struct text control = http_header(x, "Cache-Control", NULL);
    struct text cache = http_header(x, "X-Cache", NULL);

    if (age.p || contains(cache, "hit"))
        doctor_symptom(d, SYMPTOM_CACHED,
                       "the answer comes out of a cache (Age: %.*s, X-Cache: %.*s)", VALUE(age),
                       VALUE(cache));
    else if (!contains(control, "no-cache") && !contains(control, "no-store"))
        doctor_symptom(d, SYMPTOM_CACHEABLE, "Cache-Control: %.*s",
                       VALUE(control.p ? control : TEXT_LIT("missing")));
    else
        doctor_good(d, "caching", "Cache-Control: %.*s; no Age", VALUE(control));
    if (via.p)
        doctor_symptom(d, SYMPTOM_PROXIED, "the answer passed a proxy (Via: %.*s)", VALUE(via));
}

/* nginx obeys this header and keeps it, unless it is told to pass it on. */
static void
judge_passing_on(struct doctor *d)
{
    if (strstr(d->server, "nginx") && !http_header(&d->stream, "X-Accel-Buffering", NULL).p)
        doctor_symptom(d, SYMPTOM_NOT_PASSED_ON, "X-Accel-Buffering does not arrive here");
}

static void
judge_protocol(struct doctor *d)
{
    const struct exchange *x = &d->stream;
    bool new = strcmp(x->version, "HTTP/2") == 0 || strcmp(x->version, "HTTP/3") == 0;

    if (new)
        doctor_good(d, "protocol", "%s: all streams of a browser share one connection", x->version);
    else if (x->tls_us)
        doctor_symptom(d, SYMPTOM_OLD_HTTP, "%s over TLS, although HTTP/2 was offered", x->version);
    else
        doctor_good(d, "protocol",
                    "%s without TLS; browsers open 6 such streams per host, HTTP/2 comes with TLS",
                    x->version);
}

static void
judge_origin(struct doctor *d)
{
    const char *origin = d->settings->origin;
    int n;
    struct text allowed = http_header(&d->stream, "Access-Control-Allow-Origin", &n);

    if (!origin)
        return;
    if (n > 1 || contains(allowed, ","))
        doctor_symptom(d, SYMPTOM_TWO_CORS, "%d lines Access-Control-Allow-Origin", n);
    else if (text_equal(allowed, text_of(origin)) || text_equal(allowed, TEXT_LIT("*")))
        doctor_good(d, "origin", "pages of %.*s may read it", VALUE(allowed));
    else
        doctor_symptom(d, SYMPTOM_NO_CORS, "Access-Control-Allow-Origin is %.*s for Origin: %s",
                       VALUE(allowed.p ? allowed : TEXT_LIT("missing")), origin);
}

void
doctor_judge_head(struct doctor *d)
{
    judge_compression(d);
    judge_caching(d);
    judge_passing_on(d);
    judge_protocol(d);
    judge_origin(d);
}
