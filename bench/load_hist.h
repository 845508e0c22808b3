/* load_hist: a histogram of durations in nanoseconds, exact to 1.6 %, of fixed size (18 KB).
 *
 * 64 steps per power of two up to 2^40 ns (18 minutes); what is longer counts as that. All zeroes
 * is an empty one. Histograms add and subtract, so an interval is the difference of two snapshots.
 */
#ifndef BENCH_LOAD_HIST_H
#define BENCH_LOAD_HIST_H

#include <stdint.h>

enum {
    HIST_STEPS = 64,
    HIST_SLOTS = (40 - 6 + 1) * HIST_STEPS,
};

struct hist {
    uint64_t n;
    uint64_t count[HIST_SLOTS];
};

void hist_add(struct hist *h, int64_t ns);

/* h += more - less; less may be NULL. */
void hist_join(struct hist *h, const struct hist *more, const struct hist *less);

/* The value in milliseconds that the fraction `part` (0 … 1) does not exceed; 0 when empty. */
double hist_ms(const struct hist *h, double part);

#endif
