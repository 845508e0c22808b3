/* hub: the window, all feeds, and which of them an event concerns.
 *
 * Operations: publish a page of new events; join and leave (a subscriber enters and leaves a feed);
 * wait and deliver (a subscriber lacks a page; a page has come). Publishing looks up the event's
 * topic and its prefixes of the lengths that are in use, so its cost depends on the feeds that
 * match and not on the number of feeds. Feeds that got something are in `dirty` until the caller
 * has taken them.
 *
 * Belongs to one thread. No system calls, no clock. Out of memory refuses one join or forgets one
 * page; nothing that exists is harmed.
 *
 * Memory: the window (fixed), the pages (pages_max bytes after hub_trim), 16 bytes per feed and
 * matching event of the window. */
#ifndef STREAM_HUB_H
#define STREAM_HUB_H

#include <stdint.h>

#include "stream/dialect.h"
#include "stream/feed.h"
#include "stream/page.h"
#include "stream/pattern.h"
#include "stream/subscriber.h"
#include "stream/window.h"

TAILQ_HEAD(feed_list, feed);

struct hub {
    struct window window;             /* of the plain dialect, which is always there */
    struct window *windows[DIALECTS]; /* the others come with their first feed */
    struct dialect dialects[DIALECTS];
    struct feed *feeds[DIALECTS]; /* hashes by key */
    struct patterns patterns;     /* which feeds named which */
    struct questions questions;   /* conditions on the data, of all feeds */
    struct feed_list dirty;
    struct page_request_list requests; /* not taken yet, first come first served */
    struct page_list cache;            /* every page, the oldest first */
    size_t cache_bytes, cache_max;
    int64_t pruned_through;         /* of the table, as far as the hub knows */
    struct page_list mixed;         /* pages of `cache` with events at or below that */
    struct feed_memory feed_memory; /* without bound until the owner sets one */
    uint64_t n_feeds;
};

enum err hub_init(struct hub *h, uint64_t window_bytes, uint64_t window_events, size_t cache_max,
                  int64_t start_id, const char *epoch);
/* No subscriber may be left. */
void hub_finish(struct hub *h);

/* Appends the page's events to the window and to the feeds that match. The page was made with
 * names, and with answers to the questions (h->questions.changes go to the thread that makes it),
 * and starts where the window ends: page->after == window.head_id. Its marks may say that events
 * were deleted: then memory forgets them. The page stays the caller's. */
void hub_publish(struct hub *h, const struct page *p);

/* The next feed that got something, or NULL; its `live` subscribers may have something to gather.
 */
struct feed *hub_next_dirty(struct hub *h);

/* The feed for this subscription, made if need be, with one reference more. Takes *what over in
 * any case. NULL = no memory. */
struct feed *hub_hold(struct hub *h, struct subscription *what, enum dialect_kind dialect);

/* How many questions the feed for this subscription would add at most. */
uint32_t hub_new_questions(const struct hub *h, const struct subscription *what);

/* The dialect, beside the plain one, in which new events are wanted: pages for hub_publish() should
 * have a twin in it. NULL = none. */
const struct dialect *hub_second_dialect(const struct hub *h);
/* One reference more, for another holder. */
struct feed *hub_share(struct feed *f);
void hub_release(struct hub *h, struct feed *f);

/* s->feed, s->at.pos.cursor and the flags are set by the caller, which holds a reference for it. */
void hub_join(struct hub *h, struct subscriber *s);
/* It leaves the lists; the feed's reference stays the caller's. */
void hub_part(struct hub *h, struct subscriber *s);
/* The caller's reference is released too. */
void hub_leave(struct hub *h, struct subscriber *s);

/* The subscriber lacks the page after its cursor: no live delivery until it has come. Subscribers
 * of a feed that wait at the same position share one request. lane: of this client, for fairness
 * among requests. ERR_NOMEM changes nothing. */
enum err hub_wait(struct hub *h, struct subscriber *s, uint64_t lane);

/* The oldest request that nobody has taken yet, or NULL. The caller that takes it fetches the page
 * and ends the request with hub_deliver or hub_fail; until then *cancelled may become true, because
 * no subscriber waits for the page any more: then hub_fail ends it at once. */
struct page_request *hub_next_request(struct hub *h);

typedef void hub_each(void *context, struct subscriber *s);

/* The page (owned by the hub from now on) answers the request, which is freed. Every waiting
 * subscriber of the feed whose cursor lies in the page is moved to live and handed to wake(). */
void hub_deliver(struct hub *h, struct page_request *request, struct page *p, hub_each *wake,
                 void *context);

/* No page: each subscriber that waits at this position is handed to drop(), which must make it
 * leave. */
void hub_fail(struct hub *h, struct page_request *request, hub_each *drop, void *context);

/* Frees the oldest pages above cache_max. Call when no gathered pieces point into them. */
void hub_trim(struct hub *h);

/* Frees what may hold events that were deleted meanwhile: pages of rows that are left below
 * pruned_through. Nothing reports when one of these rows is deleted, so such a page is good for
 * HUB_MIXED_MS only. now_ms: of any clock that does not go back. Call when no gathered pieces point
 * into them. */
enum { HUB_MIXED_MS = 250 };
void hub_expire(struct hub *h, int64_t now_ms);

#endif
