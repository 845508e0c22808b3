/* sse: the text/event-stream format (HTML Living Standard, section 9.2 "Server-sent events").
 *
 * Encoding is total: any data without NUL comes out of a browser's EventSource as it went in, but
 * for CR and CRLF, which the format cannot carry and which arrive as LF. */
#ifndef STREAM_SSE_H
#define STREAM_SSE_H

#include <stdint.h>

#include "base/buf.h"
#include "stream/event.h"

/* Lines of an event: its type, when it has one, and its data, split at LF, CR and CRLF. The caller
 * writes the id line before and the blank line after them. */
void sse_type_line(struct buf *out, struct text type);
void sse_data_lines(struct buf *out, struct text data);

/* Appends the data of a frame, from its data lines: what a browser would find in event.data. */
void sse_data(struct buf *out, struct text frame);

/* Appends a signal: "event: freshet:NAME" with one line of data. */
void sse_signal(struct buf *out, const char *name, struct text data);

/* Appends the line "retry: MS". No blank line follows it or a comment: the format needs none, and
 * there are clients that take it for an event without data. */
void sse_retry(struct buf *out, int64_t retry_ms);

/* Appends a comment line; text has no line ends. */
void sse_comment(struct buf *out, struct text text);

#endif
