/* log: one line per fact, to standard error, where lighttpd, systemd and a terminal all want it.
 *
 * A line is `2026-11-22T10:00:00.123Z PROGRAM[PID] LEVEL: TEXT`, written with one write(2) so that
 * lines of several processes do not mix. The journal of systemd, which adds the first three itself,
 * is given `<PRIORITY>LEVEL: TEXT` (sd-daemon(3)). Control characters in the text become '?', so
 * that input that is quoted in it cannot forge a line. Lines are cut at 2,000 bytes. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Call once, before threads. program must stay valid (a literal). Default level: LOG_INFO. */
void log_open(const char *name);
void log_set_level(enum log_level level);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
