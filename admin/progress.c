#include "admin/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"

enum { FIRST_MS = 1000, TERMINAL_MS = 500, LOG_MS = 10000 };

/* True when it is over; false after wait_ms. */
static bool
wait_for_end(struct progress *p, int64_t wait_ms)
{
    int64_t until_us = clock_mono_us() + wait_ms * 1000;

    while (!p->ended && clock_mono_us() < until_us)
        thread_wait_until(&p->ended_changed, &p->lock, until_us);
    return p->ended;
}

static void
take_away(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}

static void *
show(void *context)
{
    struct progress *p = context;
    int64_t wait_ms = p->terminal ? FIRST_MS : LOG_MS;
    char line[PROGRESS_LINE];

    pthread_mutex_lock(&p->lock);
    while (!wait_for_end(p, wait_ms)) {
        line[0] = '\0';
        p->text(p->context, clock_mono_ms() - p->began_ms, line);
        if (line[0])
            fprintf(stderr, p->terminal ? "\r\033[K%s" : "%s\n", line);
        p->shown = p->terminal && line[0];
        wait_ms = p->terminal ? TERMINAL_MS : LOG_MS;
    }
    take_away(p);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

void
progress_begin(struct progress *p, progress_text *text, void *context)
{
    *p = (struct progress){.text = text,
                           .context = context,
                           .began_ms = clock_mono_ms(),
                           .terminal = isatty(STDERR_FILENO)};
    pthread_mutex_init(&p->lock, NULL);
    thread_condition_init(&p->ended_changed);
    p->running = thread_start(&p->thread, show, p, NULL) == ERR_OK;
}

void
progress_clear(struct progress *p)
{
    pthread_mutex_lock(&p->lock);
    take_away(p);
    pthread_mutex_unlock(&p->lock);
}

void
progress_end(struct progress *p)
{
    pthread_mutex_lock(&p->lock);
    p->ended = true;
    pthread_cond_signal(&p->ended_changed);
    pthread_mutex_unlock(&p->lock);
    if (p->running)
        pthread_join(p->thread, NULL);
    pthread_cond_destroy(&p->ended_changed);
    pthread_mutex_destroy(&p->lock);
}
