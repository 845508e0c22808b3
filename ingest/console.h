/* console: what is reported to the operator: rejected items, waits, a progress line, the summary.
 *
 * Both threads report. The progress line is drawn on a terminal only, over itself, and is wiped
 * before any other line. Rejects are reported one by one at first and then once a second with their
 * count, so that a broken input cannot flood a journal; all are counted. */
#ifndef INGEST_CONSOLE_H
#define INGEST_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"

struct console;

/* quiet: no progress, no summary, no information; warnings and errors only. */
struct console *console_create(bool quiet);
void console_destroy(struct console *c); /* NULL is allowed */

void console_line(struct console *c, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Committer: this many events are in the table for good; this many were there before (same key). */
void console_committed(struct console *c, int64_t events, int64_t repeats);

/* Intake: one more item was rejected. */
void console_reject(struct console *c, const char *input, int64_t line, const char *why);

/* Intake: bytes read so far, and of how many; total 0 = unknown. Draws when it is time to. */
void console_progress(struct console *c, int64_t bytes, int64_t total);

/* Once, when both threads are done. */
void console_summary(struct console *c, int64_t bytes);

/* n as people read it: "1.2 MB". buffer has CONSOLE_SIZE_MAX bytes; returns it. */
enum { CONSOLE_SIZE_MAX = 32 };
const char *console_size(char *buffer, int64_t n);

#endif
