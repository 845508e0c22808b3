#include "stream/sse.h"

/* A browser ends a line at LF, CR or CRLF; splitting at LF alone would let data with a bare CR
 * start a field of its own and so forge an id. */
static size_t
line_length(struct text s)
{
    const char *lf = memchr(s.p, '\n', s.n);
    size_t n = lf ? (size_t)(lf - s.p) : s.n;
    const char *cr = memchr(s.p, '\r', n);

    return cr ? (size_t)(cr - s.p) : n;
}

static void
data_lines(struct buf *out, struct text data)
{
    for (;;) {
        size_t n = data.n ? line_length(data) : 0;

        buf_append(out, "data: ", 6);
        buf_append(out, data.p, n);
        buf_byte(out, '\n');
        if (n == data.n)
            return;
        n += data.p[n] == '\r' && n + 1 < data.n && data.p[n + 1] == '\n' ? 2 : 1;
        data = (struct text){data.p + n, data.n - n};
    }
}

void
sse_event(struct buf *out, const struct event *e, const char *epoch)
{
    buf_append(out, "id: ", 4);
    buf_int(out, e->id);
    buf_byte(out, '-');
    buf_string(out, epoch);
    if (e->type.p) {
        buf_append(out, "\nevent: ", 8);
        buf_text(out, e->type);
    }
    buf_byte(out, '\n');
    data_lines(out, e->data);
    buf_byte(out, '\n');
}

void
sse_data(struct buf *out, struct text frame)
{
    bool first = true;

    while (frame.n > 0) {
        const char *lf = memchr(frame.p, '\n', frame.n);
        struct text line = {frame.p, lf ? (size_t)(lf - frame.p) : frame.n};
        size_t used = line.n + (lf ? 1 : 0);

        frame = (struct text){frame.p + used, frame.n - used};
        if (!text_starts(line, TEXT_LIT("data: ")))
            continue;
        if (!first)
            buf_byte(out, '\n');
        first = false;
        buf_append(out, line.p + 6, line.n - 6);
    }
}

void
sse_signal(struct buf *out, const char *name, struct text data)
{
    buf_string(out, "event: " SSE_SIGNAL_PREFIX);
    buf_string(out, name);
    buf_byte(out, '\n');
    data_lines(out, data);
    buf_byte(out, '\n');
}

void
sse_retry(struct buf *out, int64_t retry_ms)
{
    buf_string(out, "retry: ");
    buf_int(out, retry_ms);
    buf_string(out, "\n\n");
}

void
sse_comment(struct buf *out, struct text text)
{
    buf_string(out, ": ");
    buf_text(out, text);
    buf_string(out, "\n\n");
}
