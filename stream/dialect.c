#include "stream/dialect.h"

#include <string.h>

#include "stream/sse.h"

enum { REQUESTED_MAX = 64 }; /* bytes of the client's own text that a reset repeats */

void
dialect_init(struct dialect *d, enum dialect_kind kind, const char *epoch)
{
    size_t n = strnlen(epoch, CURSOR_EPOCH_MAX);

    *d = (struct dialect){.kind = kind};
    memcpy(d->epoch, epoch, n);
}

void
dialect_id(const struct dialect *d, struct buf *out, int64_t id)
{
    cursor_write(out, id, d->epoch);
}

enum cursor_reset
dialect_read_id(const struct dialect *d, struct text s, int64_t *id)
{
    return cursor_parse(s, d->epoch, id);
}

/* ---- events ---- */

void
dialect_json(const struct dialect *d, struct buf *out, const struct event *e)
{
    buf_string(out, "{\"id\":\"");
    dialect_id(d, out, e->id);
    buf_string(out, "\",\"topic\":");
    buf_json(out, e->topic);
    buf_string(out, ",\"type\":");
    if (e->type.p)
        buf_json(out, e->type);
    else
        buf_string(out, "null");
    buf_format(out, ",\"created\":%lld,\"data\":", (long long)e->created_ms);
    buf_json(out, e->data);
    buf_byte(out, '}');
}

static void
envelope(const struct dialect *d, struct buf *out, const struct event *e)
{
    struct buf json;

    buf_init(&json, SIZE_MAX / 4);
    dialect_json(d, &json, e);
    if (buf_failed(&json))
        out->failed = true;
    else
        sse_data_lines(out, buf_view(&json));
    buf_finish(&json);
}

void
dialect_event(const struct dialect *d, struct buf *out, const struct event *e)
{
    buf_append(out, "id: ", 4);
    dialect_id(d, out, e->id);
    buf_byte(out, '\n');
    sse_type_line(out, e->type);
    switch (d->kind) {
    case DIALECT_ENVELOPE:
        envelope(d, out, e);
        break;
    case DIALECT_PLAIN:
    case DIALECTS:
        sse_data_lines(out, e->data);
        break;
    }
    buf_byte(out, '\n');
}

/* ---- signals ---- */

static void
signal_json(struct buf *out, const char *name, const struct buf *json)
{
    if (buf_failed(json))
        out->failed = true;
    else
        sse_signal(out, name, buf_view(json));
}

static void
member_id(const struct dialect *d, struct buf *out, const char *name, int64_t id)
{
    buf_format(out, "\"%s\":", name);
    if (id > 0) {
        buf_byte(out, '"');
        dialect_id(d, out, id);
        buf_byte(out, '"');
    } else {
        buf_string(out, "null");
    }
}

void
dialect_position(const struct dialect *d, struct buf *out, enum dialect_signal signal, int64_t id)
{
    struct buf json;

    buf_init(&json, 128);
    buf_string(&json, "{\"id\":\"");
    dialect_id(d, &json, id);
    buf_string(&json, "\"}");
    buf_string(out, "id: ");
    dialect_id(d, out, id);
    buf_byte(out, '\n');
    signal_json(out, signal == DIALECT_LIVE ? "live" : "at", &json);
    buf_finish(&json);
}

void
dialect_reset_json(const struct dialect *d, struct buf *out, enum cursor_reset why,
                   struct text requested, const struct marks *m)
{
    buf_format(out, "{\"reason\":\"%s\",\"requested\":", cursor_reset_name(why));
    if (requested.n > REQUESTED_MAX)
        requested.n = REQUESTED_MAX;
    while (requested.n > 0 && !text_is_utf8(requested)) /* cut, or sent, in mid-character */
        requested.n--;
    buf_json(out, requested);
    buf_byte(out, ',');
    member_id(d, out, "oldest", m->oldest <= m->newest ? m->oldest : 0);
    buf_byte(out, ',');
    member_id(d, out, "newest", m->newest);
    buf_byte(out, '}');
}

void
dialect_reset(const struct dialect *d, struct buf *out, enum cursor_reset why,
              struct text requested, const struct marks *m)
{
    struct buf json;

    buf_init(&json, 1024);
    dialect_reset_json(d, &json, why, requested, m);
    signal_json(out, "reset", &json);
    buf_finish(&json);
}

void
dialect_limited(const struct dialect *d, struct buf *out, uint32_t asked, uint32_t found,
                int64_t from)
{
    struct buf json;

    buf_init(&json, 256);
    buf_format(&json, "{\"asked\":%u,\"found\":%u,", asked, found);
    member_id(d, &json, "from", from);
    buf_byte(&json, '}');
    signal_json(out, "limited", &json);
    buf_finish(&json);
}
