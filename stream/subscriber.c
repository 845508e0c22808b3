#include "stream/subscriber.h"

#include <assert.h>
#include <stdio.h>

#include "stream/sse.h"

enum { REQUESTED_MAX = 64 }; /* bytes of the client's own text that a reset repeats */

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
took(struct subscriber *s, int64_t first)
{
    if (s->at.first_id == 0)
        s->at.first_id = first;
    s->at.last_id = s->at.pos.cursor;
}

static void
json_id(struct buf *out, const char *name, int64_t id, const char *epoch)
{
    buf_format(out, "\"%s\":", name);
    if (id > 0)
        buf_format(out, "\"%lld-%s\"", (long long)id, epoch);
    else
        buf_string(out, "null");
}

void
subscriber_reset_json(struct buf *out, enum cursor_reset why, struct text requested, int64_t oldest,
                      int64_t newest, const char *epoch)
{
    buf_format(out, "{\"reason\":\"%s\",\"requested\":", cursor_reset_name(why));
    if (requested.n > REQUESTED_MAX)
        requested.n = REQUESTED_MAX;
    while (requested.n > 0 && !text_is_utf8(requested)) /* cut, or sent, in mid-character */
        requested.n--;
    buf_json(out, requested);
    buf_byte(out, ',');
    json_id(out, "oldest", oldest <= newest ? oldest : 0, epoch);
    buf_byte(out, ',');
    json_id(out, "newest", newest, epoch);
    buf_byte(out, '}');
}

void
subscriber_reset(struct buf *out, enum cursor_reset why, struct text requested, int64_t oldest,
                 int64_t newest, const char *epoch)
{
    struct buf json;

    buf_init(&json, 1024);
    subscriber_reset_json(&json, why, requested, oldest, newest, epoch);
    if (buf_failed(&json))
        out->failed = true;
    else
        sse_signal(out, "reset", buf_view(&json));
    buf_finish(&json);
}

/* The deletion that a page reports concerns this client if its position lies below and it has not
 * been told. */
static bool
tell_pruned(struct subscriber *s, struct gather *g, const struct page *p, const char *epoch)
{
    struct buf block;
    char requested[SSE_ID_SIZE];
    bool told;

    snprintf(requested, sizeof requested, "%lld-%s", (long long)s->at.pos.cursor, epoch);
    buf_init(&block, sizeof g->scratch);
    subscriber_reset(&block, CURSOR_PRUNED, text_of(requested), p->marks.oldest, p->marks.newest,
                     epoch);
    told = add_scratch(g, &block);
    buf_finish(&block);
    if (told)
        position_told(&s->at.pos, &p->marks, s->reset_now);
    return told;
}

static bool
tell_live(struct subscriber *s, struct gather *g, const char *epoch)
{
    struct buf block;
    char json[64];
    bool told;

    snprintf(json, sizeof json, "{\"id\":\"%lld-%s\"}", (long long)s->at.pos.cursor, epoch);
    buf_init(&block, sizeof g->scratch);
    sse_signal(&block, "live", text_of(json));
    told = add_scratch(g, &block);
    buf_finish(&block);
    s->at.live_told = told;
    return told;
}

static enum gathered
from_feed(struct subscriber *s, struct gather *g, const char *epoch)
{
    const struct feed *f = s->feed;

    while (has_room(g)) {
        int64_t first = 0;
        uint64_t larger;
        struct text run =
            feed_run(f, &s->at.pos.cursor, g->bytes_max - g->bytes, &first, &s->at.events, &larger);

        if (run.n > 0) {
            add_piece(g, run);
            took(s, first);
        } else if (larger == 0) {
            /* Nothing matches between the cursor and the head, so the position is the head. */
            if (s->at.pos.cursor < f->window->head_id)
                s->at.pos.cursor = f->window->head_id;
            return s->at.live_told || tell_live(s, g, epoch) ? GATHERED_ALL : GATHERED_PART;
        } else if (g->bytes > 0) {
            return GATHERED_PART;
        } else { /* one that is larger than a whole gather: alone */
            run = feed_run(f, &s->at.pos.cursor, larger, &first, &s->at.events, &larger);
            add_piece(g, run);
            took(s, first);
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
        s->at.events += end - i;
        took(s, p->entries[i].id);
        i = end;
    }
    s->at.pos.cursor = p->through;
    return true;
}

enum gathered
subscriber_gather(struct subscriber *s, struct gather *g, const char *epoch)
{
    for (;;) {
        const struct page *p;

        if (feed_covers(s->feed, s->at.pos.cursor))
            return from_feed(s, g, epoch);
        p = find_page(s->feed, s->at.pos.cursor);
        if (!p)
            return GATHERED_BEHIND;
        if (position_missed(&s->at.pos, p->marks.pruned_through)) {
            if (!tell_pruned(s, g, p, epoch))
                return GATHERED_PART;
        } else if (!from_page(s, g, p)) {
            return GATHERED_PART;
        }
    }
}
