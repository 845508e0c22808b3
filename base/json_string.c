/* json_string: what the strings of json.h stand for. */
#include "base/json.h"

#include <stdint.h>

/* The string without its quotes. */
static struct text
inside(struct text string)
{
    return (struct text){string.p + 1, string.n - 2};
}

static bool
has_escape(struct text s)
{
    return s.n > 0 && memchr(s.p, '\\', s.n);
}

static uint32_t
four_digits(const char *p)
{
    uint32_t value = 0;

    for (int i = 0; i < 4; i++) {
        char c = p[i];

        value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

static size_t
put_utf8(uint32_t point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xc0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xe0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3f));
        out[2] = (char)(0x80 | (point & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3f));
    out[2] = (char)(0x80 | (point >> 6 & 0x3f));
    out[3] = (char)(0x80 | (point & 0x3f));
    return 4;
}

enum { UNICODE_ESCAPE = 6 }; /* the bytes of \u00e9 */

/* Takes the escape at the start of *s. How many bytes it stands for; 0 for a lone surrogate, which
 * is not taken. */
static size_t
take_escape(struct text *s, char out[4])
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    size_t used = UNICODE_ESCAPE;
    uint32_t point, low;

    if (s->p[1] != 'u') {
        out[0] = meanings[strchr(letters, s->p[1]) - letters];
        *s = (struct text){s->p + 2, s->n - 2};
        return 1;
    }
    point = four_digits(s->p + 2);
    if (point >= 0xd800 && point < 0xe000) {
        if (point >= 0xdc00 || s->n < 2 * UNICODE_ESCAPE || s->p[6] != '\\' || s->p[7] != 'u')
            return 0;
        low = four_digits(s->p + 8);
        if (low < 0xdc00 || low >= 0xe000)
            return 0;
        point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
        used = 2 * UNICODE_ESCAPE;
    }
    *s = (struct text){s->p + used, s->n - used};
    return put_utf8(point, out);
}

/* Takes what stands for itself, up to an escape or the end. */
static struct text
take_plain(struct text *s)
{
    const char *escape = memchr(s->p, '\\', s->n);
    struct text plain = {s->p, escape ? (size_t)(escape - s->p) : s->n};

    *s = (struct text){s->p + plain.n, s->n - plain.n};
    return plain;
}

/* Takes the prefix off *bytes if they begin with it. */
static bool
strip(struct text *bytes, struct text prefix)
{
    if (!text_starts(*bytes, prefix))
        return false;
    *bytes = (struct text){bytes->p + prefix.n, bytes->n - prefix.n};
    return true;
}

/* An escape is always longer than what it stands for. */
bool
json_string_is(struct text string, struct text bytes)
{
    struct text s = inside(string);

    if (s.n <= bytes.n)
        return s.n == bytes.n && text_starts(bytes, s) && !has_escape(s);
    while (s.n > 0) {
        char out[4];
        size_t n;

        if (!strip(&bytes, take_plain(&s)))
            return false;
        if (s.n == 0)
            break;
        n = take_escape(&s, out);
        if (n == 0 || !strip(&bytes, (struct text){out, n}))
            return false;
    }
    return bytes.n == 0;
}

bool
json_string_decode(struct text string, char **room, struct text *bytes)
{
    struct text s = inside(string);
    char *out = *room;

    *bytes = s;
    if (!has_escape(s))
        return true;
    while (s.n > 0) {
        struct text plain = take_plain(&s);
        size_t n = 0;
        char escaped[4];

        memcpy(out, plain.p, plain.n);
        out += plain.n;
        if (s.n > 0 && (n = take_escape(&s, escaped)) == 0) {
            *bytes = (struct text){s.p, UNICODE_ESCAPE};
            return false;
        }
        memcpy(out, escaped, n);
        out += n;
    }
    *bytes = (struct text){*room, (size_t)(out - *room)};
    *room = out;
    return true;
}
