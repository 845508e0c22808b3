/* rotation: the files that one log is spread over, in the order they were written.
 *
 * Known by their names, as logrotate and its like give them: FILE.3, FILE.2, FILE.1, FILE (a
 * count: higher is older) and FILE-20260102, FILE.2026-01-03, FILE (a date: lower is older). Other
 * names, and compressed files, are no part of it. */
#ifndef INGEST_ROTATION_H
#define INGEST_ROTATION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct rotation {
    char **paths; /* oldest first; the last one is FILE, whether it exists or not */
    size_t n;
};

/* Looks the directory of path up. ERR_OK also when it cannot be read: then there is FILE alone. */
enum err rotation_list(struct rotation *r, const char *path, struct errbuf *eb);
void rotation_finish(struct rotation *r);

/* What stands behind FILE in a name of the log: ".1", "-20260102". */
bool rotation_is_suffix(const char *suffix);
/* Order of two such suffixes, as strcmp: negative when a is older. */
int rotation_compare(const char *a, const char *b);

#endif
