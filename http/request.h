/* request: what the web server says about one request, as a value.
 *
 * The members are named after what they mean, not after the protocol that brought them; a test or
 * another front can fill the struct by hand. fcgi/request.h makes one out of FastCGI. */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

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
    bool keeps;  /* the web server goes on with the connection after the response */
    /* TEXT_NONE where the parameter was not sent */
#define REQUEST_MEMBER(member, name) struct text member;
    REQUEST_PARAMETERS(REQUEST_MEMBER)
#undef REQUEST_MEMBER
    unsigned authorizations; /* how many Authorization headers there are; the first one counts */
    char *bytes;             /* owned: what the texts point to */
};

#endif
