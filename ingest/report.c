#include "ingest/report.h"

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

struct report {
    pthread_mutex_t lock;
    bool draws; /* standard error is a terminal */
    bool drawn; /* the progress line is on it now */
    int64_t started_ms, drawn_ms;
    int64_t events, repeats, rejects;
    int64_t unreported, reject_ms; /* rejects since the last line about them, and its time */
    int64_t rate_ms, rate_events;  /* where the rate is measured from */
    double rate;
};

struct report *
report_create(bool quiet)
{
    struct report *r = mem_zalloc(sizeof *r);

    if (!r)
        return NULL;
    pthread_mutex_init(&r->lock, NULL);
    r->draws = !quiet && isatty(STDERR_FILENO);
    r->started_ms = r->rate_ms = r->drawn_ms = clock_mono_ms();
    if (quiet)
        log_set_level(LOG_WARN);
    return r;
}

void
report_destroy(struct report *r)
{
    if (!r)
        return;
    pthread_mutex_destroy(&r->lock);
    mem_free(r);
}

static void
wipe(struct report *r)
{
    if (r->drawn)
        fputs("\r\033[K", stderr);
    r->drawn = false;
}

void
report_line(struct report *r, enum log_level level, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    pthread_mutex_lock(&r->lock);
    wipe(r);
    log_line(level, "%s", text);
    pthread_mutex_unlock(&r->lock);
}

void
report_committed(struct report *r, int64_t events, int64_t repeats)
{
    pthread_mutex_lock(&r->lock);
    r->events += events;
    r->repeats += repeats;
    pthread_mutex_unlock(&r->lock);
}

void
report_reject(struct report *r, const char *input, int64_t line, const char *why)
{
    int64_t now_ms = clock_mono_ms();

    pthread_mutex_lock(&r->lock);
    r->rejects++;
    r->unreported++;
    if (r->rejects <= REJECTS_SINGLY || now_ms - r->reject_ms >= 1000) {
        wipe(r);
        if (r->unreported > 1)
            log_line(LOG_WARN, "%lld more were rejected; now %s, line %lld: %s",
                     (long long)r->unreported - 1, input, (long long)line, why);
        else
            log_line(LOG_WARN, "rejected: %s, line %lld: %s", input, (long long)line, why);
        r->unreported = 0;
        r->reject_ms = now_ms;
    }
    pthread_mutex_unlock(&r->lock);
}

const char *
report_size(char *buffer, int64_t n)
{
    static const char *const units[] = {"KB", "MB", "GB", "TB"};
    double value = (double)n;
    size_t unit = 0;

    if (n < 1000) {
        snprintf(buffer, REPORT_SIZE_MAX, "%lld bytes", (long long)n);
        return buffer;
    }
    for (value /= 1000; value >= 1000 && unit < 3; unit++)
        value /= 1000;
    snprintf(buffer, REPORT_SIZE_MAX, "%.1f %s", value, units[unit]);
    return buffer;
}

static void
measure_rate(struct report *r, int64_t now_ms)
{
    int64_t span_ms = now_ms - r->rate_ms;

    if (span_ms < RATE_MS && r->rate_events > 0)
        return;
    r->rate = span_ms ? (double)(r->events - r->rate_events) * 1000 / (double)span_ms : 0;
    if (span_ms >= RATE_MS) {
        r->rate_ms = now_ms;
        r->rate_events = r->events;
    }
}

static void
draw(struct report *r, int64_t now_ms, int64_t bytes, int64_t total)
{
    char done[REPORT_SIZE_MAX], all[REPORT_SIZE_MAX];

    measure_rate(r, now_ms);
    fprintf(stderr, "\r\033[K%lld events  %.0f/s  %s", (long long)r->events, r->rate,
            report_size(done, bytes));
    if (total > 0 && bytes <= total) {
        int64_t spent_ms = now_ms - r->started_ms;
        int64_t left_s =
            bytes ? (int64_t)((double)spent_ms * (double)(total - bytes) / (double)bytes / 1000)
                  : 0;

        fprintf(stderr, " of %s (%d%%)  %lld:%02lld left", report_size(all, total),
                (int)(bytes * 100 / total), (long long)left_s / 60, (long long)left_s % 60);
    }
    if (r->rejects)
        fprintf(stderr, "  %lld rejected", (long long)r->rejects);
    fflush(stderr);
    r->drawn = true;
    r->drawn_ms = now_ms;
}

void
report_progress(struct report *r, int64_t bytes, int64_t total)
{
    int64_t now_ms;

    if (!r->draws)
        return;
    now_ms = clock_mono_ms();
    pthread_mutex_lock(&r->lock);
    if (now_ms - r->drawn_ms >= DRAW_MS)
        draw(r, now_ms, bytes, total);
    pthread_mutex_unlock(&r->lock);
}

void
report_summary(struct report *r, int64_t bytes)
{
    char size[REPORT_SIZE_MAX];
    double seconds = (double)(clock_mono_ms() - r->started_ms) / 1000;

    pthread_mutex_lock(&r->lock);
    wipe(r);
    if (r->unreported)
        log_line(LOG_WARN, "%lld more were rejected", (long long)r->unreported);
    log_line(LOG_INFO, "%lld events committed, %lld repeated, %lld rejected; %s in %.1f s, %.0f/s",
             (long long)r->events, (long long)r->repeats, (long long)r->rejects,
             report_size(size, bytes), seconds, seconds > 0 ? (double)r->events / seconds : 0.0);
    pthread_mutex_unlock(&r->lock);
}
