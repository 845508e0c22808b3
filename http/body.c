#include "http/body.h"

#include <json-c/json.h>

#include "base/mem.h"
#include "http/form.h"
#include "stream/event_json.h"

enum { TREES_FIRST = 16, TREES_MAX_BYTES = 128 * 1024 * 1024 };

static struct event *
new_event(struct body *b)
{
    if (b->n == b->capacity) {
        size_t capacity = b->capacity ? b->capacity * 2 : TREES_FIRST;
        struct event *events = mem_realloc(b->events, capacity * sizeof *events);

        if (!events)
            return NULL;
        b->events = events;
        b->capacity = capacity;
    }
    b->events[b->n] = (struct event){0};
    return &b->events[b->n++];
}

static enum err
no_memory(struct errbuf *eb)
{
    return err_set(eb, ERR_NOMEM, "out of memory");
}

/* The tree is kept. */
static enum err
parse_tree(struct body *b, struct text s, struct json_object **tree, struct errbuf *eb)
{
    struct json_object **trees;
    enum err err;

    if (b->n_trees == b->trees_capacity) {
        size_t capacity = b->trees_capacity ? b->trees_capacity * 2 : TREES_FIRST;

        trees = mem_realloc(b->trees, capacity * sizeof(struct json_object *));
        if (!trees)
            return no_memory(eb);
        b->trees = trees;
        b->trees_capacity = capacity;
    }
    err = event_json_parse(s, &b->tree_room, tree, eb);
    if (err == ERR_OK)
        b->trees[b->n_trees++] = *tree;
    return err;
}

static enum err
read_event(struct body *b, struct json_object *object, struct errbuf *eb)
{
    struct event *e = new_event(b);

    return e ? event_json_read(object, e, eb) : no_memory(eb);
}

static enum err
parse_json(struct body *b, struct text bytes, struct errbuf *eb)
{
    struct json_object *tree = NULL;
    struct errbuf why;
    enum err err = parse_tree(b, bytes, &tree, eb);

    if (err != ERR_OK)
        return err;
    if (!json_object_is_type(tree, json_type_array))
        return read_event(b, tree, eb);
    for (size_t i = 0; i < json_object_array_length(tree); i++) {
        err = read_event(b, json_object_array_get_idx(tree, i), &why);
        if (err != ERR_OK)
            return err_set(eb, err, "event %zu: %s", i + 1, why.text);
    }
    return ERR_OK;
}

static bool
is_blank(struct text line)
{
    for (size_t i = 0; i < line.n; i++)
        if (!memchr(" \t\r", line.p[i], 3))
            return false;
    return true;
}

static enum err
parse_ndjson(struct body *b, struct text bytes, struct errbuf *eb)
{
    for (size_t number = 1; bytes.n > 0; number++) {
        const char *lf = memchr(bytes.p, '\n', bytes.n);
        struct text line = {bytes.p, lf ? (size_t)(lf - bytes.p) : bytes.n};
        size_t used = line.n + (lf ? 1 : 0);
        struct json_object *tree = NULL;
        struct errbuf why;
        enum err err;

        bytes = (struct text){bytes.p + used, bytes.n - used};
        if (is_blank(line))
            continue;
        err = parse_tree(b, line, &tree, &why);
        if (err == ERR_OK)
            err = read_event(b, tree, &why);
        if (err != ERR_OK)
            return err_set(eb, err, "line %zu: %s", number, why.text);
    }
    return ERR_OK;
}

static enum err
parse_form(struct body *b, struct text bytes, struct errbuf *eb)
{
    struct event *e = new_event(b);
    struct text name, raw;

    if (!e)
        return no_memory(eb);
    while (form_next(&bytes, &name, &raw)) {
        static const char *const names[] = {"topic", "type", "data", "key"};
        struct text *members[] = {&e->topic, &e->type, &e->data, &e->key};
        char *value;
        size_t n;
        enum err err = form_decode(raw, true, &value, &n, eb);

        if (err != ERR_OK)
            return err;
        for (size_t i = 0; value && i < 4; i++) {
            if (!text_equal(name, text_of(names[i])))
                continue;
            mem_free(b->form[i]);
            b->form[i] = value;
            *members[i] = (struct text){value, n};
            value = NULL;
        }
        mem_free(value);
    }
    return ERR_OK;
}

enum err
body_parse(struct body *b, enum body_format format, struct text bytes, struct errbuf *eb)
{
    enum err err = ERR_OK;

    *b = (struct body){.tree_room = TREES_MAX_BYTES};
    switch (format) {
    case BODY_JSON:
        err = parse_json(b, bytes, eb);
        break;
    case BODY_NDJSON:
        err = parse_ndjson(b, bytes, eb);
        break;
    case BODY_FORM:
        err = parse_form(b, bytes, eb);
        break;
    }
    if (err == ERR_OK && b->n == 0)
        err = err_set(eb, ERR_INVALID, "there is no event in the body");
    return err;
}

void
body_finish(struct body *b)
{
    for (size_t i = 0; i < b->n_trees; i++)
        json_object_put(b->trees[i]);
    for (size_t i = 0; i < 4; i++)
        mem_free(b->form[i]);
    mem_free(b->trees);
    mem_free(b->events);
    *b = (struct body){0};
}
