/* doctor_watch: what comes in a stream and when, comments and signals included, which a decoder for
 * applications leaves out.
 *
 * Memory: the first bytes of the current line and block. */
#ifndef ADMIN_DOCTOR_WATCH_H
#define ADMIN_DOCTOR_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

enum { WATCH_TEXT = 512, WATCH_ID = 80 };

struct watch {
    int64_t retry_ms;         /* -1 = not told */
    int64_t live_us, last_us; /* freshet:live; the last byte of all; 0 = none yet */
    int64_t heartbeats;       /* comments after some silence */
    int64_t heartbeat_us;     /* how long the silence before the last of them was */
    int64_t events;           /* those with an id */
    char live_id[WATCH_ID];   /* of freshet:live */
    char first_id[WATCH_ID];  /* of the first event */
    char reset[WATCH_TEXT];   /* the data of freshet:reset; "" = there was none */
    const char *expected;     /* the data of an event that is waited for */
    int64_t expected_us;      /* when it came; 0 = not yet */
    char expected_id[WATCH_ID];
    /* private */
    char line[WATCH_TEXT], id[WATCH_ID], event[WATCH_ID], data[WATCH_TEXT];
    size_t n;
    int64_t before_us; /* when the last byte before this piece came */
};

void watch_init(struct watch *w);
/* A piece of the body; context is the struct watch. */
void watch_arrived(void *context, struct text bytes, int64_t at_us);

#endif
