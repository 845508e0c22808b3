/* subscriber: one client as the domain sees it: a feed and a position.
 *
 * There is no queue. What the client lacks is what the log holds above its cursor, and gathering it
 * is the one path that live delivery, resume, catching up and start-up share: as long as memory
 * covers the cursor, frames come from the feed; below that they come from pages. Which of the two
 * is decided by comparing ids, so the hand-over leaves no gap and makes no double.
 *
 * gather() moves the position past what it returns. If nothing of it could be sent, put the saved
 * struct subscriber_position back. */
#ifndef STREAM_SUBSCRIBER_H
#define STREAM_SUBSCRIBER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "stream/feed.h"
#include "stream/position.h"

struct subscriber_position {
    struct position pos; /* every matching event up to its cursor has been gathered */
    int64_t first_id;    /* of the events gathered; 0 = none yet */
    int64_t last_id;
    int64_t known_id; /* the last position that the client was given, by whatever block */
    uint64_t events : 63;
    bool live_told : 1; /* freshet:live has been gathered */
};

struct subscriber {
    struct feed *feed;
    struct subscriber_position at;
    bool joined;    /* in one of the feed's lists */
    bool waiting;   /* in feed->waiting, else in feed->live */
    bool reset_now; /* after a reset go on from the newest event, not from the oldest */
    TAILQ_ENTRY(subscriber) in_feed;
};

/* A client that catches up and finds nothing that matches is given its position each so many ids:
 * when it is cut, it does not have to begin far back. */
enum { SUBSCRIBER_AT_ROWS = 10000 };

enum { GATHER_PIECES = 256 }; /* far below the kernel's 1,024 (UIO_MAXIOV) */

/* What is to be sent next: pieces of feed and page memory and of the scratch; valid until the
 * window, the pages or the struct change. pieces[0] is left to the caller (the record header). */
struct gather {
    struct iovec pieces[1 + GATHER_PIECES];
    int n; /* pieces in use, with pieces[0] */
    size_t bytes, bytes_max;
    size_t scratch_n;
    char scratch[512];
};

enum gathered {
    GATHERED_ALL,    /* the client has, or gets with this, all there is */
    GATHERED_PART,   /* more is at hand; call again. With no bytes: there was no memory */
    GATHERED_BEHIND, /* what comes next is in the table only: a page after the cursor is needed */
};

void gather_init(struct gather *g, size_t bytes_max);

/* A frame larger than bytes_max comes alone, whole; g->bytes then exceeds bytes_max. */
enum gathered subscriber_gather(struct subscriber *s, struct gather *g);

/* For a stream that has been quiet: appends freshet:at when the client does not know how far it has
 * had everything, by `rows` ids at least. False: there is nothing to say. */
bool subscriber_say_at(struct subscriber *s, struct buf *out, int64_t rows);

#endif
