/* source: where the bytes come from: a file, a file that is followed, or standard input.
 *
 * Intake sees a sequence of files, each from some offset to its end. A file that is followed
 * is read to its end under whatever name it has by then; only when it has ended and another file
 * with something in it has taken its name, or stands after it in the rotation, does that one begin.
 * While no such file is there, more bytes may still come to the old one.
 *
 *     open  ( read* next? | wait for source_fd() or source_wait_ms(), after SOURCE_IDLE )*  close
 */
#ifndef INGEST_SOURCE_H
#define INGEST_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ingest/position.h"

struct source;

enum source_state {
    SOURCE_BYTES, /* got > 0 */
    SOURCE_IDLE,  /* nothing now, perhaps later */
    SOURCE_NEXT,  /* this file has ended and another is there: go on with source_next() */
    SOURCE_END,   /* nothing ever again */
};

/* path NULL = standard input. from NULL, or a position that is not in a file = from the start.
 * from: goes on there, in whichever file of the rotation has that position; ERR_OK with a notice
 * when there is none. ERR_MISSING when the file does not exist and is not followed. */
enum err source_open(struct source **source, const char *path, bool follow,
                     const struct file_position *from, struct errbuf *eb);
void source_close(struct source *s); /* NULL is allowed */

enum err source_read(struct source *s, char *to, size_t n, size_t *got, enum source_state *state,
                     struct errbuf *eb);

/* After SOURCE_NEXT: offsets and positions are those of the next file from now on. */
void source_next(struct source *s);

/* After SOURCE_IDLE: readable when there may be more (-1 = none), and how long to wait for it at
 * most (-1 = no limit). */
int source_fd(const struct source *s);
int source_wait_ms(const struct source *s);

/* True when the input is a file, so that a position in it means something. */
bool source_has_positions(const struct source *s);
/* *p = the position at this offset of the present file, which is not beyond what was read. *p is
 * left as it is when the input is no file. ERR_IO: the file cannot be read, so that nobody could
 * find the place again. */
enum err source_take_position(struct source *s, int64_t offset, int64_t line,
                              struct file_position *p, struct errbuf *eb);

/* Brings what was read of a file to the disk, so that no position outlives the bytes it stands
 * behind. Costs a system call only when there are new ones. */
void source_sync(struct source *s);

/* Offset of the next byte; of the line there, as far as the position knew it (1 otherwise). */
int64_t source_offset(const struct source *s);
int64_t source_line(const struct source *s);
/* Size of the present file, 0 = unknown. */
int64_t source_size(const struct source *s);
const char *source_name(const struct source *s);

/* Something the operator should know, once; NULL = nothing. *warning says how bad. Valid until the
 * next call on s. */
const char *source_notice(struct source *s, bool *warning);

#endif
