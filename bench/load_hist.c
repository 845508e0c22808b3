#include "bench/load_hist.h"

static unsigned
slot_of(uint64_t ns)
{
    unsigned shift, slot;

    if (ns < HIST_STEPS)
        return (unsigned)ns;
    shift = 63 - (unsigned)__builtin_clzll(ns) - 6;
    slot = (shift + 1) * HIST_STEPS + (unsigned)(ns >> shift) % HIST_STEPS;
    return slot < HIST_SLOTS ? slot : HIST_SLOTS - 1;
}

/* The middle of a slot. */
static double
value_of(unsigned slot)
{
    unsigned shift;

    if (slot < HIST_STEPS)
        return slot;
    shift = slot / HIST_STEPS - 1;
    return ((double)(HIST_STEPS + slot % HIST_STEPS) + 0.5) * (double)(1ull << shift);
}

void
hist_add(struct hist *h, int64_t ns)
{
    h->n++;
    h->count[slot_of(ns > 0 ? (uint64_t)ns : 0)]++;
}

void
hist_join(struct hist *h, const struct hist *more, const struct hist *less)
{
    h->n += more->n - (less ? less->n : 0);
    for (unsigned i = 0; i < HIST_SLOTS; i++)
        h->count[i] += more->count[i] - (less ? less->count[i] : 0);
}

double
hist_ms(const struct hist *h, double part)
{
    uint64_t wanted = (uint64_t)((double)h->n * part + 0.5), seen = 0;

    if (!h->n)
        return 0;
    if (!wanted)
        wanted = 1;
    for (unsigned i = 0; i < HIST_SLOTS; i++) {
        seen += h->count[i];
        if (seen >= wanted)
            return value_of(i) / 1e6;
    }
    return value_of(HIST_SLOTS - 1) / 1e6;
}
