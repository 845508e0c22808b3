#include "ingest/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/watch.h"
#include "ingest/rotation.h"

/* How often it looks without being woken. */
enum { LOOK_MS = 250 };

struct source {
    const char *path; /* NULL = standard input */
    bool follow;
    bool in_file; /* a regular file, present or (when followed) to come */
    bool named;   /* the present file was the one that path names when it was opened */
    bool waited;  /* the last answer was to wait: the file may have been replaced since */
    int fd;       /* the present file; -1 = not there yet */
    int next_fd;  /* the one after it, once known; -1 = not known */
    int64_t offset, line;
    int64_t synced;            /* so many bytes of the present file survive a power cut */
    struct file_position mark; /* the last one taken in the present file, to see it replaced */
    struct watch watch;
    int watched; /* the present file's number there */
    struct errbuf notice, shown;
    bool warning;
};

static bool
same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* True when the present file has the name that is followed. */
static bool
has_the_name(const struct source *s)
{
    struct stat named, present;

    return s->path && stat(s->path, &named) == 0 && fstat(s->fd, &present) == 0 &&
           same_file(&named, &present);
}

/* Goes on in this open file, which s owns from now on. */
static void
adopt(struct source *s, int fd, int64_t offset, int64_t line)
{
    if (s->fd >= 0 && s->fd != fd && s->path)
        close(s->fd);
    s->fd = fd;
    s->offset = offset;
    s->line = line;
    s->synced = 0;
    s->mark.in_file = false;
    s->named = has_the_name(s);
    if (s->follow) {
        watch_drop(&s->watch, s->watched);
        s->watched = watch_file(&s->watch, fd);
    }
}

/* O_NONBLOCK so that a FIFO without a writer can be waited for like anything else. */
static int
open_file(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static enum err
cannot_read(const char *path, struct errbuf *eb)
{
    return err_set(eb, ERR_IO, "%s: %s", path, strerror(errno));
}

/* Whether this file of the rotation is the one that `p` is a position in; then *found is open. One
 * that is not there any more is not; one that is there and cannot be read is an error: taken for
 * another one, it would be read from its beginning a second time. */
static enum err
try_file(const char *path, const struct file_position *p, bool exact, int *found, struct errbuf *eb)
{
    int fd = open_file(path);
    bool fits = false;
    struct stat st;
    enum err err = ERR_OK;

    if (fd < 0)
        return errno == ENOENT ? ERR_OK : cannot_read(path, eb);
    if (fstat(fd, &st) != 0)
        err = cannot_read(path, eb);
    else if (S_ISREG(st.st_mode) && (exact ? position_same_file(p, &st) : p->offset > 0) &&
             position_fits(p, fd, &fits) != ERR_OK)
        err = cannot_read(path, eb);
    if (fits)
        *found = fd;
    else
        close(fd);
    return err;
}

/* The file of the rotation that `p` is a position in: by its identity first; else (a copy was made,
 * and the original truncated) by its content. -1 = none; *exact tells the two apart. */
static enum err
find_position(const char *path, const struct file_position *p, int *found, bool *exact,
              struct errbuf *eb)
{
    struct rotation files;
    enum err err = rotation_list(&files, path, eb);

    *found = -1;
    for (int pass = 0; err == ERR_OK && pass < 2 && *found < 0; pass++) {
        *exact = pass == 0;
        for (size_t i = files.n; err == ERR_OK && i-- > 0 && *found < 0;)
            err = try_file(files.paths[i], p, *exact, found, eb);
    }
    rotation_finish(&files);
    return err;
}

/* The file after the present one; *fd = -1: there is none (yet). */
static enum err
find_next(struct source *s, int *fd, struct errbuf *eb)
{
    struct stat present, st;
    struct rotation files;
    const char *next = s->path;
    enum err err;

    *fd = -1;
    if (stat(s->path, &st) != 0 || fstat(s->fd, &present) != 0 || same_file(&st, &present))
        return ERR_OK;
    err = rotation_list(&files, s->path, eb);
    if (err != ERR_OK)
        return err;
    for (size_t i = 0; i + 1 < files.n; i++)
        if (stat(files.paths[i], &st) == 0 && same_file(&st, &present))
            next = files.paths[i + 1];
    /* While nobody has written to the new file, the old one may still grow. */
    if (!s->follow || stat(next, &st) != 0 || st.st_size > 0 || strcmp(next, s->path) != 0)
        *fd = open_file(next);
    rotation_finish(&files);
    return ERR_OK;
}

static enum err
open_input(struct source *s, struct errbuf *eb)
{
    struct stat st;
    int fd = s->path ? open_file(s->path) : STDIN_FILENO;

    if (fd < 0 && errno == ENOENT && s->follow) {
        s->waited = true;
        return ERR_OK;
    }
    if (fd < 0)
        return err_set(eb, errno == ENOENT ? ERR_MISSING : ERR_IO, "%s: %s", s->path,
                       strerror(errno));
    adopt(s, fd, 0, 1);
    if (fstat(fd, &st) != 0)
        return err_set(eb, ERR_IO, "%s: %s", source_name(s), strerror(errno));
    if (S_ISDIR(st.st_mode))
        return err_set(eb, ERR_IO, "%s is a directory", source_name(s));
    s->in_file = S_ISREG(st.st_mode);
    if (s->follow && !s->in_file)
        return err_set(eb, ERR_INVALID, "--follow %s: only a regular file can be followed",
                       s->path);
    if (!s->path && s->in_file) /* `< FILE`: the shell may have read the beginning itself */
        s->offset = lseek(fd, 0, SEEK_CUR);
    return ERR_OK;
}

/* Goes to the stored position, in whichever file it is. */
static enum err
resume(struct source *s, const struct file_position *from, struct errbuf *eb)
{
    bool exact = true, fits;
    int fd = -1;
    enum err err = ERR_OK;

    if (s->path)
        err = find_position(s->path, from, &fd, &exact, eb);
    else if (position_fits(from, s->fd, &fits) != ERR_OK)
        err = cannot_read(source_name(s), eb);
    else if (fits)
        fd = s->fd;
    if (err != ERR_OK)
        return err;
    if (fd >= 0)
        adopt(s, fd, from->offset, from->line);
    if (fd >= 0 && !exact)
        err_set(&s->notice, ERR_OK,
                "%s: what was read last time has another inode now; going on by its content, at "
                "byte %" PRId64,
                source_name(s), from->offset);
    s->warning = fd < 0;
    if (fd < 0)
        err_set(&s->notice, ERR_OK,
                "%s: the file that was read last time (inode %" PRIu64 ", up to byte %" PRId64
                ") is gone, and no file rotated from it is it. What came after that byte is "
                "missing; starting at the beginning",
                source_name(s), from->inode, from->offset);
    return ERR_OK;
}

/* Watches the directory that the file is in. */
static void
watch_names(struct source *s)
{
    const char *slash = strrchr(s->path, '/');
    char directory[PATH_MAX];

    snprintf(directory, sizeof directory, "%.*s", slash ? (int)(slash - s->path) + 1 : 1,
             slash ? s->path : ".");
    watch_open(&s->watch);
    watch_directory(&s->watch, directory, WATCH_NAMES);
}

enum err
source_open(struct source **source, const char *path, bool follow, const struct file_position *from,
            struct errbuf *eb)
{
    struct source *s = mem_zalloc(sizeof *s);
    enum err err;

    *source = s;
    if (!s)
        return err_set(eb, ERR_NOMEM, "out of memory");
    *s = (struct source){.path = path,
                         .follow = follow,
                         .in_file = follow,
                         .fd = -1,
                         .next_fd = -1,
                         .line = 1,
                         .watched = -1,
                         .watch = {-1}};
    if (follow)
        watch_names(s);
    err = open_input(s, eb);
    if (err == ERR_OK && from && from->in_file && s->in_file)
        err = resume(s, from, eb);
    if (err == ERR_OK && s->fd < 0 && !s->warning)
        err_set(&s->notice, ERR_OK, "waiting for %s to appear", path);
    if (err != ERR_OK) {
        source_close(s);
        *source = NULL;
    }
    return err;
}

void
source_close(struct source *s)
{
    if (!s)
        return;
    if (s->fd >= 0 && s->path)
        close(s->fd);
    if (s->next_fd >= 0)
        close(s->next_fd);
    watch_close(&s->watch);
    mem_free(s);
}

/* The file is shorter than what was read of it, or has other content: it was truncated in place. A
 * copy made just before (logrotate's copytruncate) has what was not read yet. */
static enum err
replaced(struct source *s, enum source_state *state, struct errbuf *eb)
{
    struct file_position lost = s->mark;
    bool exact;
    int fd = -1;
    enum err err = ERR_OK;

    lost.inode = lost.device = 0; /* by content only */
    if (lost.in_file)
        err = find_position(s->path, &lost, &fd, &exact, eb);
    if (err != ERR_OK)
        return err;
    s->warning = false;
    err_set(&s->notice, ERR_OK, "%s was truncated; going on %s", s->path,
            fd >= 0 ? "in the copy made of it" : "at its beginning");
    if (fd >= 0) {
        adopt(s, fd, s->offset, s->line); /* same bytes, same offset: intake notices nothing */
        *state = SOURCE_IDLE;
    } else {
        *state = SOURCE_NEXT;
    }
    return ERR_OK;
}

/* Only the file that has the name: a copy may rightly be shorter than what was read before it was
 * made, and nobody truncates a file that was rotated away. */
static bool
was_truncated(const struct source *s)
{
    struct stat st;

    return has_the_name(s) && fstat(s->fd, &st) == 0 && st.st_size < s->offset;
}

/* read(2) has just said that the present file has no more. */
static enum err
at_end(struct source *s, enum source_state *state, struct errbuf *eb)
{
    enum err err;

    if (s->next_fd >= 0) { /* known before that read, so the old file has ended for good */
        *state = SOURCE_NEXT;
        return ERR_OK;
    }
    *state = SOURCE_END;
    if (!s->in_file || !s->path || (s->named && !s->follow))
        return ERR_OK;
    if (s->follow && was_truncated(s))
        return replaced(s, state, eb);
    err = find_next(s, &s->next_fd, eb);
    if (err == ERR_OK && (s->follow || s->next_fd >= 0)) {
        s->waited = s->next_fd < 0;
        *state = SOURCE_IDLE;
    }
    return err;
}

static bool
pipe_is_silent(const struct source *s)
{
    struct pollfd p = {.fd = s->fd, .events = POLLIN};

    return !s->in_file && poll(&p, 1, 0) == 0;
}

/* SOURCE_IDLE with `waited` false means: look again at once. */
static enum err
read_once(struct source *s, char *to, size_t n, size_t *got, enum source_state *state,
          struct errbuf *eb)
{
    bool waited = s->waited;
    ssize_t count;

    *state = SOURCE_IDLE;
    s->waited = false;
    if (s->fd < 0) {
        enum err err = open_input(s, eb);

        if (err != ERR_OK || s->fd < 0)
            return err;
    }
    if (pipe_is_silent(s))
        return ERR_OK;
    if (waited && s->follow && s->mark.in_file) {
        bool fits;

        if (position_fits(&s->mark, s->fd, &fits) != ERR_OK)
            return cannot_read(source_name(s), eb);
        if (!fits && has_the_name(s))
            return replaced(s, state, eb);
    }
    count = s->in_file ? pread(s->fd, to, n, (off_t)s->offset) : read(s->fd, to, n);
    if (count < 0 && (errno == EINTR || errno == EAGAIN))
        return ERR_OK;
    if (count < 0)
        return err_set(eb, ERR_IO, "%s: %s", source_name(s), strerror(errno));
    if (count == 0)
        return at_end(s, state, eb);
    s->offset += count;
    *got = (size_t)count;
    *state = SOURCE_BYTES;
    return ERR_OK;
}

enum err
source_read(struct source *s, char *to, size_t n, size_t *got, enum source_state *state,
            struct errbuf *eb)
{
    enum err err;

    *got = 0;
    watch_clear(&s->watch, NULL);
    do
        err = read_once(s, to, n, got, state, eb);
    while (err == ERR_OK && *state == SOURCE_IDLE && s->in_file && !s->waited);
    return err;
}

void
source_next(struct source *s)
{
    adopt(s, s->next_fd >= 0 ? s->next_fd : s->fd, 0, 1);
    s->next_fd = -1;
}

int
source_fd(const struct source *s)
{
    return s->in_file ? watch_fd(&s->watch) : s->fd;
}

int
source_wait_ms(const struct source *s)
{
    return s->in_file ? LOOK_MS : -1;
}

bool
source_has_positions(const struct source *s)
{
    return s->in_file;
}

enum err
source_take_position(struct source *s, int64_t offset, int64_t line, struct file_position *p,
                     struct errbuf *eb)
{
    struct stat st;
    enum err err;

    if (!s->in_file || s->fd < 0)
        return ERR_OK;
    err = fstat(s->fd, &st) == 0 ? position_take(&s->mark, s->fd, offset) : ERR_IO;
    if (err == ERR_IO)
        return cannot_read(source_name(s), eb);
    if (err == ERR_OK) {
        s->mark.line = line;
        *p = s->mark;
    } else { /* truncated just now: a position that fits nothing, so that nothing is read twice */
        *p = (struct file_position){.in_file = true,
                                    .offset = offset,
                                    .line = line,
                                    .device = (uint64_t)st.st_dev,
                                    .inode = (uint64_t)st.st_ino};
    }
    return ERR_OK;
}

/* Whoever appends to a log seldom syncs it. A file system that cannot do it for a reader leaves
 * things as they are: its answer is not looked at. */
void
source_sync(struct source *s)
{
    struct stat st;

    if (!s->in_file || s->fd < 0 || s->offset <= s->synced || fstat(s->fd, &st) != 0)
        return;
    fdatasync(s->fd);
    s->synced = (int64_t)st.st_size;
}

int64_t
source_offset(const struct source *s)
{
    return s->offset;
}

int64_t
source_line(const struct source *s)
{
    return s->line;
}

int64_t
source_size(const struct source *s)
{
    struct stat st;

    return s->in_file && s->fd >= 0 && fstat(s->fd, &st) == 0 ? (int64_t)st.st_size : 0;
}

const char *
source_name(const struct source *s)
{
    return s->path ? s->path : "standard input";
}

const char *
source_notice(struct source *s, bool *warning)
{
    if (s->notice.text[0] == '\0')
        return NULL;
    *warning = s->warning;
    s->shown = s->notice;
    s->notice.text[0] = '\0';
    s->warning = false;
    return s->shown.text;
}
