/* powerloss: an LD_PRELOAD library that records what happens to the files of one directory, so that
 * a power cut at any moment can be played afterwards (powercut.c).
 *
 *   POWERLOSS_DIR  the directory, by its real path; files in it whose names end in -shm are memory
 *                  that the system shares among processes, and are left out
 *   POWERLOSS_LOG  the record, powerlog.h; outside of that directory
 *   POWERLOSS_OUT  if set, what goes out through sockets is recorded too: the answers that promise
 *
 * Nothing is really synced: what would have been is known from the record. Calls that SQLite and
 * freshet do not use on these files are not modelled; rename() is, where it would matter, an error
 * that ends the program. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/crash/powerlog.h"

enum { FDS_MAX = 65536, OUT_VECTORS = 1024 };

enum { OTHER, OURS, DIRECTORY };

static struct {
    const char *dir;
    size_t dir_length;
    int log;
    bool out;
    struct {
        uint8_t what;
        uint64_t inode;
    } fds[FDS_MAX];
} state = {.log = -1};

#define REAL(name) ((__typeof__(&name))real(#name))

static void *
real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    if (!found) {
        fprintf(stderr, "powerloss: no %s()\n", name);
        abort();
    }
    return found;
}

__attribute__((constructor)) static void
begin(void)
{
    const char *dir = getenv("POWERLOSS_DIR"), *log = getenv("POWERLOSS_LOG");

    if (!dir || !log)
        return;
    state.log = REAL(open)(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (state.log < 0) {
        perror("powerloss: POWERLOSS_LOG");
        abort();
    }
    state.dir = dir;
    state.dir_length = strlen(dir);
    state.out = getenv("POWERLOSS_OUT") != NULL;
}

static void
record_parts(enum powerlog_kind kind, uint64_t file, uint64_t offset, const struct iovec *parts,
             int n)
{
    struct powerlog head = {POWERLOG_MAGIC, kind, file, offset, 0};
    struct iovec all[OUT_VECTORS + 1] = {{&head, sizeof head}};
    ssize_t length = sizeof head;

    for (int i = 0; i < n; i++) {
        all[i + 1] = parts[i];
        head.length += parts[i].iov_len;
        length += (ssize_t)parts[i].iov_len;
    }
    if (REAL(writev)(state.log, all, n + 1) != length) {
        perror("powerloss: the record is not whole");
        abort();
    }
}

static void
record(enum powerlog_kind kind, uint64_t file, uint64_t offset, const void *payload, size_t n)
{
    record_parts(kind, file, offset, &(struct iovec){(void *)payload, n}, n ? 1 : 0);
}

/* The name of a file that is recorded, or NULL. */
static const char *
our_name(const char *path)
{
    const char *name = path + state.dir_length + 1, *end = path + strlen(path);

    if (state.log < 0 || strncmp(path, state.dir, state.dir_length) != 0 ||
        path[state.dir_length] != '/' || strchr(name, '/') ||
        (end - name >= 4 && strcmp(end - 4, "-shm") == 0))
        return NULL;
    return name;
}

static bool
is_ours(int fd)
{
    return fd >= 0 && fd < FDS_MAX && state.fds[fd].what == OURS;
}

/* ---- open, close, unlink ---- */

static int
opened(int fd, const char *path, bool existed)
{
    const char *name = our_name(path);
    struct stat st;

    if (fd < 0 || state.log < 0 || fstat(fd, &st) != 0)
        return fd;
    if (fd >= FDS_MAX) {
        fprintf(stderr, "powerloss: descriptor %d is too high\n", fd);
        abort();
    }
    if (name && S_ISREG(st.st_mode)) {
        state.fds[fd].what = OURS;
        if (!existed)
            record(POWERLOG_CREATE, st.st_ino, 0, name, strlen(name));
    } else if (strcmp(path, state.dir) == 0) {
        state.fds[fd].what = DIRECTORY;
    }
    state.fds[fd].inode = st.st_ino;
    return fd;
}

#define OPEN(function)                                                                             \
    int function(const char *path, int flags, ...)                                                 \
    {                                                                                              \
        bool existed = access(path, F_OK) == 0;                                                    \
        va_list rest;                                                                              \
        mode_t mode;                                                                               \
                                                                                                   \
        va_start(rest, flags);                                                                     \
        mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;                                         \
        va_end(rest);                                                                              \
        int fd = REAL(function)(path, flags, mode);                                                \
        if (fd >= 0 && our_name(path) && flags & O_TRUNC && existed)                               \
            abort(); /* not modelled */                                                            \
        return opened(fd, path, existed);                                                          \
    }

OPEN(open)
OPEN(open64)

int
close(int fd)
{
    if (fd >= 0 && fd < FDS_MAX)
        state.fds[fd].what = OTHER;
    return REAL(close)(fd);
}

int
unlink(const char *path)
{
    const char *name = our_name(path);
    struct stat st;
    bool regular = name && lstat(path, &st) == 0 && S_ISREG(st.st_mode);
    int status = REAL(unlink)(path);

    if (status == 0 && regular)
        record(POWERLOG_UNLINK, st.st_ino, 0, name, strlen(name));
    return status;
}

int
rename(const char *from, const char *to)
{
    if (our_name(from) || our_name(to)) {
        fprintf(stderr, "powerloss: rename() to %s is not modelled\n", to);
        abort();
    }
    return REAL(rename)(from, to);
}

/* ---- what changes a file ---- */

static ssize_t
wrote(int fd, const void *bytes, ssize_t n, off_t offset)
{
    if (n > 0 && is_ours(fd))
        record(POWERLOG_WRITE, state.fds[fd].inode, (uint64_t)offset, bytes, (size_t)n);
    return n;
}

ssize_t
pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
    return wrote(fd, bytes, REAL(pwrite)(fd, bytes, n, offset), offset);
}

ssize_t
pwrite64(int fd, const void *bytes, size_t n, off64_t offset)
{
    return wrote(fd, bytes, REAL(pwrite64)(fd, bytes, n, offset), offset);
}

static int
truncated(int fd, int status, off_t size)
{
    if (status == 0 && is_ours(fd))
        record(POWERLOG_TRUNCATE, state.fds[fd].inode, (uint64_t)size, NULL, 0);
    return status;
}

int
ftruncate(int fd, off_t size)
{
    return truncated(fd, REAL(ftruncate)(fd, size), size);
}

int
ftruncate64(int fd, off64_t size)
{
    return truncated(fd, REAL(ftruncate64)(fd, size), size);
}

static bool
synced(int fd)
{
    if (is_ours(fd))
        record(POWERLOG_SYNC, state.fds[fd].inode, 0, NULL, 0);
    else if (fd >= 0 && fd < FDS_MAX && state.fds[fd].what == DIRECTORY)
        record(POWERLOG_SYNC_DIR, 0, 0, NULL, 0);
    else
        return false;
    return true;
}

int
fsync(int fd)
{
    return synced(fd) ? 0 : REAL(fsync)(fd);
}

int
fdatasync(int fd)
{
    return synced(fd) ? 0 : REAL(fdatasync)(fd);
}

/* ---- what goes out ---- */

static bool
is_way_out(int fd)
{
    struct stat st;

    return state.out && state.log >= 0 && fd != state.log && fstat(fd, &st) == 0 &&
           S_ISSOCK(st.st_mode);
}

ssize_t
write(int fd, const void *bytes, size_t n)
{
    off_t offset = is_ours(fd) ? lseek(fd, 0, SEEK_CUR) : 0;

    if (is_way_out(fd))
        record(POWERLOG_OUT, 0, 0, bytes, n);
    return wrote(fd, bytes, REAL(write)(fd, bytes, n), offset);
}

ssize_t
writev(int fd, const struct iovec *parts, int n)
{
    if (is_ours(fd) || n > OUT_VECTORS)
        abort(); /* not modelled */
    if (is_way_out(fd))
        record_parts(POWERLOG_OUT, 0, 0, parts, n);
    return REAL(writev)(fd, parts, n);
}

ssize_t
send(int fd, const void *bytes, size_t n, int flags)
{
    if (is_way_out(fd))
        record(POWERLOG_OUT, 0, 0, bytes, n);
    return REAL(send)(fd, bytes, n, flags);
}
