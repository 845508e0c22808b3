/* powerlog: what the recorder (powerloss.c) writes and the judge (powercut.c) reads.
 *
 * A log is records behind each other, in the order in which the calls came back: each is appended
 * by one writev() to a file opened with O_APPEND before the call returns to the program, so that
 * what follows from a call stands behind it, in whatever process. */
#ifndef TESTS_CRASH_POWERLOG_H
#define TESTS_CRASH_POWERLOG_H

#include <stdint.h>

enum { POWERLOG_MAGIC = 0x706c6f67 };

enum powerlog_kind {
    POWERLOG_CREATE = 'C',   /* payload: its name in the directory */
    POWERLOG_WRITE = 'W',    /* payload: what was written at `offset` */
    POWERLOG_TRUNCATE = 'T', /* to `offset` bytes */
    POWERLOG_SYNC = 'S',     /* fsync() or fdatasync() */
    POWERLOG_UNLINK = 'U',   /* payload: the name */
    POWERLOG_SYNC_DIR = 'D', /* fsync() of the directory */
    POWERLOG_OUT = 'O',      /* payload: what goes out through a socket; before it goes */
    POWERLOG_MARK = 'M',     /* payload: a remark of the script that runs the programs */
};

struct powerlog {
    uint32_t magic;
    uint32_t kind;
    uint64_t file;   /* inode */
    uint64_t offset; /* bytes */
    uint64_t length; /* bytes of payload that follow */
};

#endif
