#include "stream/feed.h"

#include <assert.h>

#include "base/mem.h"

enum { RING_FIRST = 16 };

struct feed *
feed_create(struct subscription *what, const struct dialect *dialect, const struct window *window,
            struct feed_memory *memory)
{
    struct feed *f = mem_zalloc(sizeof *f);

    if (!f) {
        subscription_finish(what);
        return NULL;
    }
    f->what = *what;
    *what = (struct subscription){0};
    f->dialect = dialect;
    f->window = window;
    f->memory = memory;
    f->everything = subscription_is_everything(&f->what);
    f->floor_id = window->head_id;
    TAILQ_INIT(&f->live);
    TAILQ_INIT(&f->waiting);
    TAILQ_INIT(&f->pages);
    TAILQ_INIT(&f->requests);
    return f;
}

void
feed_destroy(struct feed *f)
{
    assert(TAILQ_EMPTY(&f->pages) && TAILQ_EMPTY(&f->live) && TAILQ_EMPTY(&f->waiting));
    subscription_finish(&f->what);
    f->memory->bytes -= f->capacity * sizeof *f->ring;
    mem_free(f->ring);
    mem_free(f->questions);
    mem_free(f);
}

static struct feed_entry *
at(const struct feed *f, uint64_t i)
{
    return &f->ring[i & (f->capacity - 1)];
}

/* Drops what the window has evicted since the last look. */
static void
trim(struct feed *f)
{
    while (f->tail != f->head && at(f, f->tail)->seq < f->window->tail) {
        f->floor_id = at(f, f->tail)->id;
        f->tail++;
    }
}

/* Positions are unsigned and may be extended below 0, so wrap-around is part of the design. */
static bool
grow(struct feed *f)
{
    uint64_t capacity = f->capacity ? f->capacity * 2 : RING_FIRST;
    size_t more = (capacity - f->capacity) * sizeof(struct feed_entry);
    struct feed_entry *ring;

    if (f->head - f->tail < f->capacity)
        return true;
    if (f->capacity > 0 &&
        (f->memory->bytes > f->memory->max || more > f->memory->max - f->memory->bytes))
        return false;
    ring = mem_alloc(capacity * sizeof *ring);
    if (!ring)
        return false;
    for (uint64_t i = f->tail; i != f->head; i++)
        ring[i & (capacity - 1)] = *at(f, i);
    mem_free(f->ring);
    f->ring = ring;
    f->capacity = capacity;
    f->memory->bytes += more;
    return true;
}

/* Makes room in a full ring that could not grow; false when there is no ring. */
static bool
drop_half(struct feed *f)
{
    if (f->capacity == 0)
        return false;
    f->tail += f->capacity / 2;
    f->floor_id = at(f, f->tail - 1)->id;
    return true;
}

void
feed_restart(struct feed *f, int64_t id)
{
    f->tail = f->head;
    f->floor_id = id;
}

void
feed_append(struct feed *f, int64_t id, uint64_t seq)
{
    if (f->everything || id <= f->floor_id) /* the latter: it has just been given up on */
        return;
    trim(f);
    if (seq >= f->window->head ||
        (!grow(f) && !drop_half(f))) { /* not kept by the window, or no memory */
        feed_restart(f, id);
        return;
    }
    *at(f, f->head++) = (struct feed_entry){id, seq};
}

uint64_t
feed_last_seq(const struct feed *f)
{
    return f->head == f->tail ? UINT64_MAX : at(f, f->head - 1)->seq;
}

static bool
matches(const struct feed *f, uint64_t seq)
{
    struct label label = window_label(f->window, seq);

    return subscription_matches(&f->what, &label);
}

/* Adds matching entries of the window from the floor downwards until id is covered, n_max entries
 * are in the ring, or scan entries were looked at. */
static void
extend_down(struct feed *f, int64_t id, uint64_t n_max, uint64_t scan)
{
    uint64_t seq = window_after(f->window, f->floor_id);

    if (f->what.n_where > 0) /* reading JSON again costs more than asking the table for a page */
        return;
    while (f->floor_id > id && seq > f->window->tail && f->head - f->tail < n_max && scan-- > 0) {
        seq--;
        if (matches(f, seq)) {
            if (!grow(f))
                return;
            *at(f, --f->tail) = (struct feed_entry){window_at(f->window, seq)->id, seq};
        }
        /* Covered now: everything above the entry below this one. */
        f->floor_id =
            seq > f->window->tail ? window_at(f->window, seq - 1)->id : f->window->floor_id;
    }
}

bool
feed_covers(struct feed *f, int64_t id)
{
    const struct window *w = f->window;

    if (f->everything)
        return id >= w->floor_id;
    trim(f);
    if (id >= f->floor_id)
        return true;
    if (id < w->floor_id || window_after(w, f->floor_id) - window_after(w, id) > FEED_SCAN_MAX)
        return false;
    extend_down(f, id, UINT64_MAX, FEED_SCAN_MAX);
    return id >= f->floor_id;
}

bool
feed_last(struct feed *f, uint64_t n, int64_t *position)
{
    const struct window *w = f->window;

    if (f->everything) {
        if (n > w->head - w->tail)
            return false;
        *position = n == 0                   ? w->head_id
                    : w->head - n == w->tail ? w->floor_id
                                             : window_at(w, w->head - n - 1)->id;
        return true;
    }
    trim(f);
    extend_down(f, INT64_MIN, n, FEED_SCAN_MAX);
    if (f->head - f->tail < n)
        return false;
    *position = n == 0                   ? w->head_id
                : f->head - n == f->tail ? f->floor_id
                                         : at(f, f->head - n - 1)->id;
    return true;
}

static uint64_t
ring_after(const struct feed *f, int64_t id)
{
    uint64_t low = f->tail, n = f->head - f->tail;

    if (n == 0 || at(f, f->head - 1)->id <= id)
        return f->head;
    while (n > 0) {
        uint64_t half = n / 2;

        if (at(f, low + half)->id <= id) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return low;
}

/* How many entries from i on are neighbours in the window too: seq - i never falls. */
static uint64_t
neighbours(const struct feed *f, uint64_t i)
{
    uint64_t apart = at(f, i)->seq - i;
    uint64_t low = i + 1, high = f->head;

    if (at(f, high - 1)->seq - (high - 1) == apart)
        return high - i;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (at(f, middle)->seq - middle == apart)
            low = middle + 1;
        else
            high = middle;
    }
    return low - i;
}

/* What matches after id and lies side by side in the window: [*seq, *end), empty when nothing is.
 */
static void
first_run(const struct feed *f, int64_t id, uint64_t *seq, uint64_t *end)
{
    uint64_t i;

    *seq = *end = f->window->head;
    if (f->everything) {
        *seq = window_after(f->window, id);
        return;
    }
    i = ring_after(f, id);
    if (i != f->head) {
        *seq = at(f, i)->seq;
        *end = *seq + neighbours(f, i);
    }
}

struct text
feed_run(const struct feed *f, int64_t *id, uint64_t bytes_max, int64_t *first, uint64_t *events,
         uint64_t *next_bytes)
{
    const struct window *w = f->window;
    uint64_t seq, end;
    struct text run;

    *next_bytes = *events = 0;
    first_run(f, *id, &seq, &end);
    if (seq == end)
        return TEXT_NONE;
    run = window_run(w, seq, bytes_max, &end);
    if (end == seq) {
        *next_bytes = window_at(w, seq)->frame_n;
        return TEXT_NONE;
    }
    *first = window_at(w, seq)->id;
    *events = end - seq;
    *id = window_at(w, end - 1)->id;
    return run;
}
