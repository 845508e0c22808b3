#include "fcgi/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"

enum {
    BACKLOG = 4096,      /* a herd that returns; the kernel caps it at net.core.somaxconn */
    LISTEN_FDS_START = 3 /* SD_LISTEN_FDS_START */
};

/* True when somebody accepts connections there. */
static bool
is_in_use(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool in_use = fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
                              errno == EAGAIN);

    if (fd >= 0)
        close(fd);
    return in_use;
}

static enum err
remove_stale(const struct sockaddr_un *address, struct errbuf *eb)
{
    struct stat st;

    if (lstat(address->sun_path, &st) < 0)
        return ERR_OK; /* nothing there; bind reports what else may be wrong */
    if (!S_ISSOCK(st.st_mode))
        return err_set(eb, ERR_IO, "--listen unix:%s: there is a file that is not a socket",
                       address->sun_path);
    if (is_in_use(address))
        return err_set(eb, ERR_BUSY, "--listen unix:%s: another program listens there",
                       address->sun_path);
    if (unlink(address->sun_path) < 0)
        return err_set(eb, ERR_IO, "--listen unix:%s: cannot remove the stale socket: %s",
                       address->sun_path, strerror(errno));
    return ERR_OK;
}

static enum err
listen_unix(const char *path, const char *mode, int *fd, struct errbuf *eb)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char *end;
    unsigned long bits = strtoul(mode, &end, 8);
    mode_t before;
    int failed;
    enum err err;

    if (*mode == '\0' || *end != '\0' || bits > 0777)
        return err_set(eb, ERR_INVALID, "--socket-mode: \"%s\" is not an octal mode such as 0660",
                       mode);
    if (strlen(path) == 0 || strlen(path) >= sizeof address.sun_path)
        return err_set(eb, ERR_INVALID, "--listen unix:%s: the path must have 1 to %zu bytes", path,
                       sizeof address.sun_path - 1);
    strcpy(address.sun_path, path);
    err = remove_stale(&address, eb);
    if (err != ERR_OK)
        return err;
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    before = umask((mode_t)(~bits & 0777));
    failed = *fd < 0 || bind(*fd, (struct sockaddr *)&address, sizeof address) < 0 ||
             listen(*fd, BACKLOG) < 0;
    umask(before);
    if (failed) {
        err = err_set(eb, ERR_IO, "--listen unix:%s: %s", path, strerror(errno));
        if (*fd >= 0)
            close(*fd);
    }
    return err;
}

static int
open_tcp(const struct addrinfo *a)
{
    int one = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    close(fd);
    return -1;
}

static enum err
listen_tcp(const char *host_port, int *fd, struct errbuf *eb)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    const char *colon = strrchr(host_port, ':');
    const char *name = host_port;
    char host[256];
    size_t n = colon ? (size_t)(colon - host_port) : 0;
    int failed;
    enum err err = ERR_OK;

    if (!colon || colon[1] == '\0' || n >= sizeof host)
        return err_set(eb, ERR_INVALID, "--listen tcp:%s: expected tcp:HOST:PORT", host_port);
    if (n >= 2 && host_port[0] == '[' && host_port[n - 1] == ']') { /* [::1]:9000 */
        name++;
        n -= 2;
    }
    memcpy(host, name, n);
    host[n] = '\0';
    failed = getaddrinfo(n ? host : NULL, colon + 1, &hints, &found);
    if (failed)
        return err_set(eb, ERR_INVALID, "--listen tcp:%s: %s", host_port, gai_strerror(failed));
    *fd = -1;
    for (const struct addrinfo *a = found; a && *fd < 0; a = a->ai_next)
        *fd = open_tcp(a);
    if (*fd < 0)
        err = err_set(eb, errno == EADDRINUSE ? ERR_BUSY : ERR_IO, "--listen tcp:%s: %s", host_port,
                      strerror(errno));
    freeaddrinfo(found);
    return err;
}

static bool
is_listening(int fd)
{
    int listening = 0;
    socklen_t size = sizeof listening;

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening;
}

static enum err
inherit(int first, int count, int *sockets, int room, int *n, struct errbuf *eb)
{
    if (count > room)
        return err_set(eb, ERR_INVALID, "%d sockets were passed; at most %d can be served", count,
                       room);
    for (int fd = first; fd < first + count; fd++) {
        if (!is_listening(fd))
            return err_set(eb, ERR_INVALID,
                           "descriptor %d, which was passed, is not a listening "
                           "stream socket",
                           fd);
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        sockets[(*n)++] = fd;
    }
    return ERR_OK;
}

/* How many sockets systemd passed to this very process. */
static int
systemd_count(void)
{
    struct text pid = text_of(getenv("LISTEN_PID")), count = text_of(getenv("LISTEN_FDS"));
    long long for_whom, n;

    if (!text_to_int64(pid, &for_whom) || for_whom != getpid() || !text_to_int64(count, &n))
        return 0;
    return n < INT_MAX ? (int)n : INT_MAX;
}

enum err
listen_sockets(const char *address, const char *socket_mode, int *sockets, int room, int *n,
               struct errbuf *eb)
{
    enum err err;

    *n = 0;
    if (!address && systemd_count() > 0)
        return inherit(LISTEN_FDS_START, systemd_count(), sockets, room, n, eb);
    if (!address && is_listening(STDIN_FILENO))
        return inherit(STDIN_FILENO, 1, sockets, room, n, eb);
    if (!address)
        return ERR_OK;
    if (strncmp(address, "unix:", 5) == 0)
        err = listen_unix(address + 5, socket_mode, &sockets[0], eb);
    else if (strncmp(address, "tcp:", 4) == 0)
        err = listen_tcp(address + 4, &sockets[0], eb);
    else
        err = err_set(eb, ERR_INVALID, "--listen \"%s\": expected unix:PATH or tcp:HOST:PORT",
                      address);
    *n = err == ERR_OK ? 1 : 0;
    return err;
}

int
listen_file(const char *address)
{
    if (!address || strncmp(address, "unix:", 5) != 0)
        return -1;
    return open(address + 5, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

void
listen_cleanup(const char *address, int file)
{
    struct stat ours, there;

    if (file < 0)
        return;
    if (fstat(file, &ours) == 0 && lstat(address + 5, &there) == 0 && ours.st_dev == there.st_dev &&
        ours.st_ino == there.st_ino)
        unlink(address + 5);
    close(file);
}
