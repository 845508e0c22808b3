/* page: a piece of the log as one reader read it from the table: frames, ready to be sent.
 *
 * It holds every event that matches a filter with after < id <= through, in id order, encoded. A
 * page is built by one thread, handed over whole, and read-only from then on; its holder destroys
 * it. It may be empty and still say something: that nothing matches up to `through`. */
#ifndef STREAM_PAGE_H
#define STREAM_PAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "stream/dialect.h"
#include "stream/event.h"
#include "stream/position.h"
#include "stream/question.h"

struct page_entry {
    int64_t id;
    size_t frame_end; /* offset in frames where this event's frame ends */
    size_t name_end;  /* the same in names, when names are kept */
    uint16_t topic_n;
    int16_t type_n; /* -1 = no type */
};

struct page {
    const struct dialect *dialect; /* of the frames; lives longer */
    size_t bytes_max;
    int64_t after, through;
    struct marks marks; /* of the table, from the same transaction */
    struct buf frames;
    struct buf names; /* topic and type of each event; only in pages that fill a window */
    struct page_entry *entries;
    size_t n, capacity;
    struct question_index
        *index;          /* answers questions about the events as they are added, or NULL */
    struct buf answers;  /* a row of bits each, see question.h */
    size_t answer_bytes; /* of a row */
    uint64_t asked;      /* the last change of questions that was known; 0 = none */
    struct page *twin;   /* the same events in another dialect, or NULL; owned */
    TAILQ_ENTRY(page) in_feed, in_cache, in_mixed; /* of the cache that holds it */
    struct feed *feed;
    bool is_mixed;
    int64_t ends_ms; /* of a mixed one: see hub_expire(); 0 = not known yet */
};

/* An empty page that takes frames up to bytes_max, but always at least one event. NULL = no memory.
 */
struct page *page_create(int64_t after, size_t bytes_max, const struct dialect *dialect);
void page_destroy(struct page *p); /* with its twin; NULL is allowed */

/* From now on the page has the same events in another dialect too, in page->twin, bounded by the
 * page alone. When there is no memory for them the twin goes away and the page stays. */
void page_add_twin(struct page *p, const struct dialect *dialect);

/* From now on the page answers the index's questions about the events that are added. Without
 * memory it gives up, and knows nothing. */
void page_ask(struct page *p, struct question_index *index);

enum page_added { PAGE_ADDED, PAGE_IS_FULL, PAGE_NO_MEMORY };

/* Encodes e at the end; with_names for pages that fill a window. When it is full or memory ran out,
 * nothing is added and the events that are in it stay valid. */
enum page_added page_add(struct page *p, const struct event *e, bool with_names);

/* Whether the page can tell what an event answers to the question. */
bool page_knows(const struct page *p, const struct question *question);
/* What event i answers; only if the page knows. */
bool page_answer(const struct page *p, size_t i, const struct question *question);

/* Index of the first event above id; n when there is none. */
size_t page_after(const struct page *p, int64_t id);

struct text page_frame(const struct page *p, size_t i);
struct label page_label(const struct page *p, size_t i); /* if names were kept */

/* The longest run of frames [i, *end) of at most bytes_max bytes, as one text. */
struct text page_run(const struct page *p, size_t i, size_t bytes_max, size_t *end);

/* What it occupies, bytes. */
size_t page_cost(const struct page *p);

#endif
