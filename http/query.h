/* query: what a client asks for, from the query string and the Last-Event-ID header. Pure.
 *
 * Where the stream begins, strongest first: the header; last_event_id (or lastEventId, lastEventID)
 * in the query; since= or last=; the newest event. The header wins because a browser that
 * reconnects repeats the URL it began with, in which a cursor has grown old. Unknown names are
 * ignored, so that a page may add its own; unusable values of known ones are an error. */
#ifndef HTTP_QUERY_H
#define HTTP_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "http/grants.h"
#include "stream/dialect.h"
#include "stream/position.h"
#include "stream/subscription.h"

enum query_kind {
    QUERY_STREAM,
    QUERY_PAGE,   /* limit=, wait= and before= are known, too */
    QUERY_TOPICS, /* the list of topics: limit= and topics= are known; what would narrow a page is
                   * refused, since nobody would see that it does not narrow the list */
    QUERY_EVENT,  /* one event: only topic= counts */
};

struct query {
    struct subscription what; /* sealed */
    enum dialect_kind dialect;
    struct start start;
    int64_t id;      /* QUERY_EVENT: which one */
    char *requested; /* the cursor as it was sent, NUL-terminated; NULL when there was none */
    uint32_t limit;  /* 0 = not given */
    int64_t wait_ms; /* 0 = not given */
    char *topics; /* QUERY_TOPICS: the topic after which the list goes on; NULL = from the first */
};

struct query_limits {
    size_t topics_max; /* topics, types and conditions together */
    size_t where_max;  /* conditions */
    const struct dialect *dialect;
    const struct grants *grants; /* what this request may read; NULL = everything */
    int64_t now_ms;              /* wall clock, for since=10m */
    enum query_kind kind;
};

/* On ERR_INVALID and ERR_DENIED (texts for the client) and ERR_NOMEM nothing needs to be freed. */
enum err query_parse(struct text query_string, struct text last_event_id,
                     const struct query_limits *limits, struct query *q, struct errbuf *eb);
void query_finish(struct query *q);

/* True when the query string has a parameter of this name. */
bool query_has(struct text query_string, const char *name);

/* Appends "?" and the query string with name=value for what says where to begin: a link to the next
 * page. */
void query_link(struct buf *out, struct text query_string, const char *name, struct text value);

/* The path at which streams are: SCRIPT_NAME. A web server that does not split paths gives all of
 * it as PATH_INFO and leaves SCRIPT_NAME empty (h2o; Caddy without `split`). TEXT_NONE without
 * both. */
struct text query_endpoint(struct text path_info, struct text script_name);

/* What stands below the endpoint, which can only be an event: of the PATH_INFO "/12-k3f9" what
 * follows the slash. TEXT_NONE when nothing does. The endpoint itself never names an event,
 * whatever its last segment looks like: it may be a path that the web server takes the topic from.
 */
struct text query_event(struct text path_info, struct text script_name);

#endif
