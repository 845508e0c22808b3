#include "fcgi/record.h"

#include <assert.h>
#include <fastcgi.h>

void
record_stdout_head(unsigned char head[RECORD_HEAD], uint16_t request_id, size_t n)
{
    assert(n >= 1 && n <= RECORD_CONTENT_MAX);
    head[0] = FCGI_VERSION_1;
    head[1] = FCGI_STDOUT;
    head[2] = (unsigned char)(request_id >> 8);
    head[3] = (unsigned char)request_id;
    head[4] = (unsigned char)(n >> 8);
    head[5] = (unsigned char)n;
    head[6] = 0;
    head[7] = 0;
}

void
record_stdout(struct buf *out, uint16_t request_id, struct text text)
{
    while (text.n > 0) {
        size_t n = text.n < RECORD_CONTENT_MAX ? text.n : RECORD_CONTENT_MAX;
        unsigned char head[RECORD_HEAD];

        record_stdout_head(head, request_id, n);
        buf_append(out, head, sizeof head);
        buf_append(out, text.p, n);
        text = (struct text){text.p + n, text.n - n};
    }
}

void
record_end(struct buf *out, uint16_t request_id)
{
    unsigned char high = (unsigned char)(request_id >> 8), low = (unsigned char)request_id;
    const unsigned char records[] = {
        FCGI_VERSION_1,
        FCGI_STDOUT,
        high,
        low,
        0,
        0,
        0,
        0, /* end of the stream */
        FCGI_VERSION_1,
        FCGI_END_REQUEST,
        high,
        low,
        0,
        8,
        0,
        0,
        0,
        0,
        0,
        0, /* status 0 */
        FCGI_REQUEST_COMPLETE,
        0,
        0,
        0,
    };

    buf_append(out, records, sizeof records);
}

enum record_look
record_look(struct text bytes, size_t *n)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    unsigned request_id = 0;

    for (size_t at = 0; bytes.n - at >= RECORD_HEAD;) {
        unsigned type = p[at + 1], id = (unsigned)p[at + 2] << 8 | p[at + 3];
        size_t content = (size_t)p[at + 4] << 8 | p[at + 5];

        if (p[at] != FCGI_VERSION_1 || id == 0 || (at > 0 && id != request_id))
            return RECORD_GARBAGE;
        if (at == 0 ? type != FCGI_BEGIN_REQUEST || content != 8 : type != FCGI_PARAMS)
            return RECORD_GARBAGE;
        if (at == 0 && bytes.n >= RECORD_HEAD + 2 && (p[8] << 8 | p[9]) != FCGI_RESPONDER)
            return RECORD_GARBAGE;
        request_id = id;
        if (bytes.n - at < RECORD_HEAD + content + p[at + 6])
            return RECORD_PARTLY;
        at += RECORD_HEAD + content + p[at + 6];
        if (type == FCGI_PARAMS && content == 0) {
            *n = at;
            return RECORD_WHOLE;
        }
    }
    return RECORD_PARTLY;
}

bool
record_keeps(struct text bytes)
{
    const FCGI_BeginRequestRecord *begin = (const FCGI_BeginRequestRecord *)bytes.p;

    return bytes.n >= sizeof *begin && begin->body.flags & FCGI_KEEP_CONN;
}

static size_t
smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* A header is complete: RECORD_MORE unless it says it all. */
static enum record_read
begin_record(struct record_reader *r)
{
    r->content_n = (uint16_t)(r->head[4] << 8 | r->head[5]);
    r->padding_n = r->head[6];
    if (r->head[0] != FCGI_VERSION_1 || (r->head[2] << 8 | r->head[3]) != r->request_id)
        return RECORD_INVALID;
    if (r->head[1] == FCGI_ABORT_REQUEST)
        return RECORD_ABORT;
    return r->ended || r->head[1] != FCGI_STDIN ? RECORD_INVALID : RECORD_MORE;
}

/* A record is complete, its padding included. */
static enum record_read
end_record(struct record_reader *r)
{
    r->head_n = 0;
    r->ended = r->head[1] == FCGI_STDIN && r->head[4] == 0 && r->head[5] == 0;
    return r->ended ? RECORD_END : RECORD_MORE;
}

enum record_read
record_read(struct record_reader *r, struct text *bytes, struct buf *body)
{
    enum record_read said = RECORD_MORE;

    while (said == RECORD_MORE && bytes->n > 0) {
        size_t n;

        if (r->head_n < RECORD_HEAD) {
            n = smaller(RECORD_HEAD - r->head_n, bytes->n);
            memcpy(r->head + r->head_n, bytes->p, n);
            r->head_n = (uint8_t)(r->head_n + n);
            if (r->head_n == RECORD_HEAD)
                said = begin_record(r);
        } else if (r->content_n > 0) {
            n = smaller(r->content_n, bytes->n);
            if (body && r->head[1] == FCGI_STDIN)
                buf_append(body, bytes->p, n);
            r->content_n = (uint16_t)(r->content_n - n);
        } else {
            n = smaller(r->padding_n, bytes->n);
            r->padding_n = (uint8_t)(r->padding_n - n);
        }
        *bytes = (struct text){bytes->p + n, bytes->n - n};
        if (said == RECORD_MORE && r->head_n == RECORD_HEAD && r->content_n == 0 &&
            r->padding_n == 0)
            said = end_record(r);
    }
    return said;
}
