/* position: where a client stands in the log, and what it has missed.
 *
 * A position means "everything up to and including this id is known to the client". This is the one
 * place for the rule behind "nothing is lost silently": where a client begins, whether events that
 * it has not had were deleted, and what it is told. Pure: the marks of the table are arguments. */
#ifndef STREAM_POSITION_H
#define STREAM_POSITION_H

#include <stdbool.h>
#include <stdint.h>

#include "stream/cursor.h"

/* Where the log stands, all read in one transaction. pruned_through < oldest <= newest + 1, except
 * that a row which was deleted by hand from the middle counts as pruned too: then rows at and below
 * pruned_through are left. */
struct marks {
    int64_t oldest; /* lowest id in the table; newest + 1 when it is empty */
    int64_t newest; /* highest id ever given, also when that row is not there; 0 = none yet */
    int64_t pruned_through; /* highest id ever deleted; 0 = none */
};

enum start_kind {
    START_NOW,
    START_EARLIEST, /* the oldest event that is left */
    START_AFTER,    /* after `id` */
    START_SINCE,    /* at `time_ms` */
    START_LAST,     /* before the newest `count` matching events */
    START_RESET,    /* the cursor is unusable for the reason `reset` */
    START_BEFORE,   /* going back: what is before `id`; INT64_MAX = the newest */
};

/* What a client asked for. */
struct start {
    enum start_kind kind;
    int64_t id;
    int64_t time_ms; /* wall clock, since 1970 */
    uint32_t count;
    enum cursor_reset reset;
    bool reset_now; /* after a reset go on from the newest event, not from the oldest */
};

struct position {
    int64_t cursor;      /* going back: everything from here on is known */
    int64_t told_pruned; /* deletions up to here are known to the client, or do not concern it */
};

/* Where a client begins. found: for START_SINCE and START_LAST what the table says, no later than
 * the marks; otherwise not looked at. *reset is CURSOR_EXACT, or why the client cannot begin where
 * it asked to, which it must be told. */
struct position position_start(const struct start *start, int64_t found, const struct marks *m,
                               enum cursor_reset *reset);

/* True when events after the position were deleted and the client does not know. */
bool position_missed(const struct position *p, int64_t pruned_through);

/* The client is being told of what it missed; it goes on from what is left, or from the newest. */
void position_told(struct position *p, const struct marks *m, bool reset_now);

#endif
