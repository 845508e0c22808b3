/* dialect: how the log speaks to a client: how a position is written and read, what `data:` of an
 * event holds, and which signals there are. Pure.
 *
 * The plain dialect sends the data as it is stored. In the envelope (envelope=1) `data:` is the
 * event as history pages have it, {"id","topic","type","created","data"}, for clients of several
 * topics. Frames of each dialect that is in use are encoded once and shared; every other layer
 * passes a const struct dialect * on and never looks inside. */
#ifndef STREAM_DIALECT_H
#define STREAM_DIALECT_H

#include <stdint.h>

#include "base/buf.h"
#include "stream/cursor.h"
#include "stream/event.h"
#include "stream/position.h"

enum dialect_kind { DIALECT_PLAIN, DIALECT_ENVELOPE, DIALECTS };

struct dialect {
    enum dialect_kind kind;
    char epoch[CURSOR_EPOCH_MAX + 1]; /* of the log */
};

/* epoch: 1 to CURSOR_EPOCH_MAX characters [0-9a-z]; a longer one is cut. */
void dialect_init(struct dialect *d, enum dialect_kind kind, const char *epoch);

/* Appends the position as clients write it. */
void dialect_id(const struct dialect *d, struct buf *out, int64_t id);
/* What cursor_parse() says of it. */
enum cursor_reset dialect_read_id(const struct dialect *d, struct text s, int64_t *id);

/* Appends {"id":"12-k3f9","topic":…,"type":…,"created":MS,"data":"as stored"}, with no key, which
 * is between the publisher and the table; type is null for a message. What is not UTF-8 (a row may
 * hold anything) comes out as U+FFFD. */
void dialect_json(const struct dialect *d, struct buf *out, const struct event *e);

/* Appends an event as a block. */
void dialect_event(const struct dialect *d, struct buf *out, const struct event *e);

/* Appends freshet:live or freshet:at, with an id: everything up to there is with the client. */
enum dialect_signal { DIALECT_LIVE, DIALECT_AT };
void dialect_position(const struct dialect *d, struct buf *out, enum dialect_signal signal,
                      int64_t id);

/* Appends freshet:reset, for a client whose position could not be honoured:
 * {"reason":…,"requested":…,"oldest":…,"newest":…}. requested is what it sent. */
void dialect_reset(const struct dialect *d, struct buf *out, enum cursor_reset why,
                   struct text requested, const struct marks *m);
/* The data of it alone. */
void dialect_reset_json(const struct dialect *d, struct buf *out, enum cursor_reset why,
                        struct text requested, const struct marks *m);

/* Appends freshet:limited: the search for the newest `asked` ended after some had been found; the
 * stream begins after `from`. */
void dialect_limited(const struct dialect *d, struct buf *out, uint32_t asked, uint32_t found,
                     int64_t from);

#endif
