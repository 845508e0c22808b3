/* trail: finds the files of a log: the one that a mark was taken in, and the one that was written
 * after an open one. */
#ifndef INGEST_TRAIL_H
#define INGEST_TRAIL_H

#include <limits.h>
#include <stdbool.h>

#include "base/err.h"
#include "ingest/mark.h"

enum trail_how {
    TRAIL_NOWHERE,
    TRAIL_FILE, /* the very file, whatever its name is by now */
    TRAIL_COPY, /* another one that has the same bytes before the mark */
};

/* Looks among the files of the log by name, then through the whole directory of the log, and of the
 * file that a symbolic link leads to, then for a copy. copy: for a copy only. *fd is open unless
 * *how is TRAIL_NOWHERE. ERR_IO: the file is there and cannot be read; taken for another one, it
 * would be read from its beginning a second time. */
enum err trail_find(const char *path, const struct mark *m, bool copy, int *fd, enum trail_how *how,
                    struct errbuf *eb);

/* The file after the open one in the rotation of the log `path`: *found, and its name in next. *gap
 * says what is, or may be, missing between the two; "" = nothing. ERR_IO: whether there is one
 * cannot be seen. */
enum err trail_next(const char *path, int fd, bool *found, char next[PATH_MAX], struct errbuf *gap,
                    struct errbuf *eb);

#endif
