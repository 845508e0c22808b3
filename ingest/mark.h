/* mark: a place in a file, by which file and place are found again.
 *
 * A file is known again by device and inode, and its content by a print: a hash of the first and
 * the last bytes before the offset. An inode that was given to another file, a file that was
 * truncated and filled again, and a copy under another name are all told apart by it. */
#ifndef INGEST_MARK_H
#define INGEST_MARK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"

enum { MARK_PRINT_SPAN = 1024 }; /* bytes at either end that the print covers */

struct mark {
    int64_t offset; /* bytes that are done with */
    int64_t line;   /* number of the line that comes next */
    uint64_t device, inode, print;
};

/* Fills device, inode and print for `offset` bytes of the open file; line is the caller's.
 * ERR_MISSING when the file is shorter than that by now, ERR_IO (errno says why) when it cannot be
 * read; then nothing is changed. */
enum err mark_take(struct mark *m, int fd, int64_t offset);

/* *fits: the open file has the bytes before m->offset that it had when m was taken. ERR_IO (errno
 * says why) when that cannot be read: then it is not known. */
enum err mark_fits(const struct mark *m, int fd, bool *fits);

static inline bool
mark_same_file(const struct mark *m, const struct stat *st)
{
    return m->device == (uint64_t)st->st_dev && m->inode == (uint64_t)st->st_ino;
}

#endif
