#include "stream/sse.h"

/* Where the byte is next, from `from` on; `end` where there is none. What was found before and
 * still lies ahead stays the answer: looking again for each line would make data of many CR and no
 * LF cost the square of its length. */
static const char *
next_byte(const char *from, const char *end, char byte, const char *found_before)
{
    const char *found;

    if (found_before && found_before >= from)
        return found_before;
    found = memchr(from, byte, (size_t)(end - from));
    return found ? found : end;
}

/* A browser ends a line at LF, CR or CRLF; splitting at LF alone would let data with a bare CR
 * start a field of its own and so forge an id. */
void
sse_data_lines(struct buf *out, struct text data)
{
    const char *at = data.n ? data.p : "", *end = at + data.n;
    const char *lf = NULL, *cr = NULL, *line_end;

    for (;;) {
        lf = next_byte(at, end, '\n', lf);
        cr = next_byte(at, end, '\r', cr);
        line_end = lf < cr ? lf : cr;
        buf_append(out, "data: ", 6);
        buf_append(out, at, (size_t)(line_end - at));
        buf_byte(out, '\n');
        if (line_end == end)
            return;
        at = line_end + 1;
        if (*line_end == '\r' && at < end && *at == '\n')
            at++;
    }
}

/* Up to the first line end: a row that evaded the schema's checks must not forge a field either. */
void
sse_type_line(struct buf *out, struct text type)
{
    size_t n = 0;

    if (!type.p)
        return;
    while (n < type.n && type.p[n] != '\n' && type.p[n] != '\r')
        n++;
    buf_append(out, "event: ", 7);
    buf_append(out, type.p, n);
    buf_byte(out, '\n');
}

void
sse_data(struct buf *out, struct text frame)
{
    bool first = true;

    while (frame.n > 0) {
        struct text line;

        text_cut(&frame, '\n', &line);
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
    buf_string(out, "event: " EVENT_SIGNAL_PREFIX);
    buf_string(out, name);
    buf_byte(out, '\n');
    sse_data_lines(out, data);
    buf_byte(out, '\n');
}

void
sse_retry(struct buf *out, int64_t retry_ms)
{
    buf_string(out, "retry: ");
    buf_int(out, retry_ms);
    buf_byte(out, '\n');
}

void
sse_comment(struct buf *out, struct text text)
{
    buf_string(out, ": ");
    buf_text(out, text);
    buf_byte(out, '\n');
}
