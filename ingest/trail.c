#include "ingest/trail.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ingest/logfile.h"
#include "ingest/rotation.h"

/* Opens the file at path when the mark is one in it. A copy must have bytes by which it is known.
 */
static enum err
try_file(const char *path, const struct mark *m, bool copy, int *found, struct errbuf *eb)
{
    bool fits = false;
    struct stat st;
    int fd;

    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) ||
        (copy ? m->offset == 0 || st.st_size < m->offset : !mark_same_file(m, &st)))
        return ERR_OK;
    fd = logfile_open(path);
    if (fd < 0)
        return errno == ENOENT ? ERR_OK : logfile_unreadable(path, eb);
    if (fstat(fd, &st) != 0 ||
        ((copy || mark_same_file(m, &st)) && mark_fits(m, fd, &fits) != ERR_OK)) {
        enum err err = logfile_unreadable(path, eb);

        close(fd);
        return err;
    }
    if (fits)
        *found = fd;
    else
        close(fd);
    return ERR_OK;
}

/* Newest first: of two copies the later one has more. */
static enum err
try_names(const struct rotation *files, const struct mark *m, bool copy, int *found,
          struct errbuf *eb)
{
    enum err err = ERR_OK;

    for (size_t i = files->n; err == ERR_OK && i-- > 0 && *found < 0;)
        if (!files->files[i].packed)
            err = try_file(files->files[i].path, m, copy, found, eb);
    return err;
}

/* Every file of the directory that `path` is in. */
static enum err
try_directory(const char *path, const struct mark *m, int *found, struct errbuf *eb)
{
    const char *slash = strrchr(path, '/');
    char name[PATH_MAX];
    int n = slash ? (int)(slash - path) + 1 : 0;
    struct dirent *entry;
    enum err err = ERR_OK;
    DIR *dir;

    snprintf(name, sizeof name, "%.*s", n ? n : 1, n ? path : ".");
    dir = opendir(name);
    while (err == ERR_OK && dir && *found < 0 && (entry = readdir(dir)) != NULL)
        if (entry->d_type != DT_DIR &&
            snprintf(name, sizeof name, "%.*s%s", n, path, entry->d_name) < PATH_MAX)
            err = try_file(name, m, false, found, eb);
    if (dir)
        closedir(dir);
    return err;
}

/* Under names that no rotation is known by only a file with something in it is known again: an
 * inode alone may have been given to another one. */
static enum err
try_directories(const char *path, const struct mark *m, int *found, struct errbuf *eb)
{
    char real[PATH_MAX];
    enum err err = m->offset > 0 ? try_directory(path, m, found, eb) : ERR_OK;

    if (err == ERR_OK && m->offset > 0 && *found < 0 && rotation_target(path, real))
        err = try_directory(real, m, found, eb);
    return err;
}

enum err
trail_find(const char *path, const struct mark *m, bool copy, int *fd, enum trail_how *how,
           struct errbuf *eb)
{
    struct rotation files;
    enum err err = rotation_list(&files, path, eb);

    *fd = -1;
    *how = TRAIL_NOWHERE;
    if (err == ERR_OK && !copy)
        err = try_names(&files, m, false, fd, eb);
    if (err == ERR_OK && !copy && *fd < 0)
        err = try_directories(path, m, fd, eb);
    if (*fd >= 0)
        *how = TRAIL_FILE;
    if (err == ERR_OK && *fd < 0) {
        err = try_names(&files, m, true, fd, eb);
        if (*fd >= 0)
            *how = TRAIL_COPY;
    }
    rotation_finish(&files);
    return err;
}

/* The last of the files that is the present one; n when none is. */
static size_t
index_of(const struct rotation *files, const struct stat *present)
{
    size_t found = files->n;
    struct stat st;

    for (size_t i = 0; i < files->n; i++)
        if (stat(files->files[i].path, &st) == 0 && logfile_same(&st, present))
            found = i;
    return found;
}

/* What the open file is called now; false when it is deleted, or that cannot be known. */
static bool
name_now(int fd, const struct stat *present, char name[PATH_MAX])
{
    char link[64];
    struct stat st;
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, name, PATH_MAX - 1);
    if (n < 0)
        return false;
    name[n] = '\0';
    return stat(name, &st) == 0 && logfile_same(&st, present);
}

/* The first one behind files[at] that is there and can be read. */
static void
take_next(const struct rotation *files, size_t at, const struct stat *present, char next[PATH_MAX],
          struct errbuf *gap)
{
    struct stat st;

    for (size_t i = at + 1; i < files->n; i++) {
        const struct rotated *f = &files->files[i];

        if (stat(f->path, &st) != 0 || logfile_same(&st, present))
            continue;
        if (f->packed) {
            err_set(gap, ERR_OK, "%s is compressed: what is in it is missing", f->path);
            continue;
        }
        snprintf(next, PATH_MAX, "%s", f->path);
        return;
    }
}

/* The rotation that the present file is in; *at is its place there, files->n when it is in none
 * that is known. */
static enum err
find_rotation(const char *path, int fd, const struct stat *present, struct rotation *files,
              size_t *at, struct errbuf *gap, struct errbuf *eb)
{
    char name[PATH_MAX], original[PATH_MAX], real[PATH_MAX];
    bool named, rotated;
    enum err err = rotation_list(files, path, eb);

    if (err != ERR_OK || (*at = index_of(files, present)) < files->n)
        return err;
    named = name_now(fd, present, name);
    rotated = named && rotation_original(name, original, sizeof original);
    /* Moved to another directory; or a link leads elsewhere now, to no rotation of the same file.
     */
    if (rotated || (named && rotation_target(path, real))) {
        rotation_finish(files);
        err = rotation_list(files, rotated ? original : name, eb);
        if (err != ERR_OK || (*at = index_of(files, present)) < files->n)
            return err;
    }
    err_set(gap, ERR_OK,
            "%s: the file that was read until now %s%s; if it was rotated more than once, what "
            "came between is missing",
            path,
            present->st_nlink == 0 ? "has been deleted"
            : named                ? "is called "
                                   : "cannot be found",
            named ? name : "");
    *at = files->n;
    return ERR_OK;
}

enum err
trail_next(const char *path, int fd, bool *found, char next[PATH_MAX], struct errbuf *gap,
           struct errbuf *eb)
{
    struct stat present, st;
    struct rotation files;
    size_t at;
    enum err err;

    *found = false;
    gap->text[0] = '\0';
    if (stat(path, &st) != 0)
        return errno == ENOENT ? ERR_OK : logfile_unreadable(path, eb);
    if (fstat(fd, &present) != 0)
        return logfile_unreadable(path, eb);
    if (logfile_same(&st, &present))
        return ERR_OK;
    err = find_rotation(path, fd, &present, &files, &at, gap, eb);
    if (err != ERR_OK)
        return err;
    *found = true;
    snprintf(next, PATH_MAX, "%s", path);
    take_next(&files, at, &present, next, gap);
    rotation_finish(&files);
    return ERR_OK;
}
