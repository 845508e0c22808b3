/* shim: system calls that fail when a test wants it. For LD_PRELOAD.
 *
 * The file that FAULTS names has one rule a line and may change at any time:
 *
 *   CALL PATH ERRNO [SKIP [COUNT]]     read, write, sync, truncate, open, accept or send; PATH is a
 * part of the name of the file ("socket:" for sockets); the first SKIP calls that match go through,
 * then COUNT fail (default: all) clock - SECONDS                    the time of day is so much
 * later (or, negative, earlier); what is monotonic stays
 *
 * Counting starts again when the file changes. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { RULES_MAX = 16 };

static struct rule {
    char call[16], path[128];
    int error;
    long skip, count;
} rules[RULES_MAX];
static int n_rules;
static long clock_shift_s;
static struct timespec loaded;
static off_t loaded_size = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *
real(const char *name)
{
    void *symbol = dlsym(RTLD_NEXT, name);

    if (!symbol)
        abort();
    return symbol;
}

static int
error_of(const char *name)
{
    static const struct {
        const char *name;
        int error;
    } errors[] = {{"EINTR", EINTR},   {"EAGAIN", EAGAIN}, {"EMFILE", EMFILE},  {"ENFILE", ENFILE},
                  {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EIO", EIO},        {"EROFS", EROFS},
                  {"EACCES", EACCES}, {"ENOMEM", ENOMEM}, {"ENOBUFS", ENOBUFS}};

    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (strcmp(errors[i].name, name) == 0)
            return errors[i].error;
    fprintf(stderr, "shim: there is no error \"%s\"\n", name);
    abort();
}

static void
load(const char *file)
{
    char line[256], error[32];
    FILE *f = fopen(file, "re");

    n_rules = 0;
    clock_shift_s = 0;
    while (f && fgets(line, sizeof line, f) && n_rules < RULES_MAX) {
        struct rule *r = &rules[n_rules];

        *r = (struct rule){.count = -1};
        if (sscanf(line, "%15s %127s %31s %ld %ld", r->call, r->path, error, &r->skip, &r->count) <
            3)
            continue;
        if (strcmp(r->call, "clock") == 0) {
            clock_shift_s = atol(error);
        } else {
            r->error = error_of(error);
            n_rules++;
        }
    }
    if (f)
        fclose(f);
}

/* The lock is held. */
static void
refresh(void)
{
    const char *file = getenv("FAULTS");
    struct stat st;

    if (!file || stat(file, &st) != 0)
        return;
    if (st.st_size == loaded_size && st.st_mtim.tv_sec == loaded.tv_sec &&
        st.st_mtim.tv_nsec == loaded.tv_nsec)
        return;
    loaded = st.st_mtim;
    loaded_size = st.st_size;
    load(file);
}

static __thread bool inside;

/* True, with errno set, when this call must fail. */
static bool
fails(const char *call, const char *path)
{
    bool failed = false;

    if (inside)
        return false;
    inside = true;
    pthread_mutex_lock(&lock);
    refresh();
    for (int i = 0; i < n_rules && !failed; i++) {
        struct rule *r = &rules[i];

        if (strcmp(r->call, call) != 0 || !strstr(path, r->path))
            continue;
        if (r->skip > 0) {
            r->skip--;
        } else if (r->count != 0) {
            r->count -= r->count > 0;
            errno = r->error;
            failed = true;
        }
    }
    pthread_mutex_unlock(&lock);
    inside = false;
    return failed;
}

static bool
fails_fd(const char *call, int fd)
{
    char link[40], path[512];
    ssize_t n;

    if (inside)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    path[n < 0 ? 0 : n] = '\0';
    return fails(call, path);
}

#define WRAP(kind, type, name, parameters, arguments)                                              \
    type name parameters;                                                                          \
    type name parameters                                                                           \
    {                                                                                              \
        return fails_fd(kind, fd) ? -1 : REAL(name) arguments;                                     \
    }

WRAP("read", ssize_t, read, (int fd, void *p, size_t n), (fd, p, n))
WRAP("read", ssize_t, pread, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))
WRAP("read", ssize_t, pread64, (int fd, void *p, size_t n, off64_t at), (fd, p, n, at))
WRAP("write", ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
WRAP("write", ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
WRAP("write", ssize_t, pwrite64, (int fd, const void *p, size_t n, off64_t at), (fd, p, n, at))
WRAP("write", int, fallocate, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n))
WRAP("send", ssize_t, writev, (int fd, const struct iovec *p, int n), (fd, p, n))
WRAP("sync", int, fsync, (int fd), (fd))
WRAP("sync", int, fdatasync, (int fd), (fd))
WRAP("truncate", int, ftruncate, (int fd, off_t n), (fd, n))
WRAP("truncate", int, ftruncate64, (int fd, off64_t n), (fd, n))
WRAP("accept", int, accept4, (int fd, struct sockaddr *a, socklen_t *n, int flags),
     (fd, a, n, flags))

#define WRAP_OPEN(name)                                                                            \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list rest;                                                                              \
        mode_t mode;                                                                               \
                                                                                                   \
        va_start(rest, flags);                                                                     \
        mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                           \
        va_end(rest);                                                                              \
        return fails("open", path) ? -1 : REAL(name)(path, flags, mode);                           \
    }

WRAP_OPEN(open)
WRAP_OPEN(open64)

/* ---- the clock ---- */

static long
shift_s(void)
{
    long shift;

    if (inside)
        return 0;
    inside = true;
    pthread_mutex_lock(&lock);
    refresh();
    shift = clock_shift_s;
    pthread_mutex_unlock(&lock);
    inside = false;
    return shift;
}

int
clock_gettime(clockid_t which, struct timespec *t)
{
    int result = REAL(clock_gettime)(which, t);

    if (result == 0 && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
        t->tv_sec += shift_s();
    return result;
}

int
gettimeofday(struct timeval *t, void *zone)
{
    int result = REAL(gettimeofday)(t, zone);

    if (result == 0)
        t->tv_sec += shift_s();
    return result;
}

time_t
time(time_t *at)
{
    time_t now = REAL(time)(NULL) + shift_s();

    if (at)
        *at = now;
    return now;
}
