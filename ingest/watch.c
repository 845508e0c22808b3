#include "ingest/watch.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

void
watch_open(struct watch *w, const char *path)
{
    const char *slash = strrchr(path, '/');
    char directory[PATH_MAX];

    *w = (struct watch){.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), .file = -1};
    if (w->fd < 0)
        return;
    snprintf(directory, sizeof directory, "%.*s", slash ? (int)(slash - path) + 1 : 1,
             slash ? path : ".");
    inotify_add_watch(w->fd, directory, IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE);
}

void
watch_close(struct watch *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = w->file = -1;
}

/* By way of /proc the watch is on the file itself, whatever its name is by now. */
void
watch_file(struct watch *w, int fd)
{
    char name[64];

    if (w->fd < 0)
        return;
    if (w->file >= 0)
        inotify_rm_watch(w->fd, w->file);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    w->file = inotify_add_watch(w->fd, name, IN_MODIFY | IN_ATTRIB);
}

int
watch_fd(const struct watch *w)
{
    return w->fd;
}

void
watch_clear(struct watch *w)
{
    char events[4096] __attribute__((aligned(8)));

    while (w->fd >= 0 && read(w->fd, events, sizeof events) > 0)
        ;
}
