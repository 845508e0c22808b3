/* round: how fast streams are given events: as fast as the web server passes them on, and no
 * faster.
 *
 * A round gives every stream what it lacks. While the web server is still busy with the last one,
 * another would only fill the kernel's buffers event by event, and, where both share a core, keep
 * it from its work; what is new meanwhile goes out in one write later. So the next round begins
 * when the web server is past the middle of this one: when a socket that was written to there has
 * been read empty. One that stays full because its client does not read must not hold up the
 * others, hence several witnesses and an end to all waiting. Small rounds are never waited for.
 *
 * Measured (1,000 clients, all processes on one core, 1,000 events a second): p50 11 ms, and 120 to
 * 160 ms without rounds, with half of the responder's CPU. At the highest rates 1.14 times as many
 * deliveries, and 1.3 times with --send-buffer 96K.
 *
 * Legal order: round_begin(), round_wrote() for each record, round_over() until it says yes. */
#ifndef FCGI_ROUND_H
#define FCGI_ROUND_H

#include <stdbool.h>
#include <stdint.h>

#include "fcgi/outlet.h"

enum {
    ROUND_WITNESSES = 4,
    ROUND_SMALL = 32,   /* records */
    ROUND_EACH_US = 40, /* twice what nginx takes for one; after that no witness is waited for */
    ROUND_MS_MAX = 400,
};

struct round {
    const struct outlet *witnesses[ROUND_WITNESSES]; /* NULL = closed since */
    unsigned n;                                      /* records written */
    int64_t began_ms;
};

void round_begin(struct round *r, int64_t now_ms);

/* o must stay where it is until the next round begins or round_forget(). */
void round_wrote(struct round *r, const struct outlet *o);

/* The connection is closed. */
void round_forget(struct round *r, const struct outlet *o);

/* The next one may begin. */
bool round_over(const struct round *r, int64_t now_ms);

#endif
