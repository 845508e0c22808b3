/* sse_decode: text/event-stream bytes to messages (HTML Living Standard, section 9.2.6).
 *
 * Bytes come in pieces cut anywhere; messages come out whole. What a browser's EventSource would
 * dispatch is what sse_decode_next() gives, in the same order: a byte order mark at the start,
 * lines ended by LF, CR or CRLF, data lines joined by LF, comments and unknown fields ignored, a
 * block without data giving nothing, a block that the input ends in the middle of dropped.
 *
 *     init  (next)*  finish       next: call until false, then bring the next piece
 *
 * Memory: the data bound given to init plus a few kilobytes; a block that does not fit is given
 * as a message with `broken` set and without its texts, so that it can be counted. Cost: each byte
 * is looked at once and copied once. */
#ifndef STREAM_SSE_DECODE_H
#define STREAM_SSE_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum {
    SSE_DECODE_ID_MAX = 4096,   /* bytes; an id field with more is ignored, as one with a NUL is */
    SSE_DECODE_TYPE_MAX = 1024, /* bytes; a longer type breaks its block */
};

struct sse_message {
    struct text data;
    struct text type; /* TEXT_NONE = the block has no event field, or an empty one */
    struct text id;   /* TEXT_NONE = the block has no id field of its own */
    int64_t line;     /* of the block's first field; the stream's first line is 1 */
    bool broken;      /* too long (or memory was short): the texts are TEXT_NONE */
};

struct sse_decode {
    /* private */
    struct buf data, type, id, new_id, last_id, *target;
    char name[8];
    size_t name_length;
    int64_t line, block_line, unknown, unknown_line;
    uint8_t state, mark_length;
    bool has_data, has_type, has_id, broken, given;
};

void sse_decode_init(struct sse_decode *d, size_t data_max);
void sse_decode_finish(struct sse_decode *d);
/* As after init, for another stream; keeps memory, and the last id. `line` is its first line. */
void sse_decode_restart(struct sse_decode *d, int64_t line);
/* The same in the middle of a stream, between two blocks: no byte order mark can be there. */
void sse_decode_resume(struct sse_decode *d, int64_t line);

/* Takes bytes from the front of *input until a message is complete: true, *input is what follows
 * the blank line. False: everything was taken and there is no message yet. The texts are valid
 * until the next call. */
bool sse_decode_next(struct sse_decode *d, struct text *input, struct sse_message *m);

/* True between blocks: nothing would be lost if the stream ended here. */
bool sse_decode_between(const struct sse_decode *d);

/* How many lines so far were neither a field that the standard knows nor a comment; *line is the
 * first of them. Applications skip them, but a stream of nothing else is not an event stream. */
int64_t sse_decode_unknown(const struct sse_decode *d, int64_t *line);

/* What a browser would send as Last-Event-ID now; empty when no block had an id. Valid until the
 * next call of sse_decode_next(). */
struct text sse_decode_last_id(const struct sse_decode *d);
/* Sets it, for a stream that is resumed. Longer than SSE_DECODE_ID_MAX is ignored. */
void sse_decode_set_last_id(struct sse_decode *d, struct text id);

/* The number of the line that comes next. */
int64_t sse_decode_line(const struct sse_decode *d);

#endif
