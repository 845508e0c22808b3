/* doctor_internal: what the files of the doctor share: one examination and its report.
 *
 * doctor_run.c opens the stream and goes through the examinations in order; doctor_answer.c judges
 * what a head says; doctor_probe.c publishes, resumes and asks for history; all of them ask and
 * wait by doctor_ask.c; doctor_say.c makes lines of the report, with the meaning and the fix of
 * each symptom from doctor.def. */
#ifndef ADMIN_DOCTOR_INTERNAL_H
#define ADMIN_DOCTOR_INTERNAL_H

#include <stdatomic.h>

#include "admin/doctor.h"
#include "admin/doctor_http.h"
#include "admin/doctor_heard.h"
#include "admin/progress.h"
#include "admin/findings.h"

enum symptom {
#define SYMPTOM(name, part, level, meaning, nginx, lighttpd, other) SYMPTOM_##name,
#include "admin/doctor.def"
#undef SYMPTOM
};

/* What waits for an answer of a healthy server; a busy machine included. */
enum { PATIENCE_US = 5 * 1000000 };

struct doctor {
    const struct settings *settings;
    const char *url;
    char *stream_url; /* with the probe's topic; owned */
    char *token;      /* owned; NULL = none */
    struct http http;
    struct findings findings;
    int64_t deadline_us;
    char server[80]; /* what it calls itself; "" = nothing */
    struct http_request request;
    struct exchange stream;
    struct heard heard;
    const char *_Atomic doing; /* for the progress line */
};

/* A line that something is as it should be, or only to be noted. */
void doctor_good(struct doctor *d, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void doctor_note(struct doctor *d, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What was measured; meaning and fix come from the table. */
void doctor_symptom(struct doctor *d, enum symptom symptom, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The time after which something is given up: this long from now, but never after --timeout. */
int64_t doctor_until(const struct doctor *d, int64_t us);
/* http_wait() for this many microseconds. */
bool doctor_wait(struct doctor *d, bool (*done)(void *context), void *context, int64_t us);
/* For doctor_wait: an exchange has its head, or has ended. */
bool doctor_has_head(void *exchange);
bool doctor_has_ended(void *exchange);
/* The URL with more in its query; the caller frees it with mem_free(). NULL = out of memory. */
char *doctor_url(const char *url, const char *more);

/* The head of a first answer. False: it is not a stream, which has been said. */
bool doctor_judge_answer(struct doctor *d);
/* What a status other than 200 means. */
void doctor_judge_status(struct doctor *d, const struct exchange *x);
/* What else the head says: compression, caches, protocol, origin. */
void doctor_judge_head(struct doctor *d);

/* Publishes probe events, where that was asked for, and times them. */
void doctor_probe_delay(struct doctor *d);
/* Asks for a page of history. True: it came. *took_us is how long that took. */
bool doctor_probe_history(struct doctor *d, int64_t *took_us);
/* Comes back with a position. */
void doctor_probe_resume(struct doctor *d);
/* Whether the same log is open to everybody elsewhere, where the URL is behind a login. */
void doctor_look_beside(struct doctor *d);
/* What clients are told while the responder is away. */
void doctor_probe_down(struct doctor *d);

/* Milliseconds, for printf's "%.1f". */
static inline double
doctor_ms(int64_t us)
{
    return (double)us / 1000;
}

#endif
