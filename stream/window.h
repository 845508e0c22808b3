/* window: the newest events, encoded once, in memory.
 *
 * A byte ring holds the SSE frames, a second one topic and type, an index ring one entry an event,
 * in id order. Entries are addressed by a sequence number that only grows: valid ones are
 * [tail, head). Appending evicts from the tail whatever is in the way, so memory is fixed at init
 * and an append never fails; it costs O(1) amortised.
 *
 * Invariant: the window holds every event with floor_id < id <= head_id, and nothing else. A reader
 * whose position is at or above floor_id can go on from the window; below it, only the table knows.
 */
#ifndef STREAM_WINDOW_H
#define STREAM_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"
#include "stream/event.h"

/* Bytes in a ring whose items are never split: an item that does not fit before the end starts
 * over at the beginning. Positions only grow; the place of one is its remainder by size. */
struct window_ring {
    char *bytes;
    uint64_t size, head;
};

struct window_entry {
    int64_t id;
    uint64_t frame_at; /* position in the ring of frames */
    uint64_t name_at;  /* position in the ring of names: topic, then type */
    uint32_t frame_n;
    uint16_t topic_n;
    int16_t type_n; /* -1 = no type */
};

struct window {
    struct window_ring frames, names;
    struct window_entry *entries;
    uint64_t entries_max; /* a power of two */
    uint64_t head, tail;
    int64_t floor_id, head_id;
};

/* bytes_max for the frames (names get an eighth of it on top), events_max rounded up to a power of
 * two. Starts empty at position start_id. ERR_NOMEM. */
enum err window_init(struct window *w, uint64_t bytes_max, uint64_t events_max, int64_t start_id);
void window_finish(struct window *w);

/* id > head_id. Copies everything. An event too large for the ring empties the window; readers then
 * find it in the table. Returns its sequence number, or w->head when it was not kept. */
uint64_t window_append(struct window *w, int64_t id, const struct label *label, struct text frame);

/* Forgets everything: what is at or below id is for the table to tell. id >= head_id. */
void window_restart(struct window *w, int64_t id);

/* Forgets what is at or below id, which was deleted, or may have been: the table tells. */
void window_forget(struct window *w, int64_t id);

/* Everything up to id is known to be covered, although no event may have that id. */
void window_advance(struct window *w, int64_t id);

/* The first valid sequence number whose id is above the given one; head when there is none. */
uint64_t window_after(const struct window *w, int64_t id);

/* Views into the rings: valid until the next append. tail <= seq < head. */
const struct window_entry *window_at(const struct window *w, uint64_t seq);
struct text window_frame(const struct window *w, uint64_t seq);
struct label window_label(const struct window *w, uint64_t seq);

/* The longest run of frames [seq, *end) that lies in one piece and has at most bytes_max bytes, as
 * one text; empty when already the first is larger. *end is how far it may go at most, seq < *end
 * <= head, and then how far it goes. */
struct text window_run(const struct window *w, uint64_t seq, uint64_t bytes_max, uint64_t *end);

#endif
