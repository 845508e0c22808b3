#include "ingest/source.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ingest/rotation.h"
#include "ingest/source_internal.h"
#include "ingest/trail.h"

void
source_tell(struct source *s, bool warning, const char *format, ...)
{
    va_list args;

    if (s->n_notices == NOTICES_MAX)
        return;
    va_start(args, format);
    vsnprintf(s->notices[s->n_notices].text.text, sizeof s->notices[0].text.text, format, args);
    va_end(args);
    s->notices[s->n_notices++].warning = warning;
}

/* ---- the files ---- */

bool
source_has_the_name(const struct source *s, int fd)
{
    struct stat named, st;

    return s->path && stat(s->path, &named) == 0 && fstat(fd, &st) == 0 &&
           logfile_same(&named, &st);
}

/* The directory that a symbolic link leads to may be another one each time. */
static void
watch_target(struct source *s)
{
    char real[PATH_MAX];
    char *slash;
    int before = s->watched_target;

    s->watched_target = -1;
    if (rotation_target(s->path, real) && (slash = strrchr(real, '/')) != NULL) {
        slash[slash == real] = '\0';
        s->watched_target = watch_directory(&s->watch, real, WATCH_NAMES);
    }
    if (before != s->watched_target && before != s->watched_link)
        watch_drop(&s->watch, before);
}

static void
watch_link(struct source *s)
{
    watch_open(&s->watch);
    s->watched_link = watch_beside(&s->watch, s->path, WATCH_NAMES);
}

void
source_set_file(struct source *s, size_t i, int fd, int64_t offset, int64_t line)
{
    s->files[i] = (struct logfile){.fd = fd,
                                   .watched = -1,
                                   .offset = offset,
                                   .line = line,
                                   .mark.line = line,
                                   .named = source_has_the_name(s, fd),
                                   .growth_ms = clock_mono_ms()};
    mark_take(&s->files[i].mark, fd, offset); /* an error is met again by the first read */
    if (s->follow) {
        s->files[i].watched = watch_file(&s->watch, fd);
        watch_target(s);
    }
}

void
source_drop_file(struct source *s, size_t i)
{
    watch_drop(&s->watch, s->files[i].watched);
    if (s->path)
        close(s->files[i].fd);
    s->n--;
    memmove(&s->files[i], &s->files[i + 1], (s->n - i) * sizeof s->files[0]);
}

void
source_replace_newest(struct source *s, int fd, int64_t offset, int64_t line)
{
    if (s->n && s->files[s->n - 1].fd != fd)
        source_drop_file(s, s->n - 1);
    else if (s->n)
        s->n--;
    source_set_file(s, s->n, fd, offset, line);
    s->at = s->n++;
}

/* ---- opening ---- */

/* The file at path, when it is one; s->n stays 0 while a file that is followed is not there. */
static enum err
open_input(struct source *s, struct errbuf *eb)
{
    struct stat st;
    int fd = s->path ? logfile_open(s->path) : STDIN_FILENO;

    if (fd < 0 && errno == ENOENT && s->follow) {
        s->waited = true;
        return ERR_OK;
    }
    if (fd < 0)
        return err_set(eb, errno == ENOENT ? ERR_MISSING : ERR_IO, "%s: %s", s->path,
                       strerror(errno));
    source_replace_newest(s, fd, 0, 1);
    if (fstat(fd, &st) != 0)
        return logfile_unreadable(source_name(s), eb);
    if (S_ISDIR(st.st_mode))
        return err_set(eb, ERR_IO, "%s is a directory", source_name(s));
    s->in_file = S_ISREG(st.st_mode);
    if (s->follow && !s->in_file)
        return err_set(eb, ERR_INVALID, "--follow %s: only a regular file can be followed",
                       s->path);
    if (!s->path && s->in_file) /* `< FILE`: the shell may have read the beginning itself */
        source_present(s)->offset = lseek(fd, 0, SEEK_CUR);
    return ERR_OK;
}

/* Goes to the stored place in the newest file, wherever that is by now. */
static enum err
resume_newest(struct source *s, const struct mark *from, struct errbuf *eb)
{
    enum trail_how how = TRAIL_NOWHERE;
    bool fits;
    int fd = -1;
    enum err err = ERR_OK;

    if (s->path)
        err = trail_find(s->path, from, false, &fd, &how, eb);
    else if (mark_fits(from, source_present(s)->fd, &fits) != ERR_OK)
        err = logfile_unreadable(source_name(s), eb);
    else if (fits)
        fd = source_present(s)->fd;
    if (err != ERR_OK)
        return err;
    if (fd >= 0)
        source_replace_newest(s, fd, from->offset, from->line);
    if (how == TRAIL_COPY)
        source_tell(
            s, false,
            "%s: the file read last time has another inode now; continuing by its content, at "
            "byte %" PRId64,
            source_name(s), from->offset);
    if (fd < 0)
        source_tell(
            s, true,
            "%s: the file that was read last time (inode %" PRIu64 ", up to byte %" PRId64
            ") is gone: neither it nor a copy is in the directory. What came after that byte is "
            "missing; starting at the beginning",
            source_name(s), from->inode, from->offset);
    return ERR_OK;
}

/* And in those before it. */
static enum err
resume_behind(struct source *s, const struct bookmark *from, struct errbuf *eb)
{
    for (size_t i = 0; i < from->n_behind; i++) {
        const struct mark *m = &from->behind[i];
        enum trail_how how;
        int fd;
        enum err err = trail_find(s->path, m, false, &fd, &how, eb);

        if (err != ERR_OK)
            return err;
        if (fd < 0) {
            source_tell(s, true,
                        "%s: an older file that was still being read last time (inode %" PRIu64
                        ") is gone; if anything came after its byte %" PRId64 ", it is missing",
                        source_name(s), m->inode, m->offset);
            continue;
        }
        memmove(&s->files[s->at + 1], &s->files[s->at], (s->n - s->at) * sizeof s->files[0]);
        source_set_file(s, s->at++, fd, m->offset, m->line);
        s->n++;
    }
    return ERR_OK;
}

enum err
source_open(struct source **source, const char *path, bool follow, int64_t rotate_wait_ms,
            const struct bookmark *from, struct errbuf *eb)
{
    struct source *s = mem_zalloc(sizeof *s);
    enum err err;

    *source = s;
    if (!s)
        return err_nomem(eb);
    *s = (struct source){.path = path,
                         .follow = follow,
                         .in_file = follow,
                         .rotate_wait_ms = rotate_wait_ms,
                         .next_fd = -1,
                         .watch = {-1},
                         .watched_link = -1,
                         .watched_target = -1};
    signal(SIGIO, SIG_IGN); /* for logfile_writers() */
    if (follow)
        watch_link(s);
    err = open_input(s, eb);
    if (err == ERR_OK && from && from->in_file && s->in_file) {
        err = resume_newest(s, &from->at, eb);
        if (err == ERR_OK && s->path && s->n)
            err = resume_behind(s, from, eb);
    }
    if (err == ERR_OK && s->n == 0 && s->n_notices == 0)
        source_tell(s, false, "waiting for %s to appear", path);
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
    while (s->n)
        source_drop_file(s, s->n - 1);
    if (s->next_fd >= 0)
        close(s->next_fd);
    watch_close(&s->watch);
    mem_free(s);
}

/* ---- reading ---- */

static bool
pipe_is_silent(struct source *s)
{
    struct pollfd p = {.fd = source_present(s)->fd, .events = POLLIN};

    return !s->in_file && poll(&p, 1, 0) == 0;
}

/* The file that was not there at the start. */
static enum err
open_late(struct source *s, struct errbuf *eb)
{
    struct errbuf why;
    enum err err = open_input(s, &why);

    if (err == ERR_OK || s->n > 0)
        return err == ERR_OK ? ERR_OK : err_set(eb, err, "%s", why.text);
    s->waited = true;
    return source_refused(s, &why, eb);
}

/* Whether the file was truncated and filled again since it was read last. */
static enum err
look_for_replacement(struct source *s, bool *found, struct errbuf *eb)
{
    struct logfile *f = source_present(s);
    bool fits;

    *found = false;
    if (mark_fits(&f->mark, f->fd, &fits) != ERR_OK)
        return logfile_unreadable(source_name(s), eb);
    *found = !fits && source_has_the_name(s, f->fd);
    return ERR_OK;
}

/* SOURCE_IDLE with `waited` false means: look again at once. */
static enum err
read_once(struct source *s, char *to, size_t n, bool may_turn, size_t *got,
          enum source_state *state, struct errbuf *eb)
{
    bool waited = s->waited;
    struct logfile *f;
    ssize_t count;

    *state = SOURCE_IDLE;
    if (may_turn && source_look_behind(s, state))
        return ERR_OK;
    s->waited = false;
    if (s->n == 0) {
        enum err err = open_late(s, eb);

        if (err != ERR_OK || s->n == 0)
            return err;
    }
    f = source_present(s);
    if (pipe_is_silent(s))
        return ERR_OK;
    if (waited && s->follow && source_is_newest(s)) {
        bool found;
        enum err err = look_for_replacement(s, &found, eb);

        if (err != ERR_OK)
            return err;
        if (found)
            return source_replaced(s, state, eb);
    }
    count = s->in_file ? pread(f->fd, to, n, (off_t)f->offset) : read(f->fd, to, n);
    if (count < 0 && (errno == EINTR || errno == EAGAIN))
        return ERR_OK;
    if (count < 0)
        return logfile_unreadable(source_name(s), eb);
    if (count == 0)
        return source_at_end(s, state, eb);
    f->offset += count;
    *got = (size_t)count;
    *state = SOURCE_BYTES;
    return ERR_OK;
}

enum err
source_read(struct source *s, char *to, size_t n, bool may_turn, size_t *got,
            enum source_state *state, struct errbuf *eb)
{
    enum err err;

    *got = 0;
    watch_clear(&s->watch, NULL);
    do
        err = read_once(s, to, n, may_turn, got, state, eb);
    while (err == ERR_OK && *state == SOURCE_IDLE && s->in_file && !s->waited);
    return err;
}

/* ---- answers ---- */

int
source_fd(const struct source *s)
{
    return s->in_file ? watch_fd(&s->watch) : s->files[s->at].fd;
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
source_take_mark(struct source *s, int64_t offset, int64_t line, struct mark *m, struct errbuf *eb)
{
    struct logfile *f = source_present(s);
    struct stat st;
    enum err err = fstat(f->fd, &st) == 0 ? mark_take(&f->mark, f->fd, offset) : ERR_IO;

    if (err == ERR_IO)
        return logfile_unreadable(source_name(s), eb);
    if (err == ERR_OK) {
        f->mark.line = line;
        *m = f->mark;
    } else { /* truncated just now: a mark that fits nothing, so that nothing is read twice */
        *m = (struct mark){.offset = offset,
                           .line = line,
                           .device = (uint64_t)st.st_dev,
                           .inode = (uint64_t)st.st_ino};
    }
    return ERR_OK;
}

enum err
source_take_bookmark(struct source *s, int64_t offset, int64_t line, struct bookmark *b,
                     struct errbuf *eb)
{
    struct mark here;
    enum err err;

    if (!s->in_file || s->n == 0)
        return ERR_OK;
    err = source_take_mark(s, offset, line, &here, eb);
    if (err != ERR_OK)
        return err;
    b->in_file = true;
    b->n_behind = s->n - 1;
    for (size_t i = 0; i < s->n; i++)
        *(i + 1 < s->n ? &b->behind[i] : &b->at) = i == s->at ? here : s->files[i].mark;
    return ERR_OK;
}

void
source_sync(struct source *s)
{
    for (size_t i = 0; s->in_file && i < s->n; i++)
        logfile_sync(&s->files[i]);
}

int64_t
source_skip_hole(struct source *s)
{
    struct logfile *f = source_present(s);
    int64_t before = f->offset;
    off_t data = s->in_file && s->path ? lseek(f->fd, (off_t)before, SEEK_DATA) : -1;

    if (data > (off_t)before)
        f->offset = (int64_t)data;
    return f->offset - before;
}

int64_t
source_offset(const struct source *s)
{
    return s->n ? s->files[s->at].offset : 0;
}

int64_t
source_line(const struct source *s)
{
    return s->n ? s->files[s->at].line : 1;
}

int64_t
source_size(const struct source *s)
{
    struct stat st;

    return s->in_file && s->n && fstat(s->files[s->at].fd, &st) == 0 ? (int64_t)st.st_size : 0;
}

const char *
source_name(const struct source *s)
{
    return s->path ? s->path : "standard input";
}

const char *
source_notice(struct source *s, bool *warning)
{
    if (s->n_shown == s->n_notices) {
        s->n_shown = s->n_notices = 0;
        return NULL;
    }
    *warning = s->notices[s->n_shown].warning;
    return s->notices[s->n_shown++].text.text;
}
