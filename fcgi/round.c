#include "fcgi/round.h"

#include <stddef.h>

void
round_begin(struct round *r, int64_t now_ms)
{
    *r = (struct round){.began_ms = now_ms};
}

void
round_wrote(struct round *r, const struct outlet *o)
{
    unsigned group = r->n - r->n % ROUND_WITNESSES;

    /* The first ones from the largest power of two on: past the middle, wherever the end will be.
     */
    if ((group & (group - 1)) == 0)
        r->witnesses[r->n % ROUND_WITNESSES] = o;
    r->n++;
}

void
round_forget(struct round *r, const struct outlet *o)
{
    for (int i = 0; i < ROUND_WITNESSES; i++)
        if (r->witnesses[i] == o)
            r->witnesses[i] = NULL;
}

static int64_t
longest_ms(const struct round *r)
{
    int64_t ms = (int64_t)r->n * ROUND_EACH_US / 1000;

    return ms < ROUND_MS_MAX ? ms : ROUND_MS_MAX;
}

bool
round_over(const struct round *r, int64_t now_ms)
{
    if (r->n < ROUND_SMALL || now_ms - r->began_ms > longest_ms(r))
        return true;
    for (int i = 0; i < ROUND_WITNESSES; i++)
        if (r->witnesses[i] && outlet_unread(r->witnesses[i]) == 0)
            return true;
    return false;
}
