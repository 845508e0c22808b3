/* disk: a VFS of SQLite that counts what is asked of the disk, and fails from the n-th call on. */
#ifndef TESTS_UNIT_DISK_H
#define TESTS_UNIT_DISK_H

#include <stdbool.h>

extern struct disk {
    long countdown; /* 0 = nothing fails */
    bool for_good;  /* the calls after that one fail too */
    bool full;      /* only what needs room fails, and says that there is none */
    bool fired;
    long calls;
} disk;

/* From now on every connection of this process goes through it. */
void disk_hook(void);

#endif
