/* clock: the only place that asks what time it is, or lets it pass.
 *
 * Durations and deadlines use the monotonic clock; the wall clock is for what people read. The
 * domain (stream/) is given times as arguments and never asks. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Since an arbitrary point; never goes back. */
int64_t clock_mono_us(void);
int64_t clock_mono_ms(void);
/* Since 1970-01-01T00:00:00Z; may be stepped in either direction. */
int64_t clock_wall_ms(void);

/* The calling thread sleeps for a little longer than that; a signal ends it early. */
void clock_rest_us(int64_t us);

#endif
