#include "stream/window.h"

#include <assert.h>

#include "base/mem.h"

enum { NAMES_MIN = 2 * (EVENT_TOPIC_MAX + EVENT_TYPE_MAX) };

enum err
window_init(struct window *w, uint64_t bytes_max, uint64_t events_max, int64_t start_id)
{
    uint64_t entries = 1;

    while (entries < events_max)
        entries *= 2;
    *w = (struct window){
        .frames.size = bytes_max,
        .names.size = bytes_max / 8 > NAMES_MIN ? bytes_max / 8 : NAMES_MIN,
        .entries_max = entries,
        .floor_id = start_id,
        .head_id = start_id,
    };
    w->frames.bytes = mem_alloc(w->frames.size);
    w->names.bytes = mem_alloc(w->names.size);
    w->entries = mem_alloc(entries * sizeof *w->entries);
    if (!w->frames.bytes || !w->names.bytes || !w->entries) {
        window_finish(w);
        return ERR_NOMEM;
    }
    return ERR_OK;
}

void
window_finish(struct window *w)
{
    mem_free(w->frames.bytes);
    mem_free(w->names.bytes);
    mem_free(w->entries);
    *w = (struct window){0};
}

const struct window_entry *
window_at(const struct window *w, uint64_t seq)
{
    assert(seq >= w->tail && seq < w->head);
    return &w->entries[seq & (w->entries_max - 1)];
}

static void
evict(struct window *w)
{
    w->floor_id = window_at(w, w->tail)->id;
    w->tail++;
}

/* Where n bytes will go: at the head, or at the next start of the ring if they would be split. */
static uint64_t
place(const struct window_ring *r, uint64_t n)
{
    uint64_t offset = r->head % r->size;

    return offset + n <= r->size ? r->head : r->head + (r->size - offset);
}

static void
put(struct window_ring *r, uint64_t at, struct text s)
{
    if (s.n)
        memcpy(r->bytes + at % r->size, s.p, s.n);
    r->head = at + s.n;
}

void
window_restart(struct window *w, int64_t id)
{
    assert(id >= w->head_id);
    w->tail = w->head;
    w->floor_id = w->head_id = id;
}

uint64_t
window_append(struct window *w, int64_t id, const struct label *label, struct text frame)
{
    struct text topic = label->topic, type = label->type;
    uint64_t frame_at = place(&w->frames, frame.n);
    uint64_t name_at = place(&w->names, topic.n + type.n);
    struct window_entry *e;

    assert(id > w->head_id);
    if (frame.n > w->frames.size || frame.n > UINT32_MAX || topic.n > INT16_MAX ||
        type.n > INT16_MAX || topic.n + type.n > w->names.size) {
        window_restart(w, id);
        return w->head;
    }
    while (w->tail < w->head) {
        const struct window_entry *oldest = window_at(w, w->tail);

        if (w->head - w->tail < w->entries_max &&
            frame_at + frame.n - oldest->frame_at <= w->frames.size &&
            name_at + topic.n + type.n - oldest->name_at <= w->names.size)
            break;
        evict(w);
    }
    e = &w->entries[w->head & (w->entries_max - 1)];
    *e = (struct window_entry){
        .id = id,
        .frame_at = frame_at,
        .name_at = name_at,
        .frame_n = (uint32_t)frame.n,
        .topic_n = (uint16_t)topic.n,
        .type_n = (int16_t)(type.p ? (int)type.n : -1),
    };
    put(&w->frames, frame_at, frame);
    put(&w->names, name_at, topic);
    put(&w->names, name_at + topic.n, type);
    w->head_id = id;
    return w->head++;
}

void
window_forget(struct window *w, int64_t id)
{
    while (w->tail < w->head && window_at(w, w->tail)->id <= id)
        evict(w);
    if (id > w->head_id)
        id = w->head_id;
    if (w->floor_id < id)
        w->floor_id = id;
}

void
window_advance(struct window *w, int64_t id)
{
    assert(id >= w->head_id);
    w->head_id = id;
    if (w->tail == w->head)
        w->floor_id = id;
}

uint64_t
window_after(const struct window *w, int64_t id)
{
    uint64_t low = w->tail, high = w->head;

    /* Most readers are at the head or one event behind it. */
    if (low == high || window_at(w, high - 1)->id <= id)
        return high;
    if (high - low == 1 || window_at(w, high - 2)->id <= id)
        return high - 1;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (window_at(w, middle)->id <= id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct text
window_frame(const struct window *w, uint64_t seq)
{
    const struct window_entry *e = window_at(w, seq);

    return (struct text){w->frames.bytes + e->frame_at % w->frames.size, e->frame_n};
}

struct label
window_label(const struct window *w, uint64_t seq)
{
    const struct window_entry *e = window_at(w, seq);
    const char *name = w->names.bytes + e->name_at % w->names.size;
    struct label label = {{name, e->topic_n}, TEXT_NONE};

    if (e->type_n >= 0)
        label.type = (struct text){name + e->topic_n, (size_t)e->type_n};
    return label;
}

struct text
window_run(const struct window *w, uint64_t seq, uint64_t bytes_max, uint64_t *end)
{
    uint64_t start = window_at(w, seq)->frame_at;
    uint64_t limit = start - start % w->frames.size + w->frames.size; /* the end of this lap */
    uint64_t low = seq, high = *end, n = 0;

    if (limit - start > bytes_max)
        limit = start + bytes_max;
    /* Positions grow with seq: search for the first entry that ends beyond the limit. */
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const struct window_entry *e = window_at(w, middle);

        if (e->frame_at + e->frame_n <= limit) {
            low = middle + 1;
            n = e->frame_at + e->frame_n - start;
        } else {
            high = middle;
        }
    }
    *end = low;
    return (struct text){w->frames.bytes + start % w->frames.size, n};
}
