#include "stream/event_json.h"

#include <stdint.h>

#include "stream/json.h"

static struct text
string_of(struct json_object *value)
{
    return (struct text){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
}

static struct text
compact(struct json_object *value)
{
    struct text s = TEXT_NONE;

    if (!value)
        return TEXT_LIT("null");
    s.p = json_object_to_json_string_length(
        value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &s.n);
    return s;
}

enum err
event_json_name(const char *member, struct json_object *value, struct text *name, struct errbuf *eb)
{
    switch (json_object_get_type(value)) {
    case json_type_string:
        *name = string_of(value);
        return ERR_OK;
    case json_type_int:
    case json_type_double:
    case json_type_boolean:
        *name = compact(value);
        return name->p ? ERR_OK : err_set(eb, ERR_NOMEM, "out of memory");
    case json_type_null:
    case json_type_object:
    case json_type_array:
        break;
    }
    return err_set(eb, ERR_INVALID, "%s is %s; it must be a string or a number", member,
                   !value                                        ? "null"
                   : json_object_is_type(value, json_type_array) ? "an array"
                                                                 : "an object");
}

struct text
event_json_data(struct json_object *value)
{
    return json_object_is_type(value, json_type_string) ? string_of(value) : compact(value);
}

enum err
event_json_parse(struct text s, size_t *room, struct json_object **tree, struct errbuf *eb)
{
    struct json_tokener *tokener;
    struct json_facts facts;
    enum err err;

    *tree = NULL;
    if (!text_is_utf8(s))
        return err_set(eb, ERR_INVALID, "not well-formed UTF-8");
    err = json_check(s, &facts, eb);
    if (err != ERR_OK)
        return err;
    if (facts.first != '{' && facts.first != '[')
        return err_set(eb, ERR_INVALID, "not a JSON object");
    if (facts.wide)
        return err_set(eb, ERR_INVALID,
                       "an integer of more than 18 digits would be changed; send it as a string");
    if (facts.tree_bytes > *room)
        return err_set(eb, ERR_FULL, "too many values for one request; send them in several");
    *room -= facts.tree_bytes;
    tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
    if (!tokener)
        return err_set(eb, ERR_NOMEM, "out of memory");
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    *tree = json_tokener_parse_ex(tokener, s.p, (int)s.n);
    json_tokener_free(tokener);
    /* After the check, the parser can only run out of memory. */
    return *tree ? ERR_OK : err_set(eb, ERR_NOMEM, "out of memory");
}

static enum err
read_name(struct json_object *object, const char *member, struct text *name, struct errbuf *eb)
{
    struct json_object *value = json_object_object_get(object, member);

    return value ? event_json_name(member, value, name, eb) : ERR_OK;
}

/* How many bytes the character at s has; 0 when there is none. */
static size_t
character(struct text s)
{
    for (size_t n = 1; n <= 4 && n <= s.n; n++)
        if (text_is_utf8((struct text){s.p, n}))
            return n;
    return 0;
}

void
event_json_text(struct buf *out, struct text s)
{
    struct buf clean;

    if (text_is_utf8(s)) {
        buf_json(out, s);
        return;
    }
    buf_init(&clean, SIZE_MAX / 2);
    while (s.n > 0) {
        size_t n = character(s);

        if (n > 0)
            buf_append(&clean, s.p, n);
        else
            buf_string(&clean, "\xef\xbf\xbd");
        n += n == 0;
        s = (struct text){s.p + n, s.n - n};
    }
    buf_json(out, buf_view(&clean));
    out->failed = out->failed || buf_failed(&clean);
    buf_finish(&clean);
}

void
event_json_write(struct buf *out, const struct event *e, const char *epoch)
{
    buf_format(out, "{\"id\":\"%lld-%s\",\"topic\":", (long long)e->id, epoch);
    event_json_text(out, e->topic);
    buf_string(out, ",\"type\":");
    if (e->type.p)
        event_json_text(out, e->type);
    else
        buf_string(out, "null");
    buf_format(out, ",\"created\":%lld,\"data\":", (long long)e->created_ms);
    event_json_text(out, e->data);
    buf_byte(out, '}');
}

enum err
event_json_read(struct json_object *object, struct event *e, struct errbuf *eb)
{
    struct json_object *data;
    enum err err;

    *e = (struct event){0};
    if (!json_object_is_type(object, json_type_object))
        return err_set(eb, ERR_INVALID, "not a JSON object");
    err = read_name(object, "topic", &e->topic, eb);
    if (err == ERR_OK)
        err = read_name(object, "type", &e->type, eb);
    if (err == ERR_OK)
        err = read_name(object, "key", &e->key, eb);
    if (err == ERR_OK && json_object_object_get_ex(object, "data", &data)) {
        e->data = event_json_data(data);
        if (!e->data.p)
            return err_set(eb, ERR_NOMEM, "out of memory");
    }
    return err;
}
