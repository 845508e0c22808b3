/* Which file of a database this user may not use. SQLite says "unable to open database file" and
 * "attempt to write a readonly database" of the file, of those beside it, and of the directory. */
#include "sql/store_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ = R_OK, USE = R_OK | W_OK, ENTER = X_OK, FILL = W_OK | X_OK };

/* True: path is there, and this user may not do that with it; *what says so. */
static bool
is_barred(const char *path, int how, struct errbuf *what)
{
    const char *verb = how & W_OK ? "written" : how == ENTER ? "entered" : "read";
    struct stat st;
    int error;

    if (access(path, how) == 0 || errno == ENOENT || errno == ENOTDIR)
        return false;
    error = errno;
    if (error == EACCES && stat(path, &st) == 0)
        err_set(what, ERR_IO,
                "%s may not be %s by user %u: it has mode %04o, owner %u and group %u; several "
                "users need one group: freshet init --group",
                path, verb, (unsigned)geteuid(), (unsigned)st.st_mode & 07777, (unsigned)st.st_uid,
                (unsigned)st.st_gid);
    else
        err_set(what, ERR_IO, "%s cannot be %s: %s", path, verb, strerror(error));
    return true;
}

/* The directories on the way to it, from the root on; the last one in the end. */
static bool
is_way_barred(const char *path, int last, struct errbuf *what)
{
    char way[PATH_MAX];

    if (!strchr(path, '/'))
        return is_barred(".", last, what);
    for (const char *slash = strchr(path, '/'), *next; slash; slash = next) {
        size_t n = slash == path ? 1 : (size_t)(slash - path);

        next = strchr(slash + 1, '/');
        if (n >= sizeof way)
            return false;
        memcpy(way, path, n);
        way[n] = '\0';
        if (is_barred(way, next ? ENTER : last, what))
            return true;
    }
    return false;
}

bool
store_is_barred(const char *path, const char *wal, bool write, struct errbuf *what)
{
    char shm[PATH_MAX];
    struct stat st;

    if (is_way_barred(path, ENTER, what) || is_barred(path, write ? USE : READ, what))
        return true;
    if (!wal)
        return false;
    snprintf(shm, sizeof shm, "%.*s-shm", (int)(strlen(wal) - strlen("-wal")), wal);
    if (is_barred(wal, write ? USE : READ, what) || is_barred(shm, USE, what))
        return true;
    /* SQLite makes what is not there. */
    return (stat(wal, &st) != 0 || stat(shm, &st) != 0) && is_way_barred(wal, FILL, what);
}
