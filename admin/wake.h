/* wake: what ends the waiting of a program that follows the table: a write to the WAL by any
 * process, a signal to stop, the end of the program that reads standard output, or the time.
 *
 * A write to the WAL comes just before its commit is visible, with an fsync in between: after
 * WAKE_CHANGE the caller looks, and looks again soon when there was nothing. It is a hint that may
 * be missing (a network file system), so the caller looks every now and then anyway. */
#ifndef ADMIN_WAKE_H
#define ADMIN_WAKE_H

#include "base/err.h"
#include "base/watch.h"

enum wake_reason { WAKE_TIME, WAKE_CHANGE, WAKE_STOP };

struct wake {
    /* private */
    struct watch watch;
    char *wal; /* the name of the file in its directory */
};

/* wal: as store_wal_path() says. Installs the signals (stop.h) too. */
enum err wake_open(struct wake *w, const char *wal, struct errbuf *eb);
void wake_close(struct wake *w);

enum wake_reason wake_wait(struct wake *w, int wait_ms);

#endif
