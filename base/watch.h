/* watch: wake-ups when a file is written to, or when the names in a directory change.
 *
 *     open  ( directory | file | drop )*  ( poll(2) on watch_fd(), then clear )*  close
 *
 * A hint to look, never a proof, and it may be missing (no inotify, its limits reached, a network
 * file system): the caller looks every now and then anyway. No call fails; without inotify the
 * watch stays mute. */
#ifndef BASE_WATCH_H
#define BASE_WATCH_H

#include <stdbool.h>

struct watch {
    /* private */
    int fd; /* -1 = mute */
};

enum watch_kind {
    WATCH_NAMES,  /* files appear, vanish or are renamed */
    WATCH_WRITES, /* files in the directory are written to */
};

void watch_open(struct watch *w);
void watch_close(struct watch *w);

/* Each returns a number for watch_drop(), -1 = it is not watched. The same directory or file again
 * gives the same number. */
int watch_directory(struct watch *w, const char *directory, enum watch_kind kind);
/* The directory that this file is in, or would be. */
int watch_beside(struct watch *w, const char *path, enum watch_kind kind);
/* An open file, whatever its name is or becomes. */
int watch_file(struct watch *w, int fd);
void watch_drop(struct watch *w, int number); /* -1 is allowed */

/* Readable after a change; -1 = mute. */
int watch_fd(const struct watch *w);
/* Makes it unreadable: the caller is about to look. True when something has happened to a file of
 * this name in a watched directory, or changes were lost; name NULL = anything at all. */
bool watch_clear(struct watch *w, const char *name);

#endif
