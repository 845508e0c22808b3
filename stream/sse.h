/* sse: the text/event-stream format (HTML Living Standard, section 9.2 "Server-sent events").
 *
 * Encoding is total: any data without NUL comes out of a browser's EventSource as it went in, but
 * for CR and CRLF, which the format cannot carry and which arrive as LF. */
#ifndef STREAM_SSE_H
#define STREAM_SSE_H

#include <stdint.h>

#include "base/buf.h"
#include "stream/event.h"

/* The longest "<seq>-<epoch>" with its NUL. */
enum { SSE_ID_SIZE = 32 };

/* Appends one event as a block: id, event (when it has a type), data lines, blank line. epoch is
 * NUL-terminated, of [0-9a-z]. */
void sse_event(struct buf *out, const struct event *e, const char *epoch);

/* Appends the data of a frame that sse_event() made: what a browser would find in event.data. */
void sse_data(struct buf *out, struct text frame);

/* Appends a signal: "event: freshet:NAME" with one line of data. */
void sse_signal(struct buf *out, const char *name, struct text data);

/* Appends the line "retry: MS". No blank line follows it or a comment: the format needs none, and
 * there are clients that take it for an event without data. */
void sse_retry(struct buf *out, int64_t retry_ms);

/* Appends a comment line; text has no line ends. */
void sse_comment(struct buf *out, struct text text);

#endif
