#include "stream/event_json.h"

#include "base/json.h"

enum err
event_json_check(struct text s, struct text *value, struct errbuf *eb)
{
    if (!text_is_utf8(s))
        return err_set(eb, ERR_INVALID, "not well-formed UTF-8");
    return json_check(s, value, eb);
}

enum err
event_json_members(struct text value, struct event_json *m, struct errbuf *eb)
{
    struct json_walk w;
    struct text name, member;

    *m = (struct event_json){0};
    if (json_kind(value) != JSON_OBJECT)
        return err_set(eb, ERR_INVALID, "not a JSON object");
    json_walk(&w, value);
    while (json_next(&w, &name, &member)) {
        struct text given = json_kind(member) == JSON_NULL ? TEXT_NONE : member;

        if (json_string_is(name, TEXT_LIT("topic")))
            m->topic = given;
        else if (json_string_is(name, TEXT_LIT("type")))
            m->type = given;
        else if (json_string_is(name, TEXT_LIT("key")))
            m->key = given;
        else if (json_string_is(name, TEXT_LIT("data")))
            m->data = member;
    }
    return ERR_OK;
}

size_t
event_json_room(const struct event_json *m)
{
    return m->topic.n + m->type.n + m->key.n + m->data.n;
}

static enum err
read_string(const char *member, struct text string, char **room, struct text *bytes,
            struct errbuf *eb)
{
    if (json_string_decode(string, room, bytes))
        return ERR_OK;
    return err_set(eb, ERR_INVALID, "%s has half a surrogate pair, %.*s, which is not a character",
                   member, (int)bytes->n, bytes->p);
}

static enum err
read_name(const char *member, struct text value, char **room, struct text *name, struct errbuf *eb)
{
    const char *what = "an object";

    *name = TEXT_NONE;
    if (!value.p)
        return ERR_OK;
    switch (json_kind(value)) {
    case JSON_STRING:
        return read_string(member, value, room, name, eb);
    case JSON_NUMBER:
    case JSON_BOOLEAN:
        *name = value;
        return ERR_OK;
    case JSON_NULL:
        what = "null";
        break;
    case JSON_ARRAY:
        what = "an array";
        break;
    case JSON_OBJECT:
        break;
    }
    return err_set(eb, ERR_INVALID, "%s is %s; it must be a string or a number", member, what);
}

enum err
event_json_read(const struct event_json *m, char **room, struct event *e, struct errbuf *eb)
{
    enum err err;

    *e = (struct event){0};
    err = read_name("topic", m->topic, room, &e->topic, eb);
    if (err == ERR_OK)
        err = read_name("type", m->type, room, &e->type, eb);
    if (err == ERR_OK)
        err = read_name("key", m->key, room, &e->key, eb);
    if (err != ERR_OK || !m->data.p)
        return err;
    if (json_kind(m->data) == JSON_STRING)
        return read_string("data", m->data, room, &e->data, eb);
    e->data = json_compact(m->data, room);
    return ERR_OK;
}
