#include "admin/share.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

enum { DIRECTORY_MODE = 02770, FILE_MODE = 0660 };

static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};

enum err
share_group(const char *name, gid_t *group, struct errbuf *eb)
{
    const struct group *found;
    long long number;

    errno = 0;
    found = getgrnam(name);
    if (found)
        *group = found->gr_gid;
    else if (text_to_int64(text_of(name), &number) && number >= 0 && number < UINT32_MAX)
        *group = (gid_t)number;
    else
        return err_set(eb, ERR_MISSING,
                       "--group %s: there is no such group; create it with: groupadd --system %s",
                       name, name);
    return ERR_OK;
}

/* ---- the directory ---- */

/* path up to its last slash; the root and the working directory have names too. */
static enum err
directory_of(const char *path, char directory[PATH_MAX], struct errbuf *eb)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;

    if (n + 2 > PATH_MAX)
        return err_set(eb, ERR_INVALID, "%s: the path is too long", path);
    memcpy(directory, path, n);
    directory[n] = '\0';
    if (n == 0)
        strcpy(directory, slash ? "/" : ".");
    return ERR_OK;
}

static bool
is_right(const struct stat *st, gid_t group)
{
    return st->st_gid == group && (st->st_mode & (S_ISGID | S_IRWXG)) == (S_ISGID | S_IRWXG);
}

static bool
is_of_database(const char *name, const char *db_name)
{
    size_t n = strlen(db_name);

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return true;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (strncmp(name, db_name, n) == 0 && strcmp(name + n, suffixes[i]) == 0)
            return true;
    return false;
}

/* Whether there is anything else in it; yes when it cannot be read. */
static bool
has_others(const char *directory, const char *db_name)
{
    DIR *d = opendir(directory);
    const struct dirent *entry;
    bool others = !d;

    while (d && !others && (entry = readdir(d)))
        others = !is_of_database(entry->d_name, db_name);
    if (d)
        closedir(d);
    return others;
}

/* /srv and /mnt are empty on many machines, and root's: somebody has other plans for them. */
static bool
is_for_database_alone(const char *directory, const char *db, const struct stat *st)
{
    const char *slash = strrchr(db, '/');
    bool mine = st->st_uid == geteuid() || geteuid() == 0;
    bool of_system = st->st_uid == 0 && access(db, F_OK) != 0;
    char real[PATH_MAX];

    if (!mine || of_system || st->st_mode & S_ISVTX ||
        has_others(directory, slash ? slash + 1 : db))
        return false;
    return realpath(directory, real) && strrchr(real, '/') != real;
}

/* errno says why. */
static enum err
not_given(const char *path, gid_t group, struct errbuf *eb)
{
    return err_set(eb, ERR_IO,
                   "%s: cannot be given to group %u: %s; its owner, as a member of the "
                   "group, or root can do that",
                   path, (unsigned)group, strerror(errno));
}

static enum err
change_directory(const char *directory, gid_t group, struct errbuf *eb)
{
    if (chown(directory, (uid_t)-1, group) == 0 && chmod(directory, DIRECTORY_MODE) == 0)
        return ERR_OK;
    return not_given(directory, group, eb);
}

enum err
share_directory(const char *db, gid_t group, struct errbuf *eb)
{
    char directory[PATH_MAX], real[PATH_MAX];
    struct stat st;
    enum err err;

    if (realpath(db, real)) /* SQLite follows links, and makes its files beside the last one */
        db = real;
    err = directory_of(db, directory, eb);
    if (err != ERR_OK)
        return err;
    if (mkdir(directory, 0700) == 0) {
        err = change_directory(directory, group, eb);
        if (err != ERR_OK)
            rmdir(directory);
        return err;
    }
    if (errno != EEXIST)
        return err_set(eb, ERR_IO, "%s: cannot be created: %s", directory, strerror(errno));
    if (stat(directory, &st) != 0)
        return err_set(eb, ERR_IO, "%s: %s", directory, strerror(errno));
    if (is_right(&st, group))
        return ERR_OK;
    if (is_for_database_alone(directory, db, &st))
        return change_directory(directory, group, eb);
    return err_set(
        eb, ERR_DENIED,
        "%s: is left as it is, because other files may depend on it; name a new directory, "
        "which is then created, or run: chgrp %u %s && chmod 2770 %s",
        directory, (unsigned)group, directory, directory);
}

/* ---- the files ---- */

static enum err
share_file(const char *path, gid_t group, struct errbuf *eb)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    bool done;
    int error;

    if (fd < 0 && errno == ENOENT)
        return ERR_OK;
    done = fd >= 0 && fstat(fd, &st) == 0;
    if (done && (st.st_gid != group || (st.st_mode & 07777) != FILE_MODE))
        done = fchown(fd, (uid_t)-1, group) == 0 && fchmod(fd, FILE_MODE) == 0;
    error = errno;
    if (fd >= 0)
        close(fd);
    if (done)
        return ERR_OK;
    errno = error;
    return not_given(path, group, eb);
}

enum err
share_files(const char *db, gid_t group, struct errbuf *eb)
{
    char real[PATH_MAX], path[PATH_MAX + 16];
    enum err err = ERR_OK;

    if (!realpath(db, real))
        return err_set(eb, ERR_IO, "%s: %s", db, strerror(errno));
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes && err == ERR_OK; i++) {
        snprintf(path, sizeof path, "%s%s", real, suffixes[i]);
        err = share_file(path, group, eb);
    }
    return err;
}
