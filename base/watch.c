#include "base/watch.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

void
watch_open(struct watch *w)
{
    w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
}

void
watch_close(struct watch *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

int
watch_directory(struct watch *w, const char *directory, enum watch_kind kind)
{
    uint32_t names = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE;

    return w->fd < 0 ? -1
                     : inotify_add_watch(w->fd, directory, kind == WATCH_NAMES ? names : IN_MODIFY);
}

int
watch_beside(struct watch *w, const char *path, enum watch_kind kind)
{
    const char *slash = strrchr(path, '/');
    char directory[PATH_MAX];

    snprintf(directory, sizeof directory, "%.*s", slash ? (int)(slash - path) + 1 : 1,
             slash ? path : ".");
    return watch_directory(w, directory, kind);
}

/* By way of /proc the watch is on the file itself, whatever its name is by now. */
int
watch_file(struct watch *w, int fd)
{
    char name[64];

    if (w->fd < 0)
        return -1;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    return inotify_add_watch(w->fd, name, IN_MODIFY | IN_ATTRIB);
}

void
watch_drop(struct watch *w, int number)
{
    if (w->fd >= 0 && number >= 0)
        inotify_rm_watch(w->fd, number);
}

int
watch_fd(const struct watch *w)
{
    return w->fd;
}

bool
watch_clear(struct watch *w, const char *name)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool found = false;
    ssize_t n;

    while (w->fd >= 0 && (n = read(w->fd, events, sizeof events)) > 0) {
        for (char *at = events; at < events + n;) {
            const struct inotify_event *e = (const void *)at;

            found = found || !name || e->mask & IN_Q_OVERFLOW ||
                    (e->len > 0 && strcmp(e->name, name) == 0);
            at += sizeof *e + e->len;
        }
    }
    return found;
}
