/* batch: the events of one transaction, copied into one piece of memory.
 *
 *     init  ( add* set_position? … get* … clear )*  finish
 *
 * Memory: bounded by the numbers given to init; kept by clear() for the next round, so that a run
 * allocates a few batches and no more. */
#ifndef INGEST_BATCH_H
#define INGEST_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "stream/event.h"

/* A batch is full at this many bytes too, which bounds memory when events are large. */
enum { BATCH_BYTES = 1024 * 1024 };

struct batch_event;

struct batch {
    size_t n;            /* events in it */
    bool has_position;   /* position is to be stored with the events */
    struct buf position; /* the text for store_set_cursor(), NUL-terminated */
    /* private */
    struct buf bytes;
    struct batch_event *events;
    size_t n_max;
    struct batch *next; /* the queue's */
};

enum err batch_init(struct batch *b, size_t events_max, size_t event_bytes_max);
void batch_finish(struct batch *b);
void batch_clear(struct batch *b);

/* Copies the event. ERR_NOMEM leaves the batch as it was. Not after batch_full(). */
enum err batch_add(struct batch *b, const struct event *e);
bool batch_full(const struct batch *b);
/* The texts are valid until the next add or clear. i < n. */
void batch_get(const struct batch *b, size_t i, struct event *e);

#endif
