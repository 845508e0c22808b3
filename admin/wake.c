#include "admin/wake.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/stop.h"

enum err
wake_open(struct wake *w, const char *wal, struct errbuf *eb)
{
    const char *slash = strrchr(wal, '/');

    *w = (struct wake){.watch = {-1}, .wal = mem_copy(text_of(slash ? slash + 1 : wal))};
    if (!w->wal)
        return err_nomem(eb);
    watch_open(&w->watch);
    watch_beside(&w->watch, wal, WATCH_WRITES);
    return stop_install(eb);
}

void
wake_close(struct wake *w)
{
    watch_close(&w->watch);
    mem_free(w->wal);
    w->wal = NULL;
}

enum wake_reason
wake_wait(struct wake *w, int wait_ms)
{
    /* Of standard output only its end is awaited: POLLERR is reported unasked. */
    struct pollfd p[] = {
        {stop_fd(), POLLIN, 0}, {STDOUT_FILENO, 0, 0}, {watch_fd(&w->watch), POLLIN, 0}};

    if (poll(p, 3, wait_ms) < 0)
        return stop_asked() ? WAKE_STOP : WAKE_TIME;
    if (p[0].revents || p[1].revents & (POLLERR | POLLHUP))
        return WAKE_STOP;
    if (p[2].revents && watch_clear(&w->watch, w->wal))
        return WAKE_CHANGE;
    return WAKE_TIME;
}
