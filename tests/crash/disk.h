/* disk: the files of a recorded directory as a disk has them, with and without what was not synced.
 *
 *     open  follow*  ( cut  follow* )*
 *
 * At a cut every file holds what was written before its last sync, and of the later writes what the
 * seed says: nothing, all, the first few with the last one torn, some of them, or some of their
 * sectors of 512 bytes. A name that was made or removed since the last sync of the directory is
 * there or not; such changes reach the disk in their order. A number of a file (inode) that is
 * given again is another file. Fails by ending the program: this is a test. */
#ifndef TESTS_CRASH_DISK_H
#define TESTS_CRASH_DISK_H

#include <stddef.h>
#include <stdint.h>

#include "tests/crash/powerlog.h"

struct image {
    char *bytes;
    size_t size, room;
};

struct disk_setup {
    const char *scratch;  /* the directory that cuts write to */
    const char *in_place; /* this file is written where it is, so that it keeps its inode */
    const char *ignored;  /* syncs of the file with this name do nothing; "all"; "" */
    uint64_t seed;
};

struct disk_figures {
    long unsynced, torn; /* times a file had writes after its last sync; had one cut to pieces */
    uint64_t dropped_bytes;
};
extern struct disk_figures disk_figures;
extern struct image disk_in_place; /* what the last cut left of that file */

void disk_open(const struct disk_setup *with);
void disk_follow(const struct powerlog *r);
/* The name of the file that the record is about; "" when it has none. */
const char *disk_name(const struct powerlog *r);
/* Writes what would be left. */
void disk_cut(void);
void disk_put(const char *path, const struct image *m);

uint64_t disk_random(uint64_t below);
void *disk_grown(void *p, size_t size);
void disk_die(const char *what) __attribute__((noreturn));

static inline const char *
powerlog_payload(const struct powerlog *r)
{
    return (const char *)(r + 1);
}

#endif
