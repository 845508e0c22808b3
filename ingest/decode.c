#include "ingest/decode.h"

#include <errno.h>
#include <json-c/json.h>

#include "base/mem.h"
#include "stream/event.h"
#include "stream/event_json.h"
#include "stream/json.h"
#include "stream/pointer.h"

struct decode {
    const struct settings *settings;
    bool pointers;
    struct pointer topic_from, type_from, key_from, data_from; /* of the settings that are given */
    struct text topic, type;                                   /* where the input names none */
    struct json_tokener *tokener;
    struct json_object *tree; /* of the item before; the event's texts point into it */
};

/* The settings were checked: only memory may be short. */
static enum err
parse_pointers(struct decode *d)
{
    enum err err = pointer_parse(&d->topic_from, text_of(d->settings->topic_from));

    if (err == ERR_OK)
        err = pointer_parse(&d->type_from, text_of(d->settings->type_from));
    if (err == ERR_OK)
        err = pointer_parse(&d->key_from, text_of(d->settings->key_from));
    if (err == ERR_OK)
        err = pointer_parse(&d->data_from, text_of(d->settings->data_from));
    return err;
}

struct decode *
decode_create(const struct settings *settings)
{
    struct decode *d = mem_zalloc(sizeof *d);

    if (!d)
        return NULL;
    d->settings = settings;
    d->pointers = settings_have_pointers(settings);
    d->topic = text_of(settings->topic);
    d->type = text_of(settings->type);
    d->tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
    if (!d->tokener || parse_pointers(d) != ERR_OK) {
        decode_destroy(d);
        return NULL;
    }
    json_tokener_set_flags(d->tokener, JSON_TOKENER_STRICT);
    return d;
}

void
decode_destroy(struct decode *d)
{
    if (!d)
        return;
    pointer_finish(&d->topic_from);
    pointer_finish(&d->type_from);
    pointer_finish(&d->key_from);
    pointer_finish(&d->data_from);
    json_object_put(d->tree);
    if (d->tokener)
        json_tokener_free(d->tokener);
    mem_free(d);
}

/* json_check() is stricter than json-c; after it, the parser can only run out of memory. */
static enum err
parse(struct decode *d, struct text s, struct json_facts *facts, struct errbuf *why)
{
    enum err err;

    json_object_put(d->tree);
    d->tree = NULL;
    if (!text_is_utf8(s))
        return err_set(why, ERR_INVALID, "not well-formed UTF-8");
    err = json_check(s, facts, why);
    if (err != ERR_OK)
        return err;
    if (facts->first != '{' && facts->first != '[')
        return err_set(why, ERR_INVALID, "neither a JSON object nor an array");
    json_tokener_reset(d->tokener);
    d->tree = json_tokener_parse_ex(d->tokener, s.p, (int)s.n);
    if (!d->tree)
        return err_set(why, ERR_INVALID, "JSON: %s",
                       json_tokener_error_desc(json_tokener_get_error(d->tokener)));
    return ERR_OK;
}

static enum err
pointed_name(struct decode *d, const char *given, const struct pointer *pointer, const char *member,
             struct text *name, struct errbuf *why)
{
    struct json_object *value;

    if (!given || !pointer_get(pointer, d->tree, &value))
        return ERR_OK;
    return event_json_name(member, value, name, why);
}

/* Topic, type, key and data by the pointers; e->data is the whole value before. */
static enum err
apply_pointers(struct decode *d, const struct json_facts *facts, struct event *e,
               struct errbuf *why)
{
    const struct settings *s = d->settings;
    struct json_object *value;
    enum err err = pointed_name(d, s->topic_from, &d->topic_from, "topic", &e->topic, why);

    if (err == ERR_OK)
        err = pointed_name(d, s->type_from, &d->type_from, "type", &e->type, why);
    if (err == ERR_OK)
        err = pointed_name(d, s->key_from, &d->key_from, "key", &e->key, why);
    if (err != ERR_OK || !s->data_from)
        return err;
    if (!pointer_get(&d->data_from, d->tree, &value))
        return err_set(why, ERR_INVALID, "data: there is nothing at %s", s->data_from);
    if (facts->wide && !json_object_is_type(value, json_type_string))
        return err_set(why, ERR_INVALID,
                       "data: an integer of more than 18 digits would be changed");
    e->data = event_json_data(value);
    return e->data.p ? ERR_OK : err_set(why, ERR_NOMEM, "out of memory");
}

static enum err
decode_members(struct decode *d, struct text line, const struct json_facts *facts, struct event *e,
               struct errbuf *why)
{
    struct json_object *data;
    enum err err;

    if (!json_object_object_get_ex(d->tree, "data", &data)) {
        e->data = line;
        return d->topic.p ? ERR_OK
                          : err_set(why, ERR_INVALID,
                                    "no member \"data\"; with --topic or "
                                    "--topic-from the whole line is the data");
    }
    if (facts->wide && !json_object_is_type(data, json_type_string))
        return err_set(why, ERR_INVALID,
                       "data: an integer of more than 18 digits would be changed");
    err = event_json_read(d->tree, e, why);
    return err;
}

static bool
is_blank(struct text line)
{
    for (size_t i = 0; i < line.n; i++)
        if (line.p[i] != ' ' && line.p[i] != '\t' && line.p[i] != '\r')
            return false;
    return true;
}

static enum err
decode_json(struct decode *d, const struct split_item *item, struct event *e, struct errbuf *why)
{
    struct json_facts facts = {0};
    enum err err = parse(d, item->data, &facts, why);

    if (err != ERR_OK)
        return err;
    if (d->pointers) {
        e->data = item->data;
        return apply_pointers(d, &facts, e, why);
    }
    if (facts.first != '{')
        return err_set(why, ERR_INVALID, "not a JSON object");
    return decode_members(d, item->data, &facts, e, why);
}

/* What SSE says of itself: "message" is the type of an event without one. */
static void
take_fields(const struct decode *d, const struct split_item *item, struct event *e)
{
    e->data = item->data;
    if (item->type.p && !text_equal(item->type, TEXT_LIT("message")))
        e->type = item->type;
    if (d->settings->key_id && item->id.n)
        e->key = item->id;
}

enum decode_outcome
decode_item(struct decode *d, const struct split_item *item, struct event *e, struct errbuf *why)
{
    enum format format = (enum format)d->settings->format;
    enum err err = ERR_OK;

    *e = (struct event){0};
    if (format != FORMAT_NDJSON)
        take_fields(d, item, e);
    if (format == FORMAT_NDJSON && is_blank(item->data))
        return DECODE_NOTHING;
    if (text_starts(item->type, TEXT_LIT(EVENT_SIGNAL_PREFIX))) {
        e->type = item->type;
        return DECODE_SIGNAL;
    }
    if (format == FORMAT_NDJSON || (format == FORMAT_SSE && d->pointers))
        err = decode_json(d, item, e, why);
    if (!e->topic.p)
        e->topic = d->topic;
    if (!e->type.p)
        e->type = d->type;
    if (err == ERR_OK && !e->topic.p)
        err = err_set(why, ERR_INVALID,
                      d->settings->topic_from ? "no topic: there is nothing at %s" : "no topic",
                      d->settings->topic_from);
    if (err == ERR_OK)
        err = event_check(e, (size_t)d->settings->event_max, why);
    return err == ERR_OK ? DECODE_EVENT : DECODE_REJECT;
}
