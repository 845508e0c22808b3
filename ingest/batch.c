#include "ingest/batch.h"

#include <assert.h>

#include "base/mem.h"
#include "ingest/bookmark.h"

/* The texts stand behind each other in `bytes` in this order; offsets, because growing moves it. */
struct batch_event {
    size_t at, data;
    uint16_t topic, type, key; /* lengths; they are at most 255 */
    bool has_type, has_key;
};

enum err
batch_init(struct batch *b, size_t events_max, size_t event_bytes_max)
{
    *b = (struct batch){.n_max = events_max};
    buf_init(&b->bytes,
             BATCH_BYTES + event_bytes_max + EVENT_TOPIC_MAX + EVENT_TYPE_MAX + EVENT_KEY_MAX);
    buf_init(&b->position, BOOKMARK_TEXT_MAX);
    b->events = mem_alloc(events_max * sizeof *b->events);
    return b->events ? ERR_OK : ERR_NOMEM;
}

void
batch_finish(struct batch *b)
{
    buf_finish(&b->bytes);
    buf_finish(&b->position);
    mem_free(b->events);
    b->events = NULL;
}

void
batch_clear(struct batch *b)
{
    buf_clear(&b->bytes);
    buf_clear(&b->position);
    b->has_position = false;
    b->n = 0;
}

bool
batch_full(const struct batch *b)
{
    return b->n == b->n_max || b->bytes.length >= BATCH_BYTES;
}

enum err
batch_add(struct batch *b, const struct event *e)
{
    struct batch_event *record = &b->events[b->n];
    size_t at = b->bytes.length;

    assert(!batch_full(b));
    if (!buf_reserve(&b->bytes, e->topic.n + e->type.n + e->key.n + e->data.n)) {
        b->bytes.failed = false; /* what was there before is whole */
        return ERR_NOMEM;
    }
    *record = (struct batch_event){.at = at,
                                   .data = e->data.n,
                                   .topic = (uint16_t)e->topic.n,
                                   .type = (uint16_t)e->type.n,
                                   .key = (uint16_t)e->key.n,
                                   .has_type = e->type.p != NULL,
                                   .has_key = e->key.p != NULL};
    buf_text(&b->bytes, e->topic);
    buf_text(&b->bytes, e->type);
    buf_text(&b->bytes, e->key);
    buf_text(&b->bytes, e->data);
    b->n++;
    return ERR_OK;
}

void
batch_get(const struct batch *b, size_t i, struct event *e)
{
    const struct batch_event *record = &b->events[i];
    const char *p = b->bytes.data + record->at;

    assert(i < b->n);
    *e = (struct event){.topic = {p, record->topic}};
    p += record->topic;
    if (record->has_type)
        e->type = (struct text){p, record->type};
    p += record->type;
    if (record->has_key)
        e->key = (struct text){p, record->key};
    p += record->key;
    e->data = (struct text){p, record->data};
}
