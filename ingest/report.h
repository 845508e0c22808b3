/* report: what the operator is told: rejected items, waits, a progress line, the summary.
 *
 * Both threads report. The progress line is drawn on a terminal only, over itself, and is wiped
 * before any other line. Rejects are reported one by one at first and then once a second with their
 * count, so that a broken input cannot flood a journal; all are counted. */
#ifndef INGEST_REPORT_H
#define INGEST_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"

struct report;

/* quiet: no progress, no summary, no information; warnings and errors only. */
struct report *report_create(bool quiet);
void report_destroy(struct report *r); /* NULL is allowed */

void report_line(struct report *r, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writer: so many events are in the table for good; so many were there before (same key). */
void report_committed(struct report *r, int64_t events, int64_t repeats);

/* Reader: one more item was rejected. */
void report_reject(struct report *r, const char *input, int64_t line, const char *why);

/* Reader: bytes read so far, and of how many; total 0 = unknown. Draws when it is time to. */
void report_progress(struct report *r, int64_t bytes, int64_t total);

/* Once, when both threads are done. */
void report_summary(struct report *r, int64_t bytes);

/* n as people read it: "1.2 MB". buffer has REPORT_SIZE_MAX bytes; returns it. */
enum { REPORT_SIZE_MAX = 32 };
const char *report_size(char *buffer, int64_t n);

#endif
