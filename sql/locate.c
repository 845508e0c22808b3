#include "sql/locate.h"

#include "base/clock.h"

/* One step downwards to the newest start.count matches. */
static enum err
search_last(struct locate *l, struct store *s, const struct store_step *step, int64_t *position,
            bool *done, struct errbuf *eb)
{
    int64_t began_us = clock_mono_us();
    uint32_t found = 0;
    enum err err = store_last(s, l->filter, l->scanned_to, l->start.count - l->found, step,
                              position, &found, done, eb);

    if (err != ERR_OK)
        return err;
    l->found += found;
    l->spent_us += clock_mono_us() - began_us;
    if (*done)
        return ERR_OK;
    l->scanned_to = *position;
    l->limited = *done = l->search_us > 0 && l->spent_us >= l->search_us;
    --*position; /* the lowest row that was looked at belongs to what follows */
    return ERR_OK;
}

enum err
locate_step(struct locate *l, struct store *s, const struct store_step *step, bool *done,
            struct errbuf *eb)
{
    int64_t position = 0;
    enum err err = ERR_OK;

    *done = true;
    if (l->start.kind == START_LAST)
        err = search_last(l, s, step, &position, done, eb);
    else if (l->start.kind == START_SINCE)
        err = store_since(s, l->start.time_ms, &position, eb);
    if (err != ERR_OK || !*done)
        return err;
    err = store_marks(s, &l->marks, eb);
    if (err == ERR_OK)
        l->at = position_start(&l->start, position, &l->marks, &l->reset);
    return err;
}
