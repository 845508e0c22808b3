#include "admin/wake.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/stop.h"

enum err
wake_open(struct wake *w, const char *db, struct errbuf *eb)
{
    char real[PATH_MAX], wal[NAME_MAX + 8];
    char *slash = NULL;

    *w = (struct wake){.fd = -1};
    if (realpath(db, real)) /* SQLite too puts the WAL beside the file that a link leads to */
        slash = strrchr(real, '/');
    if (slash) {
        snprintf(wal, sizeof wal, "%s-wal", slash + 1);
        w->wal = mem_copy(text_of(wal));
        if (!w->wal)
            return err_set(eb, ERR_NOMEM, "out of memory");
        slash[slash == real] = '\0';
        w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (w->fd >= 0)
            inotify_add_watch(w->fd, real, IN_MODIFY);
    }
    return stop_install(eb);
}

void
wake_close(struct wake *w)
{
    if (w->fd >= 0)
        close(w->fd);
    mem_free(w->wal);
    *w = (struct wake){.fd = -1};
}

/* Reads all that is there; true when the WAL is among it. */
static bool
wal_changed(struct wake *w)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool changed = false;
    ssize_t n;

    while ((n = read(w->fd, events, sizeof events)) > 0) {
        for (char *at = events; at < events + n;) {
            const struct inotify_event *e = (const void *)at;

            changed =
                changed || e->mask & IN_Q_OVERFLOW || (e->len > 0 && strcmp(e->name, w->wal) == 0);
            at += sizeof *e + e->len;
        }
    }
    return changed;
}

enum wake_reason
wake_wait(struct wake *w, int wait_ms)
{
    /* Of standard output only its end is awaited: POLLERR is told unasked. */
    struct pollfd p[] = {{stop_fd(), POLLIN, 0}, {STDOUT_FILENO, 0, 0}, {w->fd, POLLIN, 0}};

    if (poll(p, 3, wait_ms) < 0)
        return stop_asked() ? WAKE_STOP : WAKE_TIME;
    if (p[0].revents || p[1].revents & (POLLERR | POLLHUP))
        return WAKE_STOP;
    if (p[2].revents && wal_changed(w))
        return WAKE_CHANGE;
    return WAKE_TIME;
}
