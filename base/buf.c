#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

enum { CAPACITY_MIN = 64 };

void
buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void
buf_finish(struct buf *b)
{
    mem_free(b->data);
    *b = (struct buf){.max = b->max};
}

void
buf_clear(struct buf *b)
{
    b->length = 0;
    b->failed = false;
}

char *
buf_reserve(struct buf *b, size_t n)
{
    size_t capacity = b->capacity ? b->capacity : CAPACITY_MIN;
    char *data;

    if (b->failed)
        return NULL;
    if (n > b->max - b->length) {
        b->failed = true;
        return NULL;
    }
    if (b->data && n <= b->capacity - b->length)
        return b->data + b->length;
    while (capacity < b->length + n)
        capacity = capacity > b->max / 2 ? b->max : capacity * 2;
    if (capacity > b->max)
        capacity = b->max;
    data = mem_realloc(b->data, capacity);
    if (!data) {
        b->failed = true;
        return NULL;
    }
    b->data = data;
    b->capacity = capacity;
    return b->data + b->length;
}

void
buf_commit(struct buf *b, size_t n)
{
    assert(n <= b->capacity - b->length);
    b->length += n;
}

void
buf_append(struct buf *b, const void *bytes, size_t n)
{
    char *at = buf_reserve(b, n);

    if (at && n) {
        memcpy(at, bytes, n);
        b->length += n;
    }
}

void
buf_text(struct buf *b, struct text s)
{
    buf_append(b, s.p, s.n);
}

void
buf_string(struct buf *b, const char *s)
{
    buf_append(b, s, strlen(s));
}

void
buf_byte(struct buf *b, char c)
{
    buf_append(b, &c, 1);
}

void
buf_int(struct buf *b, long long value)
{
    char digits[24];
    size_t at = sizeof digits;
    unsigned long long v = value < 0 ? 0ULL - (unsigned long long)value : (unsigned long long)value;

    do
        digits[--at] = (char)('0' + v % 10);
    while (v /= 10);
    if (value < 0)
        digits[--at] = '-';
    buf_append(b, digits + at, sizeof digits - at);
}

void
buf_json(struct buf *b, struct text s)
{
    static const char hex[] = "0123456789abcdef";

    buf_byte(b, '"');
    for (size_t i = 0, run = 0; i <= s.n; i++) {
        unsigned char c = i < s.n ? (unsigned char)s.p[i] : 0;

        if (i < s.n && c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_append(b, s.p + run, i - run);
        run = i + 1;
        if (i == s.n)
            break;
        if (c == '"' || c == '\\') {
            buf_byte(b, '\\');
            buf_byte(b, (char)c);
        } else if (c == '\n') {
            buf_string(b, "\\n");
        } else {
            buf_string(b, "\\u00");
            buf_byte(b, hex[c >> 4]);
            buf_byte(b, hex[c & 15]);
        }
    }
    buf_byte(b, '"');
}

void
buf_percent(struct buf *b, struct text s, const char *plain)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
            (c != '\0' && strchr(plain, c)))
            buf_byte(b, (char)c);
        else
            buf_format(b, "%%%02X", c);
    }
}

void
buf_format(struct buf *b, const char *format, ...)
{
    va_list args;
    int n;
    char *at;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    at = n >= 0 ? buf_reserve(b, (size_t)n + 1) : NULL;
    if (!at)
        return;
    va_start(args, format);
    vsnprintf(at, (size_t)n + 1, format, args);
    va_end(args);
    b->length += (size_t)n;
}

void
buf_drop(struct buf *b, size_t n)
{
    assert(n <= b->length);
    b->length -= n;
    if (n && b->length)
        memmove(b->data, b->data + n, b->length);
}

char *
buf_take(struct buf *b)
{
    char *s;

    buf_byte(b, '\0');
    if (b->failed)
        return NULL;
    s = b->data;
    *b = (struct buf){.max = b->max};
    return s;
}
