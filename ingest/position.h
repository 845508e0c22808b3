/* position: how far a source was read, as it is kept in the table beside the events.
 *
 * A file is known again by device and inode, and its content by a print: a hash of the first and
 * the last bytes before the offset. An inode that was given to another file, a file that was
 * truncated and filled anew, and a copy under another name are all told apart by it. As text it
 * is JSON, so that the sqlite3 shell can show it. */
#ifndef INGEST_POSITION_H
#define INGEST_POSITION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"

enum {
    POSITION_PRINT_SPAN = 1024,    /* bytes at either end that the print covers */
    POSITION_TEXT_MAX = 32 * 1024, /* an id of 4 KB, each byte six times as long when escaped */
};

struct file_position {
    bool in_file;   /* the members down to `print` mean something */
    int64_t offset; /* bytes that are done with */
    int64_t line;   /* number of the line that comes next */
    uint64_t device, inode, print;
    char *id; /* the last SSE id; owned; NULL = none */
};

void position_finish(struct file_position *p);

/* Appends the text; id is used in place of p->id. */
void position_write(struct buf *out, const struct file_position *p, struct text id);
/* ERR_CORRUPT when it was not written by position_write(). */
enum err position_read(struct file_position *p, const char *text, struct errbuf *eb);

/* Fills device, inode and print for `offset` bytes of the open file. ERR_MISSING when the file is
 * shorter than that by now, ERR_IO (errno says why) when it cannot be read; then nothing is
 * changed.
 */
enum err position_take(struct file_position *p, int fd, int64_t offset);

/* *fits: the open file has the bytes before p->offset that it had when p was taken. ERR_IO (errno
 * says why) when that cannot be read: then nobody knows. */
enum err position_fits(const struct file_position *p, int fd, bool *fits);

static inline bool
position_same_file(const struct file_position *p, const struct stat *st)
{
    return p->device == (uint64_t)st->st_dev && p->inode == (uint64_t)st->st_ino;
}

#endif
