#include "stream/subscriber.h"

#include <assert.h>

void
gather_init(struct gather *g, size_t bytes_max)
{
    g->n = 1;
    g->bytes = g->scratch_n = 0;
    g->bytes_max = bytes_max;
}

static bool
has_room(const struct gather *g)
{
    return g->n < 1 + GATHER_PIECES && g->bytes < g->bytes_max;
}

static void
add_piece(struct gather *g, struct text piece)
{
    g->pieces[g->n++] = (struct iovec){(void *)piece.p, piece.n};
    g->bytes += piece.n;
}

/* False when it does not fit any more; the caller comes back with an empty gather. */
static bool
add_scratch(struct gather *g, const struct buf *block)
{
    char *at = g->scratch + g->scratch_n;

    if (buf_failed(block) || !has_room(g) || block->length > sizeof g->scratch - g->scratch_n ||
        block->length > g->bytes_max - g->bytes)
        return false;
    memcpy(at, block->data, block->length);
    g->scratch_n += block->length;
    add_piece(g, (struct text){at, block->length});
    return true;
}

static void
took(struct subscriber *s, int64_t first, uint64_t events)
{
    s->at.events += events;
    if (s->at.first_id == 0)
        s->at.first_id = first;
    s->at.last_id = s->at.known_id = s->at.pos.cursor;
}

/* The deletion that a page reports concerns this client if its position lies below and it has not
 * been told. */
static bool
tell_pruned(struct subscriber *s, struct gather *g, const struct page *p)
{
    const struct dialect *d = s->feed->dialect;
    struct buf block, requested;
    bool told;

    buf_init(&requested, CURSOR_SIZE);
    buf_init(&block, sizeof g->scratch);
    dialect_id(d, &requested, s->at.pos.cursor);
    dialect_reset(d, &block, CURSOR_PRUNED, buf_view(&requested), &p->marks);
    told = !buf_failed(&requested) && add_scratch(g, &block);
    buf_finish(&block);
    buf_finish(&requested);
    if (told)
        position_told(&s->at.pos, &p->marks, s->reset_now);
    return told;
}

/* Everything up to the cursor is with the client, and it is given this position. */
static bool
tell_position(struct subscriber *s, struct gather *g, enum dialect_signal signal)
{
    struct buf block;
    bool told;

    buf_init(&block, sizeof g->scratch);
    dialect_position(s->feed->dialect, &block, signal, s->at.pos.cursor);
    told = add_scratch(g, &block);
    buf_finish(&block);
    if (told)
        s->at.known_id = s->at.pos.cursor;
    return told;
}

static bool
tell_live(struct subscriber *s, struct gather *g)
{
    s->at.live_told = tell_position(s, g, DIALECT_LIVE);
    return s->at.live_told;
}

static enum gathered
from_feed(struct subscriber *s, struct gather *g)
{
    const struct feed *f = s->feed;

    while (has_room(g)) {
        int64_t first = 0;
        uint64_t events, larger;
        struct text run =
            feed_run(f, &s->at.pos.cursor, g->bytes_max - g->bytes, &first, &events, &larger);

        if (run.n > 0) {
            add_piece(g, run);
            took(s, first, events);
        } else if (larger == 0) {
            /* Nothing matches between the cursor and the head, so the position is the head. */
            if (s->at.pos.cursor < f->window->head_id)
                s->at.pos.cursor = f->window->head_id;
            return s->at.live_told || tell_live(s, g) ? GATHERED_ALL : GATHERED_PART;
        } else if (g->bytes > 0) {
            return GATHERED_PART;
        } else { /* one that is larger than a whole gather: alone */
            run = feed_run(f, &s->at.pos.cursor, larger, &first, &events, &larger);
            add_piece(g, run);
            took(s, first, events);
            return GATHERED_PART;
        }
    }
    return GATHERED_PART;
}

/* The page that knows what follows id, if it is at hand. */
static const struct page *
find_page(const struct feed *f, int64_t id)
{
    const struct page *p;

    TAILQ_FOREACH (p, &f->pages, in_feed)
        if (p->after <= id && id < p->through)
            return p;
    return NULL;
}

/* False when the gather is full. */
static bool
from_page(struct subscriber *s, struct gather *g, const struct page *p)
{
    size_t i = page_after(p, s->at.pos.cursor), end;

    while (i < p->n) {
        struct text run = page_run(p, i, g->bytes_max - g->bytes, &end);

        if (!has_room(g) || (end == i && g->bytes > 0))
            return false;
        if (end == i) {
            run = page_frame(p, i);
            end = i + 1;
        }
        add_piece(g, run);
        s->at.pos.cursor = p->entries[end - 1].id;
        took(s, p->entries[i].id, end - i);
        i = end;
    }
    s->at.pos.cursor = p->through;
    return s->at.pos.cursor - s->at.known_id < SUBSCRIBER_AT_ROWS ||
           tell_position(s, g, DIALECT_AT);
}

enum gathered
subscriber_gather(struct subscriber *s, struct gather *g)
{
    for (;;) {
        const struct page *p;

        if (feed_covers(s->feed, s->at.pos.cursor))
            return from_feed(s, g);
        p = find_page(s->feed, s->at.pos.cursor);
        if (!p)
            return GATHERED_BEHIND;
        if (position_missed(&s->at.pos, p->marks.pruned_through)) {
            if (!tell_pruned(s, g, p))
                return GATHERED_PART;
        } else if (!from_page(s, g, p)) {
            return GATHERED_PART;
        }
    }
}

bool
subscriber_say_at(struct subscriber *s, struct buf *out, int64_t rows)
{
    int64_t id = s->at.pos.cursor, first = 0;
    uint64_t events, larger;

    if (!s->joined || s->waiting || !s->at.live_told || !feed_covers(s->feed, id))
        return false;
    feed_run(s->feed, &id, 0, &first, &events, &larger);
    if (larger > 0) /* there is something for it, which gives its position */
        return false;
    if (s->at.pos.cursor < s->feed->window->head_id)
        s->at.pos.cursor = s->feed->window->head_id;
    if (s->at.pos.cursor - s->at.known_id < rows)
        return false;
    dialect_position(s->feed->dialect, out, DIALECT_AT, s->at.pos.cursor);
    s->at.known_id = s->at.pos.cursor;
    return true;
}
