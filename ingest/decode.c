#include "ingest/decode.h"

#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "stream/event.h"
#include "stream/event_json.h"
#include "stream/pointer.h"

struct decode {
    const struct settings *settings;
    bool pointers;
    struct pointer topic_from, type_from, key_from, data_from; /* of the settings that are given */
    struct text topic, type;                                   /* where the input names none */
    struct buf valid; /* the item's texts, where bytes were replaced */
    int64_t replaced;
    struct buf room; /* the event's texts that are not as they stand in the item */
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
    buf_init(&d->valid, SIZE_MAX / 4);
    buf_init(&d->room, SIZE_MAX / 4);
    if (parse_pointers(d) != ERR_OK) {
        decode_destroy(d);
        return NULL;
    }
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
    buf_finish(&d->valid);
    buf_finish(&d->room);
    mem_free(d);
}

static struct text
pointed(const char *given, const struct pointer *pointer, struct text value)
{
    struct text found;

    return given && pointer_get(pointer, value, &found) ? found : TEXT_NONE;
}

/* Topic, type, key and data by the pointers; without --data-from e->data stays the whole item. */
static enum err
find_pointed(const struct decode *d, struct text value, struct event_json *m, struct errbuf *why)
{
    const struct settings *s = d->settings;

    *m = (struct event_json){
        .topic = pointed(s->topic_from, &d->topic_from, value),
        .type = pointed(s->type_from, &d->type_from, value),
        .key = pointed(s->key_from, &d->key_from, value),
        .data = pointed(s->data_from, &d->data_from, value),
    };
    if (s->data_from && !m->data.p)
        return err_set(why, ERR_INVALID, "data: there is nothing at %s", s->data_from);
    return ERR_OK;
}

/* An object without data is data itself, if --topic is given. */
static enum err
find_members(const struct decode *d, struct text value, struct event_json *m, struct errbuf *why)
{
    enum err err = event_json_members(value, m, why);

    if (err != ERR_OK || m->data.p)
        return err;
    if (!d->topic.p)
        return err_set(why, ERR_INVALID,
                       "no member \"data\"; with --topic or --topic-from the whole line is the "
                       "data");
    *m = (struct event_json){0};
    return ERR_OK;
}

/* Pointers may lead to the same value, so the room may be more than the item's length. */
static enum err
read_members(struct decode *d, const struct event_json *m, struct event *e, struct errbuf *why)
{
    char *room;

    buf_clear(&d->room);
    room = buf_reserve(&d->room, event_json_room(m));
    return room ? event_json_read(m, &room, e, why) : err_nomem(why);
}

/* What is found in the JSON goes before what the message says of itself. */
static enum err
decode_json(struct decode *d, struct text item, struct event *e, struct errbuf *why)
{
    struct event_json members;
    struct event found = {0};
    struct text value;
    enum err err = event_json_check(item, &value, why);

    if (err == ERR_OK)
        err = d->pointers ? find_pointed(d, value, &members, why)
                          : find_members(d, value, &members, why);
    if (err == ERR_OK)
        err = read_members(d, &members, &found, why);
    if (err != ERR_OK)
        return err;
    e->topic = found.topic;
    e->type = found.type.p ? found.type : e->type;
    e->key = found.key.p ? found.key : e->key;
    e->data = found.data.p ? found.data : item;
    return ERR_OK;
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

static enum decode_outcome
decode_valid(struct decode *d, const struct split_item *item, struct event *e, struct errbuf *why)
{
    enum format format = (enum format)d->settings->format;
    enum err err = ERR_OK;

    *e = (struct event){0};
    if (format != FORMAT_NDJSON)
        take_fields(d, item, e);
    if (format == FORMAT_NDJSON && text_is_blank(item->data))
        return DECODE_NOTHING;
    if (text_starts(item->type, TEXT_LIT(EVENT_SIGNAL_PREFIX))) {
        e->type = item->type;
        return DECODE_SIGNAL;
    }
    if (format == FORMAT_NDJSON || (format == FORMAT_SSE && d->pointers))
        err = decode_json(d, item->data, e, why);
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
    if (err == ERR_NOMEM)
        return DECODE_FAILED;
    return err == ERR_OK ? DECODE_EVENT : DECODE_REJECT;
}

/* Makes the item's texts views of d->valid, with U+FFFD in place of what is no UTF-8. */
static enum err
make_valid(struct decode *d, struct split_item *item)
{
    struct text *const texts[] = {&item->data, &item->type, &item->id};
    size_t at[4] = {0};

    buf_clear(&d->valid);
    for (size_t i = 0; i < 3; i++) {
        buf_utf8(&d->valid, *texts[i]);
        at[i + 1] = d->valid.length;
    }
    if (buf_failed(&d->valid))
        return ERR_NOMEM;
    for (size_t i = 0; i < 3; i++)
        if (texts[i]->p)
            *texts[i] = (struct text){buf_view(&d->valid).p + at[i], at[i + 1] - at[i]};
    return ERR_OK;
}

static bool
was_replaced(struct text s)
{
    static const struct text mark = TEXT_LIT("\xef\xbf\xbd");

    for (size_t i = 0; i + mark.n <= s.n; i++)
        if (memcmp(s.p + i, mark.p, mark.n) == 0)
            return true;
    return false;
}

enum decode_outcome
decode_item(struct decode *d, const struct split_item *item, struct event *e, struct errbuf *why)
{
    struct split_item valid = *item;
    enum decode_outcome outcome;

    if (d->settings->invalid_utf8 != INVALID_REPLACE ||
        (text_is_utf8(item->data) && text_is_utf8(item->type) && text_is_utf8(item->id)))
        return decode_valid(d, item, e, why);
    if (make_valid(d, &valid) != ERR_OK) {
        err_nomem(why);
        return DECODE_REJECT;
    }
    outcome = decode_valid(d, &valid, e, why);
    if (outcome == DECODE_EVENT && was_replaced(e->key)) {
        err_set(why, ERR_INVALID,
                "the key is not well-formed UTF-8; it could be taken for another one");
        return DECODE_REJECT;
    }
    d->replaced += outcome == DECODE_EVENT;
    return outcome;
}

int64_t
decode_replaced(const struct decode *d)
{
    return d->replaced;
}
