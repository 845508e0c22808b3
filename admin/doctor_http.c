#include "admin/doctor_http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <strings.h>

#include "base/clock.h"

enum { REDIRECTS_MAX = 5, TURN_MS = 200 };

enum err
http_init(struct http *h, struct errbuf *eb)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(h->multi = curl_multi_init()))
        return err_set(eb, ERR_NOMEM, "libcurl cannot be started");
    return ERR_OK;
}

void
http_finish(struct http *h)
{
    curl_multi_cleanup(h->multi);
    curl_global_cleanup();
}

/* ---- what arrives ---- */

static bool
is_redirect(const struct exchange *x)
{
    return x->status >= 300 && x->status < 400 && x->redirects < REDIRECTS_MAX &&
           !x->request->body && http_header(x, "Location", NULL).p;
}

/* This head is not the last one. */
static bool
another_comes(const struct exchange *x)
{
    return x->status < 200 || is_redirect(x);
}

/* Each answer's head starts again, so the last one stays: after redirects and 1xx. */
static size_t
take_head(char *bytes, size_t size, size_t n, void *context)
{
    struct exchange *x = context;
    struct text line = {bytes, size * n};

    if (text_starts(line, TEXT_LIT("HTTP/")))
        buf_clear(&x->head);
    else
        buf_text(&x->head, line);
    if (line.n <= 2) { /* the empty line */
        long status = 0;

        curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
        x->status = (int)status;
        if (!another_comes(x))
            x->head_us = clock_mono_us();
    }
    return line.n;
}

static size_t
take_body(char *bytes, size_t size, size_t n, void *context)
{
    struct exchange *x = context;
    struct text piece = {bytes, size * n};

    if (is_redirect(x)) /* what a redirect says is for people */
        return piece.n;
    x->last_us = clock_mono_us();
    if (!x->first_us)
        x->first_us = x->last_us;
    buf_text(&x->body, piece);
    if (x->request->arrived)
        x->request->arrived(x->request->context, piece, x->last_us);
    return piece.n;
}

static const char *
version_name(long version)
{
    return version == CURL_HTTP_VERSION_1_0   ? "HTTP/1.0"
           : version == CURL_HTTP_VERSION_1_1 ? "HTTP/1.1"
           : version == CURL_HTTP_VERSION_2_0 ? "HTTP/2"
           : version == CURL_HTTP_VERSION_3   ? "HTTP/3"
                                              : "";
}

void
http_learn(struct exchange *x)
{
    curl_off_t name = 0, connected = 0, tls = 0;
    long version = 0, port = 0;
    char *address = NULL, *url = NULL;

    curl_easy_getinfo(x->easy, CURLINFO_NAMELOOKUP_TIME_T, &name);
    curl_easy_getinfo(x->easy, CURLINFO_CONNECT_TIME_T, &connected);
    curl_easy_getinfo(x->easy, CURLINFO_APPCONNECT_TIME_T, &tls);
    curl_easy_getinfo(x->easy, CURLINFO_HTTP_VERSION, &version);
    curl_easy_getinfo(x->easy, CURLINFO_PRIMARY_PORT, &port);
    curl_easy_getinfo(x->easy, CURLINFO_PRIMARY_IP, &address);
    curl_easy_getinfo(x->easy, CURLINFO_EFFECTIVE_URL, &url);
    x->name_us = name;
    x->connect_us = connected;
    x->tls_us = tls;
    x->version = version_name(version);
    x->port = (int)port;
    snprintf(x->address, sizeof x->address, "%s", address ? address : "");
    snprintf(x->url, sizeof x->url, "%s", url ? url : "");
}

static void
end(struct exchange *x, CURLcode code)
{
    x->ended = true;
    x->ended_us = clock_mono_us();
    x->error = code == CURLE_OK ? NULL : curl_easy_strerror(code);
    x->untrusted = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE;
    x->unreachable = code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT ||
                     code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL ||
                     code == CURLE_COULDNT_RESOLVE_PROXY;
}

/* ---- asking ---- */

static void
add_line(struct exchange *x, const char *name, const char *value)
{
    char line[8192 + 256];

    if (!value)
        return;
    snprintf(line, sizeof line, "%s%s", name, value);
    x->lines = curl_slist_append(x->lines, line);
}

/* What is sent to this URL: the operator's own things only to the origin that was asked. */
static void
set_lines(const struct http *h, struct exchange *x)
{
    const struct http_request *r = x->request;
    bool known = !x->strange && !r->anonymous;

    curl_slist_free_all(x->lines);
    x->lines = NULL;
    add_line(x, "Accept: ", r->accept);
    add_line(x, "Origin: ", r->origin);
    add_line(x, "Last-Event-ID: ", r->last_event_id);
    add_line(x, "Content-Type: ", r->body ? "application/json" : NULL);
    add_line(x, "Cache-Control: ", r->body ? NULL : "no-cache"); /* as EventSource */
    if (known)
        add_line(x, "Authorization: Bearer ", h->token);
    for (size_t i = 0; known && h->headers && i < h->headers->n; i++)
        add_line(x, h->headers->values[i], "");
    curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->lines);
    curl_easy_setopt(x->easy, CURLOPT_COOKIE, known ? h->cookie : NULL);
}

/* Scheme, host and port of a URL as libcurl reads it; empty where it cannot. */
static void
origin_of(const char *url, char *out, size_t size)
{
    static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
    CURLU *u = curl_url();
    size_t n = 0;

    *out = '\0';
    if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK)
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            char *part = NULL;

            if (curl_url_get(u, parts[i], &part, CURLU_DEFAULT_PORT) == CURLUE_OK && n < size)
                n += (size_t)snprintf(out + n, size - n, "%s ", part);
            curl_free(part);
        }
    curl_url_cleanup(u);
}

static bool
same_origin(const char *a, const char *b)
{
    char one[512], other[512];

    origin_of(a, one, sizeof one);
    origin_of(b, other, sizeof other);
    return one[0] && strcasecmp(one, other) == 0;
}

/* The exchange goes on at the place that it was sent to; false: it has ended. */
static bool
follow(struct http *h, struct exchange *x)
{
    char *url = NULL;

    if (!is_redirect(x))
        return false;
    curl_easy_getinfo(x->easy, CURLINFO_REDIRECT_URL, &url);
    if (!url)
        return false;
    x->redirects++;
    x->strange = !same_origin(x->request->url, url);
    set_lines(h, x);
    curl_multi_remove_handle(h->multi, x->easy);
    curl_easy_setopt(x->easy, CURLOPT_URL, url); /* which it copies */
    return curl_multi_add_handle(h->multi, x->easy) == CURLM_OK;
}

enum err
http_open(struct http *h, struct exchange *x, const struct http_request *r, struct errbuf *eb)
{
    CURL *easy = curl_easy_init();

    *x = (struct exchange){.request = r, .easy = easy, .version = ""};
    buf_init(&x->head, HTTP_HEAD_MAX);
    buf_init(&x->body, HTTP_BODY_MAX);
    if (!easy)
        return err_nomem(eb);
    curl_easy_setopt(easy, CURLOPT_URL, r->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L); /* follow() does */
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "freshet-doctor");
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, ""); /* all that it can decode */
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_head);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, x);
    if (h->ca)
        curl_easy_setopt(easy, CURLOPT_CAINFO, h->ca);
    set_lines(h, x);
    if (r->body)
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, r->body);
    x->began_us = clock_mono_us();
    curl_multi_add_handle(h->multi, easy);
    return ERR_OK;
}

void
http_close(struct http *h, struct exchange *x)
{
    if (x->easy) {
        curl_multi_remove_handle(h->multi, x->easy);
        curl_easy_cleanup(x->easy);
    }
    curl_slist_free_all(x->lines);
    buf_finish(&x->head);
    buf_finish(&x->body);
    *x = (struct exchange){0};
}

static void
turn(struct http *h)
{
    int running, left;
    CURLMsg *message;

    curl_multi_perform(h->multi, &running);
    while ((message = curl_multi_info_read(h->multi, &left))) {
        CURLcode result = message->data.result; /* gone when the handle is removed */
        char *private = NULL;
        struct exchange *x;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        x = (struct exchange *)(void *)private;
        if (result == CURLE_OK && follow(h, x))
            continue;
        http_learn(x);
        end(x, result);
    }
}

bool
http_wait(struct http *h, bool (*done)(void *context), void *context, int64_t until_us)
{
    for (;;) {
        int64_t left_ms;

        turn(h);
        if (done(context))
            return true;
        left_ms = (until_us - clock_mono_us()) / 1000;
        if (left_ms <= 0)
            return false;
        curl_multi_poll(h->multi, NULL, 0, (int)(left_ms < TURN_MS ? left_ms : TURN_MS), NULL);
    }
}

/* ---- headers ---- */

struct text
http_header(const struct exchange *x, const char *name, int *n)
{
    struct text rest = buf_view(&x->head), found = TEXT_NONE, line;
    size_t length = strlen(name);
    int lines = 0;

    while (rest.n > 0) {
        text_cut(&rest, '\n', &line);
        if (line.n <= length || line.p[length] != ':' || strncasecmp(line.p, name, length) != 0)
            continue;
        if (lines++ == 0)
            found = text_trim((struct text){line.p + length + 1, line.n - length - 1}, " \t\r");
    }
    if (n)
        *n = lines;
    return found;
}
