/* source: where the bytes come from: a file, a file that is followed, or standard input.
 *
 * Intake sees a sequence of files, each from some offset to its end. A file that is followed is
 * read under whatever name it has by then; when it has no more, and another one with something in
 * it has taken its name, or stands after it in the rotation, that one begins. The old one is kept
 * as long as it may still be written to: whenever it has grown it has its turn again, and its last
 * line, when that has no line end, waits until nobody can write to it any more.
 *
 *     open  ( read*  next? | turn? | wait for source_fd() or source_wait_ms(), after SOURCE_IDLE )*
 *     close
 */
#ifndef INGEST_SOURCE_H
#define INGEST_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ingest/bookmark.h"

struct source;

enum source_state {
    SOURCE_BYTES, /* got > 0 */
    SOURCE_IDLE,  /* nothing now, perhaps later */
    SOURCE_NEXT,  /* this file has ended for good: go on with source_next() */
    SOURCE_TURN,  /* it is another file's turn: go on with source_turn() */
    SOURCE_END,   /* nothing ever again */
};

/* path NULL = standard input. from NULL, or a bookmark that is not in a file = from the start.
 * from: goes on there, in whichever files of the rotation it is; ERR_OK with a notice where there
 * is none. rotate_wait_ms: for this long after its last growth a rotated file is kept when nobody
 * can tell whether it is still open. ERR_MISSING when the file does not exist and is not followed.
 */
enum err source_open(struct source **source, const char *path, bool follow, int64_t rotate_wait_ms,
                     const struct bookmark *from, struct errbuf *eb);
void source_close(struct source *s); /* NULL is allowed */

/* may_turn: this is a good moment for another file's turn. */
enum err source_read(struct source *s, char *to, size_t n, bool may_turn, size_t *got,
                     enum source_state *state, struct errbuf *eb);

/* After SOURCE_NEXT and SOURCE_TURN: offsets and positions are those of another file from now on.
 * To a file that was left by turn() reading will return at this offset, in this line. */
void source_next(struct source *s);
enum err source_turn(struct source *s, int64_t offset, int64_t line, struct errbuf *eb);

/* Goes past a hole, a part of the file that was never written and reads as NUL bytes, when the next
 * byte is in one; returns its size, or 0. */
int64_t source_skip_hole(struct source *s);

/* After SOURCE_IDLE: readable when there may be more (-1 = none), and how long to wait for it at
 * most (-1 = no limit). */
int source_fd(const struct source *s);
int source_wait_ms(const struct source *s);

/* True when the input is a file, so that a position in it means something. */
bool source_has_positions(const struct source *s);
/* *b = the place in all files that are being read: in the present one this offset, which is not
 * beyond what was read. *b is left as it is when the input is not a file. ERR_IO: the file cannot
 * be read, so that nobody could find the place again. */
enum err source_take_bookmark(struct source *s, int64_t offset, int64_t line, struct bookmark *b,
                              struct errbuf *eb);

/* Brings what was read of files to the disk, so that no position outlives the bytes it stands
 * behind. Costs a system call only when there are new ones. */
void source_sync(struct source *s);

/* Offset of the next byte; of the line there, as far as the position knew it (1 otherwise). */
int64_t source_offset(const struct source *s);
int64_t source_line(const struct source *s);
/* Size of the present file, 0 = unknown. */
int64_t source_size(const struct source *s);
const char *source_name(const struct source *s);

/* Something the operator should know, each once, until it is NULL = nothing more. *warning says how
 * bad. Valid until the next call on s. */
const char *source_notice(struct source *s, bool *warning);

#endif
