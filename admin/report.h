/* report: what a subcommand has looked at and found, a line each, for people or as JSON.
 *
 *     ok    schema      12 tables, indexes and triggers, each as freshet makes it
 *     FAIL  ids         sqlite_sequence says that 3 is the highest id ever given, but 7 was
 *                       → sqlite3 events.db "UPDATE …"
 *
 * For people each line is printed at once, coloured on a terminal unless NO_COLOR is set; JSON is
 * one object at the end. */
#ifndef ADMIN_REPORT_H
#define ADMIN_REPORT_H

#include <stdbool.h>

#include "admin/progress.h"
#include "base/buf.h"

enum report_level {
    REPORT_OK,
    REPORT_NOTE, /* not looked at, or only good to know */
    REPORT_WARN,
    REPORT_FAIL,
    REPORT_LEVELS
};

struct report {
    struct progress *progress; /* its line is taken away before one of ours; may be NULL */
    /* private */
    bool json, colour;
    int width; /* of a line; texts are wrapped at it */
    int n[REPORT_LEVELS];
    struct buf out;
};

/* subject: the file or URL. Prints it, or begins the object with it. */
void report_init(struct report *r, const char *name, const char *subject, bool json);

/* cure: what to do, lines separated by LF, each printed behind an arrow and never wrapped, so that
 * it can be copied; NULL or "" = nothing. */
void report_add(struct report *r, enum report_level level, const char *part, const char *what,
                const char *cure);

/* The last line, or the JSON object. The value is the exit status: EXIT_FAILED when anything
 * FAILed. */
int report_finish(struct report *r, const char *good, const char *bad);

#endif
