#include "ingest/source_internal.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "base/clock.h"
#include "ingest/trail.h"

enum {
    PATIENCE_MS = 5000,  /* a new file may be made before it gets its mode */
    REPORT_MS = LOOK_MS, /* and is not worth a message when it gets it at once */
};

/* ---- rotation ---- */

enum err
source_replaced(struct source *s, enum source_state *state, struct errbuf *eb)
{
    struct logfile *f = source_present(s);
    enum trail_how how;
    int fd;
    enum err err = trail_find(s->path, &f->mark, true, &fd, &how, eb);

    if (err != ERR_OK)
        return err;
    source_tell(s, false, "%s was truncated; continuing %s", s->path,
                fd >= 0 ? "in the copy made of it" : "at its beginning");
    if (fd >= 0) { /* same bytes, same offset: intake notices nothing */
        source_replace_newest(s, fd, f->offset, f->line);
        *state = SOURCE_IDLE;
    } else {
        s->restart = true;
        *state = SOURCE_NEXT;
    }
    return ERR_OK;
}

/* Only the file that has the name: a copy may rightly be shorter than what was read before it was
 * made, and nobody truncates a file that was rotated away. */
static bool
was_truncated(struct source *s)
{
    struct stat st;

    return source_is_newest(s) && source_has_the_name(s, source_present(s)->fd) &&
           fstat(source_present(s)->fd, &st) == 0 && st.st_size < source_present(s)->offset;
}

enum err
source_refused(struct source *s, const struct errbuf *why, struct errbuf *eb)
{
    int64_t now_ms = clock_mono_ms();

    if (!s->refused_ms)
        s->refused_ms = now_ms;
    if (!s->follow || now_ms - s->refused_ms >= PATIENCE_MS)
        return err_set(eb, ERR_IO, "%s", why->text);
    if (!s->refused_reported && now_ms - s->refused_ms >= REPORT_MS) {
        source_tell(s, true, "%s; trying for %d seconds", why->text, PATIENCE_MS / 1000);
        s->refused_reported = true;
    }
    return ERR_OK;
}

/* Looks for the file after the newest, and opens it at once, while it can be found. */
static enum err
find_next(struct source *s, struct errbuf *eb)
{
    char next[PATH_MAX];
    struct errbuf why;
    bool found;
    enum err err = trail_next(s->path, source_present(s)->fd, &found, next, &s->gap, &why);

    if (err == ERR_NOMEM)
        return err_set(eb, err, "%s", why.text);
    if (err == ERR_OK && !found)
        return ERR_OK;
    if (err == ERR_OK) {
        s->next_fd = logfile_open(next);
        if (s->next_fd < 0 && errno == ENOENT)
            return ERR_OK;
        if (s->next_fd < 0)
            err = logfile_unreadable(next, &why);
    }
    if (err != ERR_OK)
        return source_refused(s, &why, eb);
    s->refused_ms = 0;
    s->refused_reported = false;
    return ERR_OK;
}

/* While nobody has written to the new file, nor put another one in its place, the old one is all
 * there is. */
static bool
next_has_begun(const struct source *s)
{
    struct stat st;

    return s->next_fd >= 0 && (!s->follow || fstat(s->next_fd, &st) != 0 || st.st_size > 0 ||
                               !source_has_the_name(s, s->next_fd));
}

/* Nothing can come to the file any more; or that cannot be known, and nothing has come for long. */
static bool
has_ended(const struct source *s, const struct logfile *f)
{
    if (!s->follow)
        return true;
    switch (logfile_writers(f->fd)) {
    case WRITERS_NONE:
        return true;
    case WRITERS_SOME:
        return false;
    case WRITERS_UNKNOWN:
        return clock_mono_ms() - f->growth_ms >= s->rotate_wait_ms;
    }
    return true;
}

static void
give_turn(struct source *s, size_t to, enum source_state *state)
{
    s->turn_to = to;
    *state = SOURCE_TURN;
}

/* A rotated file has given all it has for now. */
static void
end_turn(struct source *s, enum source_state *state)
{
    struct logfile *f = source_present(s);

    if (f->ending) {
        *state = SOURCE_NEXT;
        return;
    }
    f->size = f->offset;
    f->growth_ms = clock_mono_ms();
    give_turn(s, s->n - 1, state);
}

/* The newest file has another one after it. Its last bytes may have come after the read(2) that
 * found none: a file that is ended for good is read once more. */
static void
leave_newest(struct source *s, enum source_state *state)
{
    struct logfile *f = source_present(s);

    if (f->ending) {
        *state = SOURCE_NEXT;
    } else if (!s->follow || logfile_writers(f->fd) == WRITERS_NONE) {
        f->ending = true;
        *state = SOURCE_IDLE;
    } else if (s->n == FILES_MAX) {
        source_tell(s, true,
                    "%s: more than %d rotated files are still open for writing; what comes to the "
                    "oldest one from now on is missing",
                    s->path, FILES_MAX - 1);
        s->files[0].ending = true;
        give_turn(s, 0, state);
    } else {
        f->size = f->offset;
        f->growth_ms = clock_mono_ms();
        give_turn(s, s->n, state);
    }
}

enum err
source_at_end(struct source *s, enum source_state *state, struct errbuf *eb)
{
    enum err err = ERR_OK;

    *state = SOURCE_END;
    if (!s->in_file || !s->path)
        return ERR_OK;
    if (!source_is_newest(s)) {
        end_turn(s, state);
        return ERR_OK;
    }
    if (source_present(s)->named && !s->follow)
        return ERR_OK;
    if (s->follow && was_truncated(s))
        return source_replaced(s, state, eb);
    if (s->next_fd < 0)
        err = find_next(s, eb);
    if (err != ERR_OK)
        return err;
    if (next_has_begun(s))
        leave_newest(s, state);
    else if (s->follow) {
        s->waited = true;
        *state = SOURCE_IDLE;
    }
    return ERR_OK;
}

bool
source_look_behind(struct source *s, enum source_state *state)
{
    int64_t now_ms = clock_mono_ms();
    struct stat st;

    if (s->n < 2 || !source_is_newest(s) ||
        (s->looked_ms && now_ms - s->looked_ms < LOOK_MS && !s->waited))
        return false;
    s->looked_ms = now_ms;
    for (size_t i = 0; i + 1 < s->n; i++) {
        struct logfile *f = &s->files[i];
        bool grown = fstat(f->fd, &st) == 0 && st.st_size > f->size;

        if (grown && f->size && !f->reported) {
            source_tell(
                s, false,
                "%s: a program still writes to the file that was rotated away; it is read too",
                s->path);
            f->reported = true;
        }
        f->ending = f->ending || has_ended(s, f);
        if (grown || f->ending) {
            give_turn(s, i, state);
            return true;
        }
    }
    return false;
}

/* ---- going on ---- */

/* The file at next_fd becomes the newest. */
static void
take_next(struct source *s)
{
    if (s->gap.text[0])
        source_tell(s, true, "%s", s->gap.text);
    source_tell(s, false, "%s: reading the next file", s->path);
    source_set_file(s, s->n, s->next_fd, 0, 1);
    s->at = s->n++;
    s->next_fd = -1;
}

void
source_next(struct source *s)
{
    if (s->restart) {
        source_replace_newest(s, source_present(s)->fd, 0, 1);
        s->restart = false;
    } else if (source_is_newest(s)) {
        source_drop_file(s, s->at);
        take_next(s);
    } else {
        source_drop_file(s, s->at);
        s->at = s->n - 1;
        s->looked_ms = 0;
    }
}

enum err
source_turn(struct source *s, int64_t offset, int64_t line, struct errbuf *eb)
{
    struct logfile *f = source_present(s);
    enum err err = source_take_mark(s, offset, line, &f->mark, eb);

    if (err != ERR_OK)
        return err;
    f->offset = offset;
    f->line = line;
    if (s->turn_to == s->n)
        take_next(s);
    else
        s->at = s->turn_to;
    return ERR_OK;
}
