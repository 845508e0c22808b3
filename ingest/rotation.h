/* rotation: the files that one log is spread over, in the order they were written, by their names.
 *
 * Known as logrotate, container runtimes and logging libraries name them: a count (higher is older)
 * or a date (lower is older), behind the name or before its extension:
 *
 *     log.2  log.1  log                     log-20260101  log-20260102_0400  log.2026-01-03  log
 *     app.1.log  app.log                    0.log.20260102-150405  0.log
 *     app-20260101.log  app.log             app-2026-01-02T15-04-05.000.log  app.log
 *
 * Compressed ones are listed too, to say that they are missed. */
#ifndef INGEST_ROTATION_H
#define INGEST_ROTATION_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/text.h"

struct rotated {
    char *path;
    bool packed; /* compressed: cannot be read */
    size_t suffix_at, suffix_n;
};

struct rotation {
    struct rotated *files; /* oldest first; the last one is FILE, whether it exists or not */
    size_t n;
};

/* Looks up the directory of path and, when it is a symbolic link, that of the file that it leads
 * to; `path` is the last file. What cannot be read holds nothing. */
enum err rotation_list(struct rotation *r, const char *path, struct errbuf *eb);
void rotation_finish(struct rotation *r);

/* What of `name`, a name in the same directory, makes it a part of the log FILE: ".1", "-20260101";
 * TEXT_NONE = it is not a part. *packed as above. */
struct text rotation_suffix(struct text file, struct text name, bool *packed);
/* Order of two such suffixes, as strcmp: negative when a is older. */
int rotation_compare(struct text a, struct text b);

/* "log.1" → "log", "app-20260101.log" → "app.log": the name that a rotated file had, as far as that
 * can be told, into to[size]; false when the name is not that of a rotated file. */
bool rotation_original(const char *path, char *to, size_t size);

/* Where a symbolic link leads to, also when nothing is there; false when path is not a link. */
bool rotation_target(const char *path, char real[PATH_MAX]);

/* True when `other` is one of the files of the log `path`, or would be. */
bool rotation_has(const char *path, const char *other);

#endif
