#include "ingest/console.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum {
    REJECTS_SINGLY = 20, /* reported one by one before the counting begins */
    DRAW_MS = 250,
    RATE_MS = 1000, /* the rate that is shown is that of about the last second */
};

struct console {
    pthread_mutex_t lock;
    bool draws; /* standard error is a terminal */
    bool drawn; /* the progress line is on it now */
    int64_t started_ms, drawn_ms;
    int64_t events, repeats, rejects;
    int64_t unreported, reject_ms; /* rejects since the last line about them, and its time */
    int64_t rate_ms, rate_events;  /* where the rate is measured from */
    double rate;
};

struct console *
console_create(bool quiet)
{
    struct console *c = mem_zalloc(sizeof *c);

    if (!c)
        return NULL;
    pthread_mutex_init(&c->lock, NULL);
    c->draws = !quiet && isatty(STDERR_FILENO);
    c->started_ms = c->rate_ms = c->drawn_ms = clock_mono_ms();
    if (quiet)
        log_set_level(LOG_WARN);
    return c;
}

void
console_destroy(struct console *c)
{
    if (!c)
        return;
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}

static void
wipe(struct console *c)
{
    if (c->drawn)
        fputs("\r\033[K", stderr);
    c->drawn = false;
}

void
console_line(struct console *c, enum log_level level, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    pthread_mutex_lock(&c->lock);
    wipe(c);
    log_line(level, "%s", text);
    pthread_mutex_unlock(&c->lock);
}

void
console_committed(struct console *c, int64_t events, int64_t repeats)
{
    pthread_mutex_lock(&c->lock);
    c->events += events;
    c->repeats += repeats;
    pthread_mutex_unlock(&c->lock);
}

void
console_reject(struct console *c, const char *input, int64_t line, const char *why)
{
    int64_t now_ms = clock_mono_ms();

    pthread_mutex_lock(&c->lock);
    c->rejects++;
    c->unreported++;
    if (c->rejects <= REJECTS_SINGLY || now_ms - c->reject_ms >= 1000) {
        wipe(c);
        if (c->unreported > 1)
            log_line(LOG_WARN, "%lld more were rejected; now %s, line %lld: %s",
                     (long long)c->unreported - 1, input, (long long)line, why);
        else
            log_line(LOG_WARN, "rejected: %s, line %lld: %s", input, (long long)line, why);
        c->unreported = 0;
        c->reject_ms = now_ms;
    }
    pthread_mutex_unlock(&c->lock);
}

const char *
console_size(char *buffer, int64_t n)
{
    static const char *const units[] = {"KB", "MB", "GB", "TB"};
    double value = (double)n;
    size_t unit = 0;

    if (n < 1000) {
        snprintf(buffer, CONSOLE_SIZE_MAX, "%lld bytes", (long long)n);
        return buffer;
    }
    for (value /= 1000; value >= 1000 && unit < 3; unit++)
        value /= 1000;
    snprintf(buffer, CONSOLE_SIZE_MAX, "%.1f %s", value, units[unit]);
    return buffer;
}

static void
measure_rate(struct console *c, int64_t now_ms)
{
    int64_t span_ms = now_ms - c->rate_ms;

    if (span_ms < RATE_MS && c->rate_events > 0)
        return;
    c->rate = span_ms ? (double)(c->events - c->rate_events) * 1000 / (double)span_ms : 0;
    if (span_ms >= RATE_MS) {
        c->rate_ms = now_ms;
        c->rate_events = c->events;
    }
}

static void
draw(struct console *c, int64_t now_ms, int64_t bytes, int64_t total)
{
    char done[CONSOLE_SIZE_MAX], all[CONSOLE_SIZE_MAX];

    measure_rate(c, now_ms);
    fprintf(stderr, "\r\033[K%lld events  %.0f/s  %s", (long long)c->events, c->rate,
            console_size(done, bytes));
    if (total > 0 && bytes <= total) {
        int64_t spent_ms = now_ms - c->started_ms;
        int64_t left_s =
            bytes ? (int64_t)((double)spent_ms * (double)(total - bytes) / (double)bytes / 1000)
                  : 0;

        fprintf(stderr, " of %s (%d%%)  %lld:%02lld left", console_size(all, total),
                (int)(bytes * 100 / total), (long long)left_s / 60, (long long)left_s % 60);
    }
    if (c->rejects)
        fprintf(stderr, "  %lld rejected", (long long)c->rejects);
    fflush(stderr);
    c->drawn = true;
    c->drawn_ms = now_ms;
}

void
console_progress(struct console *c, int64_t bytes, int64_t total)
{
    int64_t now_ms;

    if (!c->draws)
        return;
    now_ms = clock_mono_ms();
    pthread_mutex_lock(&c->lock);
    if (now_ms - c->drawn_ms >= DRAW_MS)
        draw(c, now_ms, bytes, total);
    pthread_mutex_unlock(&c->lock);
}

void
console_summary(struct console *c, int64_t bytes)
{
    char size[CONSOLE_SIZE_MAX];
    double seconds = (double)(clock_mono_ms() - c->started_ms) / 1000;

    pthread_mutex_lock(&c->lock);
    wipe(c);
    if (c->unreported)
        log_line(LOG_WARN, "%lld more were rejected", (long long)c->unreported);
    log_line(LOG_INFO, "%lld events committed, %lld repeated, %lld rejected; %s in %.1f s, %.0f/s",
             (long long)c->events, (long long)c->repeats, (long long)c->rejects,
             console_size(size, bytes), seconds, seconds > 0 ? (double)c->events / seconds : 0.0);
    pthread_mutex_unlock(&c->lock);
}
