/* progress: a line on standard error while something takes long, written by a thread of its own,
 * because the thread that works is inside a library that does not call back.
 *
 * On a terminal the line is there from the first second on, replaced each half second, and gone at
 * the end; elsewhere there is one line every ten seconds. */
#ifndef ADMIN_PROGRESS_H
#define ADMIN_PROGRESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { PROGRESS_LINE = 160 };

/* Writes what to show after this much time; an empty line shows nothing. Called by the thread. */
typedef void progress_text(void *context, int64_t elapsed_ms, char line[PROGRESS_LINE]);

struct progress {
    /* private */
    progress_text *text;
    void *context;
    int64_t began_ms;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ended_changed;
    bool running, ended, terminal, shown;
};

/* Without a thread there is no line, and that is all. */
void progress_begin(struct progress *p, progress_text *text, void *context);
/* Takes the line away for now, because something else is about to be written. */
void progress_clear(struct progress *p);
/* After this nothing is written any more. */
void progress_end(struct progress *p);

#endif
