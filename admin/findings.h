/* findings: what a subcommand has looked at and found, a line each, for people or as JSON.
 *
 *     ok    schema      12 tables, indexes and triggers, each as freshet makes it
 *     FAIL  ids         sqlite_sequence says that 3 is the highest id ever given, but 7 was
 *                       → sqlite3 events.db "UPDATE …"
 *
 * For people each line is printed at once, coloured on a terminal unless NO_COLOR is set; JSON is
 * one object at the end. */
#ifndef ADMIN_FINDINGS_H
#define ADMIN_FINDINGS_H

#include <stdbool.h>

#include "admin/progress.h"
#include "base/buf.h"

enum finding_level {
    FINDING_OK,
    FINDING_NOTE, /* not looked at, or only good to know */
    FINDING_WARN,
    FINDING_FAIL,
    FINDING_LEVELS
};

struct findings {
    struct progress *progress; /* its line is taken away before one of ours; may be NULL */
    /* private */
    bool json, colour;
    int width; /* of a line; texts are wrapped at it */
    int n[FINDING_LEVELS];
    struct buf out;
};

/* subject: the file or URL. Prints it, or begins the object with it. */
void findings_init(struct findings *f, const char *name, const char *subject, bool json);

/* cure: what to do, lines separated by LF, each printed behind an arrow and never wrapped, so that
 * it can be copied; NULL or "" = nothing. */
void findings_add(struct findings *f, enum finding_level level, const char *part, const char *what,
                  const char *cure);

/* The last line, or the JSON object. The value is the exit status: EXIT_FAILED when anything
 * FAILed. */
int findings_finish(struct findings *f, const char *good, const char *bad);

#endif
