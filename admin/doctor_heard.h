/* doctor_heard: what comes in a stream and when, comments and signals included, which a decoder for
 * applications leaves out.
 *
 * Memory: the first bytes of the current line and block. */
#ifndef ADMIN_DOCTOR_HEARD_H
#define ADMIN_DOCTOR_HEARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

enum { HEARD_TEXT = 512, HEARD_ID = 80 };

struct heard {
    int64_t retry_ms;         /* -1 = not sent */
    int64_t live_us, last_us; /* freshet:live; the last byte of all; 0 = none yet */
    int64_t heartbeats;       /* comments after some silence */
    int64_t heartbeat_us;     /* how long the silence before the last of them was */
    int64_t events;           /* those with an id */
    char live_id[HEARD_ID];   /* of freshet:live */
    char first_id[HEARD_ID];  /* of the first event */
    char reset[HEARD_TEXT];   /* the data of freshet:reset; "" = there was none */
    const char *expected;     /* the data of an event that is waited for */
    int64_t expected_us;      /* when it came; 0 = not yet */
    char expected_id[HEARD_ID];
    /* private */
    char line[HEARD_TEXT], id[HEARD_ID], event[HEARD_ID], data[HEARD_TEXT];
    size_t n;
    int64_t before_us; /* when the last byte before this piece came */
};

void heard_init(struct heard *h);
/* A piece of the body; context is the struct heard. */
void heard_arrived(void *context, struct text bytes, int64_t at_us);

#endif
