#include "admin/progress.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { FIRST_MS = 1000, TERMINAL_MS = 500, LOG_MS = 10000 };

/* True when it is over; false after wait_ms. */
static bool
wait_for_end(struct progress *p, int64_t wait_ms)
{
    struct timespec until;
    int64_t ns;

    clock_gettime(CLOCK_MONOTONIC, &until);
    ns = until.tv_nsec + wait_ms % 1000 * 1000000;
    until.tv_sec += (time_t)(wait_ms / 1000 + ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    while (!p->ended && pthread_cond_timedwait(&p->ended_changed, &p->lock, &until) != ETIMEDOUT)
        ;
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
    pthread_condattr_t attributes;

    *p = (struct progress){.text = text,
                           .context = context,
                           .began_ms = clock_mono_ms(),
                           .terminal = isatty(STDERR_FILENO)};
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&p->ended_changed, &attributes);
    pthread_condattr_destroy(&attributes);
    p->running = pthread_create(&p->thread, NULL, show, p) == 0;
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
