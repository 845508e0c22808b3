#include "fcgi/record.h"

#include <assert.h>
#include <fastcgi.h>
#include <stdio.h>

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

static size_t
smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Types that an application sends, or that belong to a request, are not management records even
 * without a request id. */
static bool
is_management(const unsigned char *head)
{
    return head[0] == FCGI_VERSION_1 && head[1] >= FCGI_GET_VALUES && head[2] == 0 && head[3] == 0;
}

enum record_look
record_look(struct text bytes, size_t *n)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    unsigned request_id = 0;

    if (bytes.n >= RECORD_HEAD && is_management(p)) {
        size_t all = RECORD_HEAD + ((size_t)p[4] << 8 | p[5]) + p[6];

        if (bytes.n < all)
            return RECORD_PARTLY;
        *n = all;
        return RECORD_MANAGEMENT;
    }
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

/* The PARAMS stream as one sequence of bytes. */
struct params {
    struct text rest; /* content first, then padding and other records */
    size_t content_n, padding_n;
    bool ended;
};

static bool
next_params_record(struct params *s)
{
    const unsigned char *p;
    size_t before = s->padding_n + RECORD_HEAD;

    if (s->ended || s->rest.n < before)
        return false;
    p = (const unsigned char *)s->rest.p + s->padding_n;
    s->rest = (struct text){s->rest.p + before, s->rest.n - before};
    s->content_n = (size_t)p[4] << 8 | p[5];
    s->padding_n = p[6];
    s->ended = s->content_n == 0;
    return !s->ended && s->content_n <= s->rest.n;
}

/* Copies the next n bytes, or skips them where `to` is NULL; false when there are fewer. */
static bool
take_params(struct params *s, unsigned char *to, size_t n)
{
    while (n > 0) {
        size_t piece = smaller(n, s->content_n);

        if (piece == 0) {
            if (!next_params_record(s))
                return false;
            continue;
        }
        if (to)
            memcpy(to, s->rest.p, piece);
        to = to ? to + piece : NULL;
        s->rest = (struct text){s->rest.p + piece, s->rest.n - piece};
        s->content_n -= piece;
        n -= piece;
    }
    return true;
}

/* A length is one byte below 128, or four with the highest bit set. */
static bool
finish_length(struct params *s, unsigned char first, size_t *n)
{
    unsigned char more[3];

    *n = first;
    if (first < 128)
        return true;
    if (!take_params(s, more, sizeof more))
        return false;
    *n = (size_t)(first & 0x7f) << 24 | (size_t)more[0] << 16 | (size_t)more[1] << 8 | more[2];
    return true;
}

bool
record_params_fit(struct text bytes)
{
    const size_t begin_n = 2 * RECORD_HEAD; /* FCGI_BEGIN_REQUEST has eight bytes of content */
    struct params s = {0};
    unsigned char first;
    size_t name_n, value_n;

    if (bytes.n < begin_n)
        return false;
    s.rest = (struct text){bytes.p + begin_n, bytes.n - begin_n};
    s.padding_n = (unsigned char)bytes.p[6];
    while (take_params(&s, &first, 1))
        if (!finish_length(&s, first, &name_n) || !take_params(&s, &first, 1) ||
            !finish_length(&s, first, &value_n) || !take_params(&s, NULL, name_n + value_n))
            return false;
    return s.ended;
}

/* ---- management ---- */

static const char *const value_names[] = {FCGI_MAX_CONNS, FCGI_MAX_REQS, FCGI_MPXS_CONNS};
enum { VALUE_CONNS, VALUE_REQS, VALUE_MPXS, VALUES };

/* Notes which values are asked for; what comes with a name counts for nothing. */
static bool
read_names(struct text content, bool asked[VALUES])
{
    struct params s = {.rest = content, .content_n = content.n, .ended = true};
    unsigned char first, name[16] = {0};
    size_t name_n, value_n;

    while (take_params(&s, &first, 1)) {
        if (!finish_length(&s, first, &name_n) || !take_params(&s, &first, 1) ||
            !finish_length(&s, first, &value_n) ||
            !take_params(&s, name_n <= sizeof name ? name : NULL, name_n) ||
            !take_params(&s, NULL, value_n))
            return false;
        for (int i = 0; i < VALUES && name_n <= sizeof name; i++)
            asked[i] |= text_equal((struct text){(char *)name, name_n}, text_of(value_names[i]));
    }
    return s.content_n == 0;
}

static void
put_management(struct buf *out, int type, struct text content)
{
    const unsigned char head[RECORD_HEAD] = {FCGI_VERSION_1,          (unsigned char)type, 0, 0, 0,
                                             (unsigned char)content.n};

    assert(content.n < 128);
    buf_append(out, head, sizeof head);
    buf_text(out, content);
}

bool
record_answer_management(struct buf *out, struct text record, uint64_t connections_max)
{
    const unsigned char *p = (const unsigned char *)record.p;
    const char unknown[8] = {record.p[1]};
    bool asked[VALUES] = {false};
    char pairs[128], value[24];
    size_t n = 0;

    if (p[1] != FCGI_GET_VALUES) {
        put_management(out, FCGI_UNKNOWN_TYPE, (struct text){unknown, sizeof unknown});
        return true;
    }
    if (!read_names((struct text){record.p + RECORD_HEAD, (size_t)p[4] << 8 | p[5]}, asked))
        return false;
    for (int i = 0; i < VALUES; i++) {
        snprintf(value, sizeof value, "%llu",
                 i == VALUE_MPXS ? 0 : (unsigned long long)connections_max);
        if (asked[i])
            n += (size_t)snprintf(pairs + n, sizeof pairs - n, "%c%c%s%s",
                                  (int)strlen(value_names[i]), (int)strlen(value), value_names[i],
                                  value);
    }
    put_management(out, FCGI_GET_VALUES_RESULT, (struct text){pairs, n});
    return true;
}

/* ---- what follows a request's head ---- */

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
