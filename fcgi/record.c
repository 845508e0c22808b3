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
