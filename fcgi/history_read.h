/* history_read: what the reader's thread does for a request for history: finds the place, reads a
 * page, one event or a list of topics, and makes the body of the response, JSON or NDJSON.
 *
 * A page of JSON is {"events":[…],"next":"12-k3f9","live":true} and, when the cursor could not be
 * honoured, "reset":{…}; of topics {"topics":[…],"next":"news/sport"}. NDJSON has one event (or
 * topic) a line and leaves the rest to the head of the response. `next` continues: after the page,
 * or, going back, before it.
 *
 * Bounds: `limit` events, bytes_max of body (but always one event), and one step of the reader at a
 * time; a search that has found nothing goes on in further steps, HISTORY_STEPS_MAX of them, and
 * then answers with an empty page whose `next` is further on. Finding the newest N, and counting
 * topics, ends after search_us: the page says "limited":true, a topic that could not be counted
 * "at_least":true. */
#ifndef FCGI_HISTORY_READ_H
#define FCGI_HISTORY_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "http/query.h"
#include "fcgi/reader.h"
#include "sql/locate.h"

enum { HISTORY_STEPS_MAX = 50 };

enum history_what {
    HISTORY_PAGE,
    HISTORY_EVENT, /* the one with query.id, if the filter lets it through */
    HISTORY_TOPICS,
};

enum history_found {
    HISTORY_FOUND,
    HISTORY_UNKNOWN,
    HISTORY_GONE, /* it was there and has been deleted */
};

struct history_read {
    struct reader_job job; /* first: the reader gives it back; done and lane are the caller's */
    /* in */
    enum history_what what;
    struct query query;            /* owned */
    const struct dialect *dialect; /* of ids; lives longer */
    bool ndjson;
    const struct subscription *filter; /* query.what unless the caller has another */
    uint32_t limit;
    struct store_step step;
    int64_t search_us; /* for finding the newest N, or counting topics, in all steps */
    size_t bytes_max;
    /* between steps */
    bool begun, down, no_memory;
    atomic_bool
        begun_reading; /* looked at by the loop: what is committed from now on may be missed */
    struct locate place;
    int64_t spent_us;   /* counting topics */
    bool too_many;      /* to be counted in that time */
    struct position at; /* what comes after it, or before it when going down, is missing still */
    unsigned steps;
    char *topic; /* being counted */
    int64_t count, first, last;
    /* out */
    struct buf body;
    struct buf next; /* empty = there is none */
    uint32_t n;
    bool live;  /* nothing was in the table after the page */
    bool fixed; /* the same request gets the same answer as long as nothing is deleted, also of
                 * another database */
    enum cursor_reset reset;
    enum history_found found;
    uint64_t hash; /* of all that is out */
};

/* The query is taken over. */
void history_read_init(struct history_read *h, struct query *query);
void history_read_finish(struct history_read *h);

/* Makes it an empty page at the newest event, for an asker that has waited in vain. */
void history_make_empty(struct history_read *h, int64_t position);

/* True when the two ask for the same. */
bool history_same(const struct history_read *a, const struct history_read *b);

#endif
