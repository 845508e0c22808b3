#include "http/body.h"

#include "base/json.h"
#include "base/mem.h"
#include "http/form.h"
#include "stream/event_json.h"

enum { EVENTS_FIRST = 16 };

static enum err
make_room(struct body *b, struct errbuf *eb)
{
    if (b->n == BODY_EVENTS_MAX)
        return err_set(eb, ERR_FULL, "more than %d events in one request; send them in several",
                       BODY_EVENTS_MAX);
    return mem_grow(&b->events, b->n, &b->capacity, sizeof *b->events, EVENTS_FIRST)
               ? ERR_OK
               : err_nomem(eb);
}

/* There is room. */
static struct event *
new_event(struct body *b)
{
    struct event *e = &b->events[b->n++];

    *e = (struct event){0};
    return e;
}

/* *room takes the texts that differ from their bytes in the value. */
static enum err
read_event(struct body *b, struct text value, char **room, struct errbuf *eb)
{
    struct event_json members;
    enum err err = event_json_members(value, &members, eb);

    if (err == ERR_OK)
        err = make_room(b, eb);
    return err == ERR_OK ? event_json_read(&members, room, new_event(b), eb) : err;
}

static enum err
parse_json(struct body *b, struct text bytes, char **room, struct errbuf *eb)
{
    struct text value, name, element;
    struct json_walk w;
    struct errbuf why;
    enum err err = event_json_check(bytes, &value, eb);

    if (err != ERR_OK)
        return err;
    if (json_kind(value) != JSON_ARRAY)
        return read_event(b, value, room, eb);
    json_walk(&w, value);
    for (size_t number = 1; json_next(&w, &name, &element); number++) {
        err = read_event(b, element, room, &why);
        if (err != ERR_OK)
            return err_set(eb, err, "event %zu: %s", number, why.text);
    }
    return ERR_OK;
}

static enum err
parse_ndjson(struct body *b, struct text bytes, char **room, struct errbuf *eb)
{
    for (size_t number = 1; bytes.n > 0; number++) {
        struct text line, value;
        struct errbuf why;
        enum err err;

        text_cut(&bytes, '\n', &line);
        if (text_is_blank(line))
            continue;
        err = event_json_check(line, &value, &why);
        if (err == ERR_OK)
            err = read_event(b, value, room, &why);
        if (err != ERR_OK)
            return err_set(eb, err, "line %zu: %s", number, why.text);
    }
    return ERR_OK;
}

static enum err
parse_form(struct body *b, struct text bytes, struct errbuf *eb)
{
    struct event *e;
    struct text name, raw;
    enum err err = make_room(b, eb);

    if (err != ERR_OK)
        return err;
    e = new_event(b);
    while (form_next(&bytes, &name, &raw)) {
        static const char *const names[] = {"topic", "type", "data", "key"};
        struct text *members[] = {&e->topic, &e->type, &e->data, &e->key};
        char *value;
        size_t n;

        err = form_decode(raw, true, &value, &n, eb);
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

/* A decoded text is never longer than what was sent. */
enum err
body_parse(struct body *b, enum body_format format, struct text bytes, struct errbuf *eb)
{
    enum err err = ERR_OK;
    char *room;

    *b = (struct body){.room = format == BODY_FORM ? NULL : mem_alloc(bytes.n)};
    room = b->room;
    if (format != BODY_FORM && !room)
        return err_nomem(eb);
    switch (format) {
    case BODY_JSON:
        err = parse_json(b, bytes, &room, eb);
        break;
    case BODY_NDJSON:
        err = parse_ndjson(b, bytes, &room, eb);
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
    for (size_t i = 0; i < 4; i++)
        mem_free(b->form[i]);
    mem_free(b->room);
    mem_free(b->events);
    *b = (struct body){0};
}
