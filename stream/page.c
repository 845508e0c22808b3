#include "stream/page.h"

#include <assert.h>

#include "base/mem.h"

enum { ENTRIES_FIRST = 64 };

struct page *
page_create(int64_t after, size_t bytes_max, const struct dialect *dialect)
{
    struct page *p = mem_zalloc(sizeof *p);

    if (p) {
        p->dialect = dialect;
        p->bytes_max = bytes_max;
        p->after = p->through = after;
        buf_init(&p->frames, SIZE_MAX / 2);
        buf_init(&p->names, SIZE_MAX / 2);
        buf_init(&p->answers, SIZE_MAX / 2);
    }
    return p;
}

static void
destroy_one(struct page *p)
{
    if (!p)
        return;
    buf_finish(&p->frames);
    buf_finish(&p->names);
    buf_finish(&p->answers);
    mem_free(p->entries);
    mem_free(p);
}

void
page_destroy(struct page *p)
{
    if (p)
        destroy_one(p->twin);
    destroy_one(p);
}

void
page_add_twin(struct page *p, const struct dialect *dialect)
{
    p->twin = page_create(p->after, SIZE_MAX, dialect);
}

void
page_ask(struct page *p, struct question_index *index)
{
    p->index = index;
    p->answer_bytes = index->words * sizeof *index->defaults;
    p->asked = index->applied;
}

/* Without memory the page knows no answers at all. */
static void
ask(struct page *p, struct text data)
{
    if (!p->index || p->answer_bytes == 0)
        return;
    question_index_answer(p->index, data, &p->answers);
    if (buf_failed(&p->answers)) {
        p->index = NULL;
        p->asked = 0;
    }
}

/* Takes back what was encoded last. */
static void
undo(struct page *p, size_t frames, size_t names)
{
    p->frames.length = frames;
    p->names.length = names;
    p->frames.failed = p->names.failed = false;
}

static enum page_added
encode(struct page *p, const struct event *e, bool with_names)
{
    size_t frames_before = p->frames.length, names_before = p->names.length;

    if (!mem_grow(&p->entries, p->n, &p->capacity, sizeof *p->entries, ENTRIES_FIRST))
        return PAGE_NO_MEMORY;
    dialect_event(p->dialect, &p->frames, e);
    if (with_names) {
        buf_text(&p->names, e->topic);
        buf_text(&p->names, e->type);
    }
    if (buf_failed(&p->frames) || buf_failed(&p->names)) {
        undo(p, frames_before, names_before);
        return PAGE_NO_MEMORY;
    }
    if (p->n > 0 && p->frames.length > p->bytes_max) {
        undo(p, frames_before, names_before);
        return PAGE_IS_FULL;
    }
    p->entries[p->n++] = (struct page_entry){
        .id = e->id,
        .frame_end = p->frames.length,
        .name_end = p->names.length,
        .topic_n = (uint16_t)e->topic.n,
        .type_n = (int16_t)(e->type.p ? (int)e->type.n : -1),
    };
    return PAGE_ADDED;
}

enum page_added
page_add(struct page *p, const struct event *e, bool with_names)
{
    enum page_added added = encode(p, e, with_names);

    if (added == PAGE_ADDED)
        ask(p, e->data);
    if (added == PAGE_ADDED && p->twin && encode(p->twin, e, false) != PAGE_ADDED) {
        page_destroy(p->twin);
        p->twin = NULL;
    }
    return added;
}

bool
page_knows(const struct page *p, const struct question *question)
{
    return p->asked >= question->since;
}

bool
page_answer(const struct page *p, size_t i, const struct question *question)
{
    const uint64_t *row = (const uint64_t *)(const void *)(p->answers.data + i * p->answer_bytes);

    return row[question->slot / 64] >> question->slot % 64 & 1;
}

size_t
page_after(const struct page *p, int64_t id)
{
    size_t low = 0, high = p->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (p->entries[middle].id <= id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t
frame_start(const struct page *p, size_t i)
{
    return i == 0 ? 0 : p->entries[i - 1].frame_end;
}

struct text
page_frame(const struct page *p, size_t i)
{
    size_t start = frame_start(p, i);

    return (struct text){p->frames.data + start, p->entries[i].frame_end - start};
}

struct label
page_label(const struct page *p, size_t i)
{
    const struct page_entry *e = &p->entries[i];
    size_t type_n = e->type_n > 0 ? (size_t)e->type_n : 0;
    const char *name = p->names.data + e->name_end - type_n - e->topic_n;
    struct label label = {{name, e->topic_n}, TEXT_NONE};

    if (e->type_n >= 0)
        label.type = (struct text){name + e->topic_n, type_n};
    return label;
}

struct text
page_run(const struct page *p, size_t i, size_t bytes_max, size_t *end)
{
    size_t start = frame_start(p, i), low = i, high = p->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (p->entries[middle].frame_end - start <= bytes_max)
            low = middle + 1;
        else
            high = middle;
    }
    *end = low;
    return (struct text){p->frames.data + start,
                         low > i ? p->entries[low - 1].frame_end - start : 0};
}

size_t
page_cost(const struct page *p)
{
    return sizeof *p + p->frames.capacity + p->names.capacity + p->answers.capacity +
           p->capacity * sizeof *p->entries;
}
