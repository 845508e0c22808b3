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

static void
put_escaped(struct buf *b, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";

    buf_byte(b, '\\');
    if (c == '"' || c == '\\') {
        buf_byte(b, (char)c);
    } else if (c == '\n') {
        buf_byte(b, 'n');
    } else {
        buf_string(b, "u00");
        buf_byte(b, hex[c >> 4]);
        buf_byte(b, hex[c & 15]);
    }
}

/* Well-formed UTF-8, between quotes. */
static void
put_json(struct buf *b, struct text s)
{
    size_t run = 0;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_append(b, s.p + run, i - run);
        put_escaped(b, c);
        run = i + 1;
    }
    buf_append(b, s.p + run, s.n - run);
}

/* How many bytes the character at s has; 0 when there is none. */
static size_t
character(struct text s)
{
    for (size_t n = 1; n <= 4 && n <= s.n; n++)
        if (text_is_utf8((struct text){s.p, n}))
            return n;
    return 0;
}

void
buf_utf8(struct buf *b, struct text s)
{
    size_t at = text_is_utf8(s) ? s.n : 0, run = 0;

    while (at < s.n) {
        size_t n = character((struct text){s.p + at, s.n - at});

        if (n == 0) {
            buf_append(b, s.p + run, at - run);
            buf_string(b, "\xef\xbf\xbd");
            run = at + 1;
        }
        at += n + (n == 0);
    }
    buf_append(b, s.p + run, s.n - run);
}

void
buf_json(struct buf *b, struct text s)
{
    bool good = text_is_utf8(s);

    buf_byte(b, '"');
    while (!good && s.n > 0) {
        size_t n = character(s);

        put_json(b, n > 0 ? (struct text){s.p, n} : TEXT_LIT("\xef\xbf\xbd"));
        n += n == 0;
        s = (struct text){s.p + n, s.n - n};
    }
    put_json(b, s);
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
