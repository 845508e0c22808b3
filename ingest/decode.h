/* decode: an item of the input into an event, by the format and the JSON Pointers that were given.
 *
 * Pure: bytes in, event or reason out. One decoder keeps the room for texts that do not stand in
 * the item as they are stored, so that it allocates little. */
#ifndef INGEST_DECODE_H
#define INGEST_DECODE_H

#include "ingest/settings.h"
#include "ingest/split.h"
#include "stream/event.h"

struct decode;

enum decode_outcome {
    DECODE_EVENT,   /* *e is an event that has passed event_check() */
    DECODE_NOTHING, /* a blank line of NDJSON: neither stored nor rejected */
    DECODE_SIGNAL,  /* SSE: another freshet's own signal; *e has its type and data */
    DECODE_REJECT,  /* why says what rule is broken */
    DECODE_FAILED,  /* there is no memory; nothing is wrong with the item */
};

/* settings must outlive the decoder. NULL = out of memory. */
struct decode *decode_create(const struct settings *settings);
void decode_destroy(struct decode *d); /* NULL is allowed */

/* item is SPLIT_WHOLE. The texts of *e are valid as long as the item's and until the next call. */
enum decode_outcome decode_item(struct decode *d, const struct split_item *item, struct event *e,
                                struct errbuf *why);

/* How many events hold U+FFFD in place of bytes that were no UTF-8 (--invalid-utf8 replace). */
int64_t decode_replaced(const struct decode *d);

#endif
