/* bookmark: how far a source was read, as it is kept in the table beside the events.
 *
 * In a log that was rotated just now, more than one file is being read: the newest, and those
 * before it that may still be written to. As text it is JSON, so that the sqlite3 shell can show
 * it:
 *
 *     {"offset":90,"line":4,"device":1,"inode":7,"print":"…","behind":[{"offset":…},…],"id":"5"}
 */
#ifndef INGEST_BOOKMARK_H
#define INGEST_BOOKMARK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "ingest/mark.h"

enum {
    BOOKMARK_BEHIND_MAX = 7,
    BOOKMARK_TEXT_MAX = 32 * 1024, /* an id of 4 KB, each byte six times as long when escaped */
};

struct bookmark {
    bool in_file;                            /* `at` and `behind` mean something */
    struct mark at;                          /* in the newest file */
    struct mark behind[BOOKMARK_BEHIND_MAX]; /* in those before it, oldest first */
    size_t n_behind;
    char *id; /* the last SSE id; owned; NULL = none */
};

void bookmark_finish(struct bookmark *p);

/* Appends the text; id is used in place of p->id. */
void bookmark_write(struct buf *out, const struct bookmark *p, struct text id);
/* ERR_CORRUPT when it was not written by bookmark_write(). */
enum err bookmark_read(struct bookmark *p, const char *text, struct errbuf *eb);

#endif
