#include "stream/event.h"

#include <stdio.h>

static enum err
check_name(const char *member, struct text name, size_t max, struct errbuf *eb)
{
    if (name.n < 1 || name.n > max)
        return err_set(eb, ERR_INVALID, "%s has %zu bytes; it must have 1 to %zu", member, name.n,
                       max);
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];

        if (c < 0x20 || c == 0x7f)
            return err_set(eb, ERR_INVALID, "%s has the control character 0x%02x at byte %zu",
                           member, c, i + 1);
    }
    if (!text_is_utf8(name))
        return err_set(eb, ERR_INVALID, "%s is not well-formed UTF-8", member);
    return ERR_OK;
}

enum err
event_check_topic(struct text topic, struct errbuf *eb)
{
    return check_name("topic", topic, EVENT_TOPIC_MAX, eb);
}

enum err
event_check_type(struct text type, struct errbuf *eb)
{
    if (text_starts(type, TEXT_LIT(EVENT_SIGNAL_PREFIX)))
        return err_set(eb, ERR_INVALID, "type begins with \"%s\", which is kept for signals",
                       EVENT_SIGNAL_PREFIX);
    return check_name("type", type, EVENT_TYPE_MAX, eb);
}

enum err
event_check(const struct event *e, size_t data_max, struct errbuf *eb)
{
    enum err err = event_check_topic(e->topic, eb);

    if (err == ERR_OK && e->type.p)
        err = event_check_type(e->type, eb);
    if (err != ERR_OK)
        return err;
    if (!e->data.p)
        return err_set(eb, ERR_INVALID, "data is missing");
    if (e->data.n > data_max)
        return err_set(eb, ERR_INVALID, "data has %zu bytes; the most allowed is %zu", e->data.n,
                       data_max);
    if (e->data.n && memchr(e->data.p, '\0', e->data.n))
        return err_set(eb, ERR_INVALID, "data has a NUL byte");
    if (!text_is_utf8(e->data))
        return err_set(eb, ERR_INVALID, "data is not well-formed UTF-8");
    if (e->key.p && (e->key.n < 1 || e->key.n > EVENT_KEY_MAX))
        return err_set(eb, ERR_INVALID, "key has %zu bytes; it must have 1 to %d", e->key.n,
                       EVENT_KEY_MAX);
    if (e->key.p && memchr(e->key.p, '\0', e->key.n))
        return err_set(eb, ERR_INVALID, "key has a NUL byte");
    return ERR_OK;
}

static bool
has_part(struct text key)
{
    return key.n > 0 && memchr(key.p, EVENT_KEY_PART[0], key.n);
}

enum err
event_check_request(struct text key, const struct event *events, size_t n, struct errbuf *eb)
{
    int number = n > 1 ? snprintf(NULL, 0, EVENT_KEY_PART "%zu", n) : 0;

    for (size_t i = 0; i < n; i++)
        if (has_part(events[i].key))
            return err_set(eb, ERR_INVALID,
                           "event %zu: the key has the control character 0x1f, which is kept for "
                           "requests of several events",
                           i + 1);
    if (!key.p)
        return ERR_OK;
    if (has_part(key) || memchr(key.p, '\0', key.n))
        return err_set(eb, ERR_INVALID, "the request's key has a control character");
    if (key.n < 1 || key.n + (size_t)number > EVENT_KEY_MAX)
        return err_set(eb, ERR_INVALID, "the request's key has %zu bytes; it must have 1 to %d",
                       key.n, EVENT_KEY_MAX - number);
    return ERR_OK;
}

struct text
event_key(const struct event *e, struct text key, size_t i, size_t n, char room[EVENT_KEY_MAX + 1])
{
    if (e->key.p || !key.p || n == 1)
        return e->key.p ? e->key : key;
    snprintf(room, EVENT_KEY_MAX + 1, "%.*s" EVENT_KEY_PART "%zu", (int)key.n, key.p, i + 1);
    return text_of(room);
}
