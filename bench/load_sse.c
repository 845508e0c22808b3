#include "bench/load_sse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE_MAX_BYTES = 4 << 20,
};

enum chunk_step {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_DATA,
    CHUNK_END, /* the line end after the data */
};

void
sse_begin(struct sse *sse)
{
    sse->state = SSE_HEAD;
    sse->chunked = sse->has_data = sse->is_signal = false;
    sse->chunk_step = CHUNK_SIZE;
    sse->chunk_left = 0;
    sse->line_length = 0;
    sse->event = (struct sse_event){-1, -1};
    sse->id[!sse->id_now][0] = '\0'; /* of an event that was cut off */
}

void
sse_forget(struct sse *sse)
{
    sse->id[0][0] = sse->id[1][0] = '\0';
}

static void
keep(struct sse *sse, const char *bytes, size_t n)
{
    size_t need = sse->line_length + n;

    if (need > LINE_MAX_BYTES) {
        sse->state = SSE_ERROR;
        return;
    }
    if (need > sse->line_room) {
        size_t room = need < 512 ? 512 : need * 2;
        char *line = realloc(sse->line, room);

        if (!line) {
            perror("load");
            exit(1);
        }
        sse->line = line;
        sse->line_room = (uint32_t)room;
    }
    memcpy(sse->line + sse->line_length, bytes, n);
    sse->line_length = (uint32_t)need;
}

/* The integer after `name` in the JSON text, which is looked for from *at on; -1 without. */
static int64_t
member(const char **at, const char *end, const char *name, size_t length)
{
    const char *p = *at;
    int64_t value = 0;

    if ((size_t)(end - p) < length || memcmp(p, name, length) != 0)
        p = memmem(p, (size_t)(end - p), name, length);
    if (!p)
        return -1;
    for (p += length; p < end && (unsigned)(*p - '0') < 10; p++)
        value = value * 10 + (*p - '0');
    *at = p;
    return value;
}

static void
data(struct sse *sse, const char *p, const char *end)
{
    if (!sse->has_data) {
        if (p < end && *p == '{')
            p++;
        sse->event.seq = member(&p, end, "\"seq\":", 6);
        if (p < end && *p == ',')
            p++;
        sse->event.t = member(&p, end, "\"t\":", 4);
    }
    sse->has_data = true;
}

static const char *
value(const char *p, const char *end)
{
    return p < end && *p == ' ' ? p + 1 : p;
}

static void
dispatch(struct sse *sse, const struct sse_sink *sink, void *stream)
{
    if (sse->id[!sse->id_now][0])
        sse->id_now = !sse->id_now;
    if (sse->has_data && !sse->is_signal)
        sink->event(stream, &sse->event);
    sse->id[!sse->id_now][0] = '\0';
    sse->has_data = sse->is_signal = false;
    sse->event = (struct sse_event){-1, -1};
}

static void
line(struct sse *sse, const char *p, size_t n, const struct sse_sink *sink, void *stream)
{
    const char *end = p + n;

    if (n && end[-1] == '\r')
        end--;
    n = (size_t)(end - p);
    if (!n) {
        dispatch(sse, sink, stream);
    } else if (n >= 5 && memcmp(p, "data:", 5) == 0) {
        data(sse, value(p + 5, end), end);
    } else if (n >= 3 && memcmp(p, "id:", 3) == 0) {
        const char *id = value(p + 3, end);
        size_t length = (size_t)(end - id) < SSE_ID_MAX ? (size_t)(end - id) : SSE_ID_MAX - 1;

        memcpy(sse->id[!sse->id_now], id, length);
        sse->id[!sse->id_now][length] = '\0';
    } else if (n >= 6 && memcmp(p, "event:", 6) == 0) {
        const char *name = value(p + 6, end);

        if (end - name > 8 && memcmp(name, "freshet:", 8) == 0) {
            sse->is_signal = true;
            sink->signal(stream, name + 8, (size_t)(end - name - 8));
        }
    } else if (*p == ':') {
        sink->comment(stream);
    }
}

static void
text(struct sse *sse, const char *p, size_t n, const struct sse_sink *sink, void *stream)
{
    const char *end = p + n;

    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));

        if (!newline) {
            keep(sse, p, (size_t)(end - p));
            return;
        }
        if (sse->line_length) {
            keep(sse, p, (size_t)(newline - p));
            line(sse, sse->line, sse->line_length, sink, stream);
            sse->line_length = 0;
        } else {
            line(sse, p, (size_t)(newline - p), sink, stream);
        }
        p = newline + 1;
    }
}

static void
chunks(struct sse *sse, const char *p, size_t n, const struct sse_sink *sink, void *stream)
{
    const char *end = p + n;

    while (p < end && sse->state == SSE_BODY) {
        int digit;

        switch ((enum chunk_step)sse->chunk_step) {
        case CHUNK_SIZE:
            digit = *p >= '0' && *p <= '9'                 ? *p - '0'
                    : (*p | 32) >= 'a' && (*p | 32) <= 'f' ? (*p | 32) - 'a' + 10
                                                           : -1;
            if (digit >= 0) {
                sse->chunk_left = sse->chunk_left * 16 + (unsigned)digit;
                p++;
                break;
            }
            sse->chunk_step = CHUNK_EXTENSION;
            break;
        case CHUNK_EXTENSION:
            if (*p++ != '\n')
                break;
            if (!sse->chunk_left)
                sse->state = SSE_ENDED;
            sse->chunk_step = CHUNK_DATA;
            break;
        case CHUNK_DATA:
            n = (size_t)(end - p) < sse->chunk_left ? (size_t)(end - p) : (size_t)sse->chunk_left;
            text(sse, p, n, sink, stream);
            p += n;
            sse->chunk_left -= n;
            if (!sse->chunk_left)
                sse->chunk_step = CHUNK_END;
            break;
        case CHUNK_END:
            if (*p++ == '\n')
                sse->chunk_step = CHUNK_SIZE;
            break;
        }
    }
}

/* Collects the head in the line buffer; gives back how much of the bytes belonged to it. */
static size_t
head(struct sse *sse, const char *bytes, size_t n)
{
    size_t before = sse->line_length;
    char *end;

    keep(sse, bytes, n);
    end = memmem(sse->line, sse->line_length, "\r\n\r\n", 4);
    if (!end)
        return n;
    *end = '\0';
    sse->state = strncmp(sse->line, "HTTP/1.1 200", 12) == 0 ? SSE_BODY : SSE_ERROR;
    sse->chunked = strcasestr(sse->line, "\r\nTransfer-Encoding: chunked") != NULL;
    sse->line_length = 0;
    return (size_t)(end + 4 - sse->line) - before;
}

enum sse_state
sse_take(struct sse *sse, const char *bytes, size_t n, const struct sse_sink *sink, void *stream)
{
    if (sse->state == SSE_HEAD) {
        size_t used = head(sse, bytes, n);

        bytes += used;
        n -= used;
    }
    if (sse->state == SSE_BODY && sse->chunked)
        chunks(sse, bytes, n, sink, stream);
    else if (sse->state == SSE_BODY)
        text(sse, bytes, n, sink, stream);
    return sse->state;
}
