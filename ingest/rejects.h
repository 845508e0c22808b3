/* rejects: the file that keeps what was rejected, byte for byte, so that it can be corrected and
 * read again. Items of SSE are written as SSE blocks.
 *
 * It is on disk before the position moves past the item: after a crash an item may stand in it
 * twice, but none is missing. */
#ifndef INGEST_REJECTS_H
#define INGEST_REJECTS_H

#include "base/buf.h"
#include "ingest/split.h"

struct rejects {
    /* private */
    int fd; /* -1 = not wanted */
    const char *path;
    struct buf pending;
    bool unsynced; /* written, but not known to be on disk */
};

/* True when this regular file, or standard input when `other` is NULL, is the one that
 * rejects_open() would open at path. */
bool rejects_would_be(const char *path, const char *other);

/* path NULL = rejects are not kept, and the other calls do nothing. */
enum err rejects_open(struct rejects *r, const char *path, struct errbuf *eb);
void rejects_close(struct rejects *r);

/* One item of any kind; a line that is too long comes in its pieces. */
enum err rejects_add(struct rejects *r, enum format format, const struct split_item *item,
                     struct errbuf *eb);
/* True when something is not on disk yet. */
bool rejects_pending(const struct rejects *r);
/* Everything is on disk. */
enum err rejects_flush(struct rejects *r, struct errbuf *eb);

#endif
