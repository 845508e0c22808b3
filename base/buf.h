/* buf: a growing byte buffer with an upper bound and a sticky error.
 *
 * Append as often as you like and ask once at the end: after the first failure (bound reached or
 * out of memory) every append does nothing and buf_failed() stays true, so a message is either
 * whole or known to be broken. Growth doubles, so appends are amortised O(1).
 *
 * Invariant: length <= capacity <= max. `data` may be read up to `length`; nothing else may be
 * touched from outside. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct buf {
    char *data;
    size_t length, capacity, max;
    bool failed;
};

/* An empty buffer that never holds more than max bytes. Allocates nothing. */
void buf_init(struct buf *b, size_t max);
/* Frees the memory; the buffer may be init'ed again. */
void buf_finish(struct buf *b);
/* Length 0 and no error, memory kept for the next use. */
void buf_clear(struct buf *b);

void buf_append(struct buf *b, const void *bytes, size_t n);
void buf_text(struct buf *b, struct text s);
void buf_string(struct buf *b, const char *s);
void buf_byte(struct buf *b, char c);
void buf_int(struct buf *b, long long value);
/* s as a JSON string with its quotes (RFC 8259, section 7). Bytes that are not UTF-8 (a row or a
 * path may hold any) come out as U+FFFD. */
void buf_json(struct buf *b, struct text s);
/* s with U+FFFD for each byte that belongs to no character of UTF-8. */
void buf_utf8(struct buf *b, struct text s);
/* s with every byte but letters, digits and those of `plain` as %XX (RFC 3986, section 2.1). */
void buf_percent(struct buf *b, struct text s, const char *plain);
void buf_format(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Room for n more bytes, to be written by the caller; NULL after a failure. The bytes count only
 * after buf_commit(). */
char *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);
/* Drops the first n bytes (n <= length). */
void buf_drop(struct buf *b, size_t n);

static inline bool
buf_failed(const struct buf *b)
{
    return b->failed;
}

static inline struct text
buf_view(const struct buf *b)
{
    return (struct text){b->data ? b->data : "", b->length};
}

/* Moves the contents out as a NUL-terminated string that the caller frees with mem_free(); the
 * buffer is empty afterwards. NULL after a failure. */
char *buf_take(struct buf *b);

#endif
