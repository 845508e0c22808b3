/* source_internal: what the two files of source share: source.c opens, reads and answers;
 * source_rotate.c knows what a rotation, a truncation and a late line mean for the files. */
#ifndef INGEST_SOURCE_INTERNAL_H
#define INGEST_SOURCE_INTERNAL_H

#include "base/watch.h"
#include "ingest/logfile.h"
#include "ingest/source.h"

enum {
    FILES_MAX = BOOKMARK_BEHIND_MAX + 1,
    NOTICES_MAX = 8,
    LOOK_MS = 250, /* how often it looks without being woken */
};

struct source {
    const char *path; /* NULL = standard input */
    bool follow;
    bool in_file; /* a regular file, present or (when followed) to come */
    bool waited;  /* the last answer was to wait: the file may have been replaced since */
    int64_t rotate_wait_ms;

    struct logfile files[FILES_MAX]; /* oldest first; the last one is the newest */
    size_t n, at;                    /* 0 = not there yet; the one that is being read */
    bool restart;                    /* after SOURCE_NEXT: the same file from its beginning */
    size_t turn_to;                  /* after SOURCE_TURN; n = the file at next_fd */
    int64_t looked_ms;               /* at those before the newest; 0 = never */

    int next_fd;        /* the file after the newest, once it is known; -1 = it is not */
    struct errbuf gap;  /* what is missing before it */
    int64_t refused_ms; /* since when it cannot be opened; 0 = it can */
    bool refused_reported;

    struct watch watch;
    int watched_link, watched_target; /* the directories' numbers there */
    struct {
        struct errbuf text;
        bool warning;
    } notices[NOTICES_MAX];
    size_t n_notices, n_shown;
};

static inline struct logfile *
source_present(struct source *s)
{
    return &s->files[s->at];
}

static inline bool
source_is_newest(const struct source *s)
{
    return s->at + 1 == s->n;
}

void source_tell(struct source *s, bool warning, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* True when the open file has the name that is followed. */
bool source_has_the_name(const struct source *s, int fd);

/* files[i] is this open file from now on. */
void source_set_file(struct source *s, size_t i, int fd, int64_t offset, int64_t line);
/* Closes it, and moves the later ones down. */
void source_drop_file(struct source *s, size_t i);

/* The newest file is this one from now on, in place of what it was. */
void source_replace_newest(struct source *s, int fd, int64_t offset, int64_t line);

/* *m = this place in the present file. */
enum err source_take_mark(struct source *s, int64_t offset, int64_t line, struct mark *m,
                          struct errbuf *eb);

/* read(2) has just said that the present file has no more. */
enum err source_at_end(struct source *s, enum source_state *state, struct errbuf *eb);

/* The newest file is shorter than what was read of it, or has other content: it was truncated in
 * place. A copy made just before (logrotate's copytruncate) has what was not read yet. */
enum err source_replaced(struct source *s, enum source_state *state, struct errbuf *eb);

/* Whether one of the rotated files has grown, or has ended; then it is that one's turn. */
bool source_look_behind(struct source *s, enum source_state *state);

/* A new file that cannot be opened, or not be seen, by `why`: it may get its mode only after its
 * name, so this is an error when it lasts, and reported before. */
enum err source_refused(struct source *s, const struct errbuf *why, struct errbuf *eb);

#endif
