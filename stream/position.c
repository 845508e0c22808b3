#include "stream/position.h"

/* Where a client goes on when its own position cannot be honoured. */
static int64_t
instead(const struct start *start, const struct marks *m)
{
    if (start->kind == START_BEFORE)
        return INT64_MAX;
    return start->reset_now ? m->newest : m->oldest - 1;
}

static enum cursor_reset
judge(const struct start *start, const struct marks *m)
{
    switch (start->kind) {
    case START_NOW:
    case START_EARLIEST:
    case START_SINCE:
    case START_LAST:
        return CURSOR_EXACT;
    case START_RESET:
        return start->reset;
    case START_AFTER:
        return start->id > m->newest ? CURSOR_FUTURE : CURSOR_EXACT;
    case START_BEFORE:
        if (start->reset != CURSOR_EXACT)
            return start->reset;
        if (start->id <= m->pruned_through + 1 && start->id <= m->oldest && m->pruned_through > 0)
            return CURSOR_PRUNED;
        return start->id > m->newest + 1 && start->id != INT64_MAX ? CURSOR_FUTURE : CURSOR_EXACT;
    }
    return CURSOR_EXACT;
}

static int64_t
asked_for(const struct start *start, int64_t found, const struct marks *m)
{
    switch (start->kind) {
    case START_NOW:
        return m->newest;
    case START_EARLIEST:
        return m->oldest - 1;
    case START_SINCE:
    case START_LAST:
        return found;
    case START_RESET:
    case START_AFTER:
    case START_BEFORE:
        return start->id;
    }
    return m->newest;
}

struct position
position_start(const struct start *start, int64_t found, const struct marks *m,
               enum cursor_reset *reset)
{
    struct position p = {asked_for(start, found, m), m->pruned_through};

    *reset = judge(start, m);
    /* What is before a position whose own row is gone is still what was asked for. */
    if (*reset != CURSOR_EXACT && *reset != CURSOR_PRUNED)
        p.cursor = instead(start, m);
    else if (start->kind == START_AFTER) /* any other place is as good as the table is now */
        p.told_pruned = 0;
    return p;
}

bool
position_missed(const struct position *p, int64_t pruned_through)
{
    int64_t known = p->cursor > p->told_pruned ? p->cursor : p->told_pruned;

    return pruned_through > known;
}

void
position_told(struct position *p, const struct marks *m, bool reset_now)
{
    p->told_pruned = m->pruned_through;
    if (reset_now)
        p->cursor = m->newest;
}
