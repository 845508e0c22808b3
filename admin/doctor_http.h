/* doctor_http: HTTP as a client sees it: what arrived when, what the head said, how it ended. The
 * only file that knows libcurl.
 *
 *     http_init  (http_open … http_close)*  http_finish
 *
 * Several exchanges go on side by side, and all of them move only inside http_wait(), so that each
 * arrival has the time at which it came. Redirects are followed, as EventSource does; what the head
 * says is then of the last answer. A token, a cookie and headers of the operator's go to the origin
 * that was asked, and never to another one. */
#ifndef ADMIN_DOCTOR_HTTP_H
#define ADMIN_DOCTOR_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/option.h"

enum { HTTP_BODY_MAX = 256 * 1024, HTTP_HEAD_MAX = 64 * 1024 };

struct http {
    void *multi;                       /* private */
    const char *ca;                    /* PEM file; NULL = the system's */
    const char *token, *cookie;        /* NULL = none */
    const struct option_list *headers; /* whole lines */
};

struct http_request {
    const char *url;
    const char *accept;
    const char *origin;        /* NULL = none */
    const char *last_event_id; /* NULL = none */
    bool anonymous;            /* without token, cookie and headers of the operator's */
    const char *body;          /* JSON: then it is a POST; must outlive the exchange */
    /* Called with each piece of the body, decompressed; may be NULL. */
    void (*arrived)(void *context, struct text bytes, int64_t at_us);
    void *context;
};

/* Times are of the monotonic clock; 0 = has not happened. */
struct exchange {
    const struct http_request *request;
    int status;          /* 0 = no head yet */
    const char *version; /* "HTTP/2" */
    struct buf head;     /* "Name: value\r\n", of the last answer */
    struct buf body;     /* its beginning */
    int64_t began_us, head_us, first_us, last_us, ended_us;
    bool ended;
    const char *error;           /* why it did not end as it should; NULL = it did */
    bool untrusted;              /* the certificate is the reason */
    bool unreachable;            /* no connection came about */
    char address[64], url[1024]; /* where the last answer came from */
    int port, redirects;
    bool strange; /* the last answer came from another origin than was asked */
    int64_t name_us, connect_us, tls_us; /* from the beginning; tls 0 = none */
    void *easy, *lines;                  /* private */
};

enum err http_init(struct http *h, struct errbuf *eb);
void http_finish(struct http *h);

/* The request is kept, and must outlive the exchange. */
enum err http_open(struct http *h, struct exchange *x, const struct http_request *request,
                   struct errbuf *eb);
void http_close(struct http *h, struct exchange *x);

/* Lets all exchanges go on until done() holds or the time has come; the value is done()'s. */
bool http_wait(struct http *h, bool (*done)(void *context), void *context, int64_t until_us);

/* Fills the members about the connection; an exchange that has ended has them. */
void http_learn(struct exchange *x);

/* The value of a header without the blanks around it; TEXT_NONE when it is missing. *n, if wanted:
 * how many lines it has. Valid until the exchange is closed. */
struct text http_header(const struct exchange *x, const char *name, int *n);

#endif
