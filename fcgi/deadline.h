/* deadline: which of many moments comes first. Pure.
 *
 * A binary heap of deadlines that are embedded in what they belong to: adding and removing cost
 * O(log n), and a deadline costs 16 bytes and one pointer. Only what has a deadline is in it. */
#ifndef FCGI_DEADLINE_H
#define FCGI_DEADLINE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DEADLINE_NEVER INT64_MAX

struct deadline {
    int64_t at_ms;
    size_t place; /* from 1; 0 = in no heap */
};

struct deadlines {
    struct deadline **heap; /* owned; heap[0] is the soonest */
    size_t n, capacity;
};

/* A zeroed struct deadlines is empty. Everything must be removed before. */
void deadlines_finish(struct deadlines *all);

/* d is in no heap yet. ERR_NOMEM. */
enum err deadlines_add(struct deadlines *all, struct deadline *d, int64_t at_ms);
/* Does nothing when d is not in it. */
void deadlines_remove(struct deadlines *all, struct deadline *d);

/* The soonest; NULL when there is none. */
static inline struct deadline *
deadlines_first(const struct deadlines *all)
{
    return all->n ? all->heap[0] : NULL;
}

#endif
