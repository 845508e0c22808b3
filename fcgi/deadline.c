#include "fcgi/deadline.h"

#include <assert.h>

#include "base/mem.h"

enum { FIRST_CAPACITY = 16 };

void
deadlines_finish(struct deadlines *all)
{
    assert(all->n == 0);
    mem_free(all->heap);
    *all = (struct deadlines){0};
}

static void
put(struct deadlines *all, size_t i, struct deadline *d)
{
    all->heap[i] = d;
    d->place = i + 1;
}

/* Puts d where it belongs, starting from the free place i. */
static void
settle(struct deadlines *all, size_t i, struct deadline *d)
{
    while (i > 0 && all->heap[(i - 1) / 2]->at_ms > d->at_ms) {
        put(all, i, all->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (size_t child; (child = 2 * i + 1) < all->n; i = child) {
        if (child + 1 < all->n && all->heap[child + 1]->at_ms < all->heap[child]->at_ms)
            child++;
        if (all->heap[child]->at_ms >= d->at_ms)
            break;
        put(all, i, all->heap[child]);
    }
    put(all, i, d);
}

enum err
deadlines_add(struct deadlines *all, struct deadline *d, int64_t at_ms)
{
    assert(d->place == 0);
    if (!mem_grow(&all->heap, all->n, &all->capacity, sizeof(struct deadline *), FIRST_CAPACITY))
        return ERR_NOMEM;
    d->at_ms = at_ms;
    put(all, all->n, d);
    all->n++;
    settle(all, all->n - 1, d);
    return ERR_OK;
}

void
deadlines_remove(struct deadlines *all, struct deadline *d)
{
    struct deadline *last;
    size_t i = d->place;

    if (i-- == 0)
        return;
    assert(all->heap[i] == d);
    d->place = 0;
    last = all->heap[--all->n];
    if (last != d)
        settle(all, i, last);
}
