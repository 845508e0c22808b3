/* request: what the web server says about one request. The only file that knows libfcgi.
 *
 * libfcgi parses parameters well, but it blocks while it does and its output streams die on a
 * socket that is full. So it is never given a connection: the caller reads until record_look() says
 * that the request is whole, and request_parse() lets libfcgi read those bytes out of a pipe, where
 * they are all at hand. */
#ifndef FCGI_REQUEST_H
#define FCGI_REQUEST_H

#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

/* A row for each parameter that is used: member and name of the FastCGI (CGI) parameter. */
#define REQUEST_PARAMETERS(ROW)                                                                    \
    ROW(method, "REQUEST_METHOD")                                                                  \
    ROW(query, "QUERY_STRING")                                                                     \
    ROW(last_event_id, "HTTP_LAST_EVENT_ID")                                                       \
    ROW(topics, "FRESHET_TOPICS")                                                                  \
    ROW(publish, "FRESHET_PUBLISH")                                                                \
    ROW(content_type, "CONTENT_TYPE")                                                              \
    ROW(content_length, "CONTENT_LENGTH")                                                          \
    ROW(idempotency_key, "HTTP_IDEMPOTENCY_KEY")                                                   \
    ROW(path, "SCRIPT_NAME")                                                                       \
    ROW(authorization, "HTTP_AUTHORIZATION")                                                       \
    ROW(cookie, "HTTP_COOKIE")                                                                     \
    ROW(origin, "HTTP_ORIGIN")                                                                     \
    ROW(fetch_site, "HTTP_SEC_FETCH_SITE")                                                         \
    ROW(preflight, "HTTP_ACCESS_CONTROL_REQUEST_METHOD")                                           \
    ROW(host, "HTTP_HOST")                                                                         \
    ROW(port, "SERVER_PORT")                                                                       \
    ROW(scheme, "REQUEST_SCHEME")                                                                  \
    ROW(address, "FRESHET_ADDRESS")                                                                \
    ROW(path_info, "PATH_INFO")                                                                    \
    ROW(accept, "HTTP_ACCEPT")                                                                     \
    ROW(none_match, "HTTP_IF_NONE_MATCH")                                                          \
    ROW(user, "REMOTE_USER")                                                                       \
    ROW(remote, "REMOTE_ADDR")

struct request {
    uint16_t id; /* of FastCGI; 0 when run as plain CGI */
    /* TEXT_NONE where the parameter was not sent */
#define REQUEST_MEMBER(member, name) struct text member;
    REQUEST_PARAMETERS(REQUEST_MEMBER)
#undef REQUEST_MEMBER
    unsigned authorizations; /* how many Authorization headers there are; the first one counts */
    char *bytes;             /* owned: what the texts point to */
};

/* Once, before any other call. ERR_IO. */
enum err request_setup(size_t bytes_max, struct errbuf *eb);
void request_teardown(void);

/* bytes: exactly one whole request as record_look() found it, at most bytes_max of request_setup().
 * ERR_INVALID, ERR_NOMEM, ERR_IO. */
enum err request_parse(struct text bytes, struct request *r, struct errbuf *eb);

/* Started as a plain CGI program, the environment is the request. ERR_INVALID when it is none. */
enum err request_from_environment(struct request *r, struct errbuf *eb);

void request_finish(struct request *r);

#endif
