/* query: what a client asks for, from the query string and the Last-Event-ID header. Pure.
 *
 * Where the stream begins, strongest first: the header; last_event_id (or lastEventId, lastEventID)
 * in the query; since= or last=; the newest event. The header wins because a browser that
 * reconnects repeats the URL it began with, in which a cursor has grown old. Unknown names are
 * ignored, so that a page may add its own; unusable values of known ones are an error. */
#ifndef FCGI_QUERY_H
#define FCGI_QUERY_H

#include <stdint.h>

#include "base/err.h"
#include "stream/cursor.h"
#include "stream/subscription.h"

enum query_start {
    START_NOW,
    START_EARLIEST, /* the oldest event that is left */
    START_AFTER,    /* after `id` */
    START_SINCE,    /* at `time_ms`, wall clock */
    START_LAST,     /* before the newest `count` matching events */
    START_RESET,    /* the cursor is unusable for the reason `reset` */
};

struct query {
    struct subscription what; /* sealed */
    enum query_start start;
    int64_t id, time_ms;
    uint32_t count;
    enum cursor_reset reset;
    bool reset_now;
    char *requested; /* the cursor as it was sent, NUL-terminated; NULL when there was none */
};

struct query_limits {
    size_t topics_max; /* topics, types and conditions together */
    const char *epoch;
    struct text grants; /* patterns this request may read, separated by blanks (%20 is one inside a
                         * topic, %25 a '%'); TEXT_NONE = all topics, empty = none */
    int64_t now_ms;     /* wall clock, for since=10m */
};

/* On ERR_INVALID and ERR_DENIED (texts for the client) and ERR_NOMEM nothing needs to be freed. */
enum err query_parse(struct text query_string, struct text last_event_id,
                     const struct query_limits *limits, struct query *q, struct errbuf *eb);
void query_finish(struct query *q);

#endif
