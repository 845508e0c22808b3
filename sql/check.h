/* check: checks a database file against what freshet promises, part by part.
 *
 * Made for files that may be damaged: nothing is taken for granted that store_open() insists on, a
 * part that cannot be read is a finding like any other, and the parts after it are still looked at.
 * Nothing is written. Responder, ingest and other writers may go on: rows are read in pages, each
 * in a transaction of its own; only SQLite's own integrity check is one long read transaction, in
 * which the WAL cannot be reset and grows. */
#ifndef SQL_CHECK_H
#define SQL_CHECK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

enum check_level {
    CHECK_GOOD,   /* looked at, and as it should be */
    CHECK_ODD,    /* may be meant so; an operator should know */
    CHECK_BROKEN, /* a promise does not hold */
};

/* One finding; valid during the call. part is a word such as "schema". cure is what fixes it, ""
 * where nothing is to be done. Bytes of the database that stand in the texts may be anything. */
typedef void check_sink(void *context, enum check_level level, const char *part, const char *what,
                        const char *cure);

/* Why an ingest source's position cannot be used, in eb; ERR_OK when it can. */
typedef enum err check_position(const char *position, struct errbuf *eb);

/* What is being done, for another thread to look at. */
struct check_watch {
    const char *_Atomic part;    /* NULL = nothing yet */
    _Atomic int64_t done, total; /* rows; total 0 = cannot be told */
};

struct check_order {
    const char *path;
    bool quick; /* without comparing indexes with their tables */
    check_position *position;
    check_sink *sink;
    void *context;
    struct check_watch *watch;
};

/* ERR_OK: the check was made; the sink has heard what came out. Otherwise it could not be made:
 * ERR_MISSING, ERR_IO, ERR_BUSY, ERR_NOMEM. */
enum err check_database(const struct check_order *order, struct errbuf *eb);

#endif
