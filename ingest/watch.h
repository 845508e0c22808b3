/* watch: being woken when a file that is followed changes, or another takes its name.
 *
 * A hint to look, never a proof, and it may be missing (no inotify, a network file system): the
 * caller looks every WATCH_POLL_MS anyway. */
#ifndef INGEST_WATCH_H
#define INGEST_WATCH_H

#include "base/err.h"

enum { WATCH_POLL_MS = 250 };

struct watch {
    /* private */
    int fd, file;
};

/* For the directory that `path` is in; without inotify the watch stays mute. */
void watch_open(struct watch *w, const char *path);
void watch_close(struct watch *w);

/* This open file from now on, instead of the one before. */
void watch_file(struct watch *w, int fd);

/* Readable after a change; for poll(2). -1 = mute. */
int watch_fd(const struct watch *w);
/* Makes it unreadable: the caller is about to look. */
void watch_clear(struct watch *w);

#endif
