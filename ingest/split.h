/* split: a stream of bytes into items: lines, or SSE messages.
 *
 *     init  ( space fill (next)*  |  (last)* restart )*  finish
 *
 * Read into space(), say how much with fill(), then take items with next() until it gives none. At
 * the end of a file last() gives what an unfinished line leaves; restart() begins another file.
 *
 * Memory does not grow with the input: a line longer than the bound is handed out in pieces
 * (SPLIT_PIECE, the last one SPLIT_TOO_LONG) and forgotten. */
#ifndef INGEST_SPLIT_H
#define INGEST_SPLIT_H

#include "ingest/settings.h"
#include "stream/sse_decode.h"

enum { SPLIT_READ_BYTES = 256 * 1024 }; /* one read(2) */

enum split_kind {
    SPLIT_WHOLE,    /* an item */
    SPLIT_PIECE,    /* a part of a line that is too long */
    SPLIT_TOO_LONG, /* the last part of it, or all that is known of an SSE block */
    SPLIT_HOLE,     /* NUL bytes before a line, see split_skip_holes() */
};

struct split_item {
    enum split_kind kind;
    bool open;        /* the file ended before the line did */
    bool has_cr;      /* the line ended in CRLF: one CR stands behind data */
    struct text data; /* the line without LF or CRLF; the data of an SSE message */
    struct text type; /* SSE only, as in struct sse_message */
    struct text id;
    int64_t line; /* the number of its first line */
};

struct split {
    /* private */
    enum format format;
    struct buf input;
    /* In input: taken up to; known up to there to have no LF, in SSE no NUL byte after one. */
    size_t at, scanned;
    size_t line_max;
    bool skips_holes, in_hole; /* more NUL bytes belong to the hole before */
    bool discarding;           /* inside a line that is too long */
    int64_t base, line;        /* offset of input's first byte; number of the next line */
    struct sse_decode sse;
};

/* event_max bounds the data of one event; see split.c for what follows for a line. */
void split_init(struct split *s, enum format format, size_t event_max);
void split_finish(struct split *s);
/* From now on several NUL bytes where a line begins (in SSE: a block) are not a part of it but one
 * or more items of their own: in a file they are what was never written. */
void split_skip_holes(struct split *s);
/* Forgets what is buffered: the next byte is at `offset`, in this line. */
void split_restart(struct split *s, int64_t offset, int64_t line);

/* Room for *n bytes (at least SPLIT_READ_BYTES); NULL = out of memory. */
char *split_space(struct split *s, size_t *n);
void split_fill(struct split *s, size_t n);

/* The item's texts are valid until the next call on s. */
bool split_next(struct split *s, struct split_item *item);
bool split_last(struct split *s, struct split_item *item);

/* Everything that was filled in has been taken, and the next n bytes of the file are passed over.
 */
void split_skip(struct split *s, int64_t n);
/* In a line that is too long: what comes next is not the beginning of one. */
bool split_is_discarding(const struct split *s);

/* How many bytes of the file are done with once the items so far are; and the line that follows. */
int64_t split_offset(const struct split *s);
int64_t split_line(const struct split *s);

#endif
