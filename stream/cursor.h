/* cursor: a position in the log as clients write it.
 *
 * "1234-k3f9" is the row id and the epoch of the database that gave it; the bare "1234" is accepted
 * wherever a full one is, for people and for other programs. A position means "everything up to and
 * including this id has been seen". */
#ifndef STREAM_CURSOR_H
#define STREAM_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/text.h"

enum {
    CURSOR_EPOCH_MAX = 15, /* characters; the databases' own have 4 */
    CURSOR_SIZE = 40,      /* bytes of the longest "<seq>-<epoch>", with its NUL */
};

/* Why a position cannot be honoured exactly; the names are what freshet:reset says. */
enum cursor_reset {
    CURSOR_EXACT = 0,
    CURSOR_INVALID, /* not a position at all */
    CURSOR_EPOCH,   /* of another database */
    CURSOR_FUTURE,  /* above every id ever given */
    CURSOR_PRUNED,  /* events after it have been deleted */
};
const char *cursor_reset_name(enum cursor_reset reason);

void cursor_write(struct buf *out, int64_t id, const char *epoch);
/* The same as a NUL-terminated text; returns it. */
const char *cursor_text(char text[CURSOR_SIZE], int64_t id, const char *epoch);

/* CURSOR_EXACT sets *id; CURSOR_INVALID or CURSOR_EPOCH leave it. */
enum cursor_reset cursor_parse(struct text s, const char *epoch, int64_t *id);

/* Milliseconds since 1970 of an ISO 8601 time: 2026-11-22, 2026-11-22T10:00, …:00:05, …:05.123,
 * each with Z, +01:00 or nothing (= UTC). A ' ' may stand for the 'T', and for the '+' that a query
 * string turned into a blank. */
bool cursor_parse_time(struct text s, int64_t *ms);

#endif
