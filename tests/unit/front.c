#include "tests/unit/front.h"

#include "fcgi/record.h"

void
put_record(struct buf *b, int type, unsigned id, struct text content, size_t padding)
{
    unsigned char head[RECORD_HEAD] = {1,
                                       (unsigned char)type,
                                       (unsigned char)(id >> 8),
                                       (unsigned char)id,
                                       (unsigned char)(content.n >> 8),
                                       (unsigned char)content.n,
                                       (unsigned char)padding,
                                       0};

    assert_true(content.n <= 65535 && padding <= 255);
    buf_append(b, head, sizeof head);
    buf_append(b, content.p, content.n);
    while (padding-- > 0)
        buf_byte(b, '#');
}

void
put_begin(struct buf *b, unsigned id)
{
    put_record(b, BEGIN, id, (struct text){"\0\1\0\0\0\0\0\0", 8}, 0);
}

static void
put_length(struct buf *b, size_t n)
{
    if (n < 128) {
        buf_byte(b, (char)n);
    } else {
        buf_byte(b, (char)(n >> 24 | 0x80));
        buf_byte(b, (char)(n >> 16));
        buf_byte(b, (char)(n >> 8));
        buf_byte(b, (char)n);
    }
}

void
put_pair(struct buf *b, struct text name, struct text value)
{
    put_length(b, name.n);
    put_length(b, value.n);
    buf_text(b, name);
    buf_text(b, value);
}

void
put_request(struct buf *b, unsigned id, struct text pairs, size_t content_max, size_t padding)
{
    put_begin(b, id);
    while (pairs.n > 0) {
        size_t n = pairs.n < content_max ? pairs.n : content_max;

        put_record(b, PARAMS, id, (struct text){pairs.p, n}, padding);
        pairs = (struct text){pairs.p + n, pairs.n - n};
    }
    put_record(b, PARAMS, id, TEXT_LIT(""), padding);
}

void
put_typical_pairs(struct buf *b)
{
    put_pair(b, TEXT_LIT("QUERY_STRING"), TEXT_LIT("topic=a&last=5"));
    put_pair(b, TEXT_LIT("REQUEST_METHOD"), TEXT_LIT("GET"));
    put_pair(b, TEXT_LIT("HTTP_LAST_EVENT_ID"), TEXT_LIT(""));
    put_pair(b, TEXT_LIT("HTTP_X"), TEXT_LIT("y"));
    put_pair(b, TEXT_LIT("REMOTE_ADDR"), TEXT_LIT("2001:db8::1"));
}
