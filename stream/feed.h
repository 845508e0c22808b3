/* feed: one distinct subscription in one dialect, shared by all clients that have it.
 *
 * It knows which events of the window match: a ring of {id, sequence number} in id order, filled as
 * events are published and, on demand, downwards when a subscriber's position lies below. The feed
 * of everything needs no ring: the window itself is its list. It also holds the pages that were
 * read from the table for its subscribers, and the two lists its subscribers are in.
 *
 * Invariant: every matching event with feed_floor() < id <= window head is in the ring and in the
 * window. A position at or above the floor is LIVE, one below is BEHIND and goes on from pages.
 * Running out of memory raises the floor: nobody loses anything, the table is asked.
 *
 * Memory: 16 bytes per event of the window that matches, at most events_max of them. All feeds
 * together take no more than struct feed_memory allows, but for a first small ring each: clients
 * choose how many feeds there are. A ring that may not grow keeps its newer half. */
#ifndef STREAM_FEED_H
#define STREAM_FEED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/hash.h"
#include "stream/dialect.h"
#include "stream/page.h"
#include "stream/subscription.h"
#include "stream/window.h"

struct feed_entry {
    int64_t id;
    uint64_t seq;
};

/* What the rings of all feeds take, and may take. */
struct feed_memory {
    size_t bytes, max;
};

struct subscriber;
TAILQ_HEAD(subscriber_list, subscriber);
TAILQ_HEAD(page_list, page);

/* A page that a subscriber waits for: the one after this position. */
struct page_request {
    struct feed *feed; /* holds a reference */
    int64_t after;
    uint64_t lane;    /* of the first that waits: see fcgi/reader.h */
    uint32_t waiting; /* subscribers; when the last one leaves, the request is given up */
    bool first;       /* for a subscriber that has had nothing yet: a short page comes sooner */
    bool taken;       /* by hub_next_request() */
    atomic_bool *cancelled; /* the taker's, may be NULL: becomes true when given up */
    TAILQ_ENTRY(page_request) in_feed, in_queue;
};
TAILQ_HEAD(page_request_list, page_request);

struct feed {
    struct subscription what; /* owned, sealed */
    const struct dialect *dialect;
    const struct window *window; /* of the dialect */
    struct feed_memory *memory;
    struct question **questions; /* what.n_where of them, held by the hub; owned */
    bool everything;             /* no ring: all of the window matches */
    struct feed_entry *ring;
    uint64_t capacity, head, tail; /* of the ring; capacity is a power of two or 0 */
    int64_t floor_id;              /* see feed_floor() */
    uint32_t refs;                 /* subscribers and jobs that name this feed */
    bool dirty;
    struct subscriber_list live;    /* those that are served from memory */
    struct subscriber_list waiting; /* those that wait for a page */
    struct page_list pages;
    struct page_request_list requests; /* pages that are being fetched */
    TAILQ_ENTRY(feed) in_dirty;
    UT_hash_handle by_key;
};

/* Takes the subscription over (also when it fails). NULL = no memory. Refs start at 0. */
struct feed *feed_create(struct subscription *what, const struct dialect *dialect,
                         const struct window *window, struct feed_memory *memory);
void feed_destroy(struct feed *f);

/* An event that matches was appended to the window. */
void feed_append(struct feed *f, int64_t id, uint64_t seq);
/* Memory does not know what matches up to id: a subscriber below must ask the table. */
void feed_restart(struct feed *f, int64_t id);
/* The sequence number last appended; UINT64_MAX = none. */
uint64_t feed_last_seq(const struct feed *f);

/* True when every matching event above id is at hand in memory. May look at up to FEED_SCAN_MAX
 * entries of the window to make it so. */
enum { FEED_SCAN_MAX = 4096 };
bool feed_covers(struct feed *f, int64_t id);

/* The position before the newest n matching events, if memory can tell. */
bool feed_last(struct feed *f, uint64_t n, int64_t *position);

/* The longest run of frames above *id, of at most bytes_max bytes and in one piece; *id becomes the
 * id of its last event, *first that of its first one, *events is their number. Empty when the
 * next frame alone is longer; *next_bytes is then its length, else 0. Only after feed_covers(*id).
 */
struct text feed_run(const struct feed *f, int64_t *id, uint64_t bytes_max, int64_t *first,
                     uint64_t *events, uint64_t *next_bytes);

#endif
