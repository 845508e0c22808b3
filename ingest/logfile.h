/* logfile: one open file of the input, how far it was read, and whether anyone else has it open.
 *
 * While it is being read `offset` and `line` are those of the next byte; when another file's turn
 * has come, those of the first byte that is not done with, and reading goes on there later. */
#ifndef INGEST_LOGFILE_H
#define INGEST_LOGFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"
#include "ingest/mark.h"

enum logfile_writers {
    WRITERS_NONE,
    WRITERS_SOME,
    WRITERS_UNKNOWN, /* only its owner and root can ask, and on local file systems only */
};

struct logfile {
    int fd;
    int watched; /* its number in the watch */
    int64_t offset, line;
    int64_t synced;    /* this many bytes survive a power cut */
    struct mark mark;  /* the last one taken in it */
    bool named;        /* it was the one that the path names when it was opened */
    bool ending;       /* it is being read to its end for good */
    bool reported;     /* that it is written to after it was rotated */
    int64_t size;      /* rotated: how long it was when it was read last, */
    int64_t growth_ms; /* and when it was first seen with this size */
};

/* O_NONBLOCK so that a FIFO without a writer can be waited for like anything else. -1 and errno. */
int logfile_open(const char *path);

/* "PATH: why" by errno; ERR_IO. */
enum err logfile_unreadable(const char *path, struct errbuf *eb);

/* Whether any process has the file open for writing. SIGIO must be ignored. */
enum logfile_writers logfile_writers(int fd);

/* What the bytes up to f->synced cannot say: brings what was read to the disk. Costs a system call
 * only when there are new bytes. Most programs never sync their logs. */
void logfile_sync(struct logfile *f);

static inline bool
logfile_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

#endif
