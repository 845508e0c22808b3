#include "base/text.h"

#include <stdint.h>

int
text_compare(struct text a, struct text b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;

    if (order != 0)
        return order;
    return (a.n > b.n) - (a.n < b.n);
}

/* Eight bytes at a time: most texts are mostly ASCII, and every event is checked. */
static const unsigned char *
skip_ascii(const unsigned char *p, const unsigned char *end)
{
    uint64_t eight;

    for (; end - p >= (ptrdiff_t)sizeof eight; p += sizeof eight) {
        memcpy(&eight, p, sizeof eight);
        if (eight & 0x8080808080808080)
            break;
    }
    return p;
}

/* The table of well-formed byte sequences is Unicode 15, table 3-7. */
bool
text_is_utf8(struct text s)
{
    const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;

    while (p < end) {
        unsigned char low = 0x80, high = 0xbf;
        int more;

        if (*p < 0x80) {
            p = skip_ascii(p + 1, end);
            continue;
        }
        if (*p >= 0xc2 && *p <= 0xdf)
            more = 1;
        else if (*p >= 0xe0 && *p <= 0xef)
            more = 2;
        else if (*p >= 0xf0 && *p <= 0xf4)
            more = 3;
        else
            return false;
        if (*p == 0xe0)
            low = 0xa0;
        else if (*p == 0xed)
            high = 0x9f;
        else if (*p == 0xf0)
            low = 0x90;
        else if (*p == 0xf4)
            high = 0x8f;
        if (end - p <= more || p[1] < low || p[1] > high)
            return false;
        for (int i = 2; i <= more; i++)
            if (p[i] < 0x80 || p[i] > 0xbf)
                return false;
        p += more + 1;
    }
    return true;
}

bool
text_is_blank(struct text s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != ' ' && s.p[i] != '\t' && s.p[i] != '\r')
            return false;
    return true;
}

static bool
is_one_of(char c, const char *bytes)
{
    return c != '\0' && strchr(bytes, c);
}

struct text
text_trim(struct text s, const char *blanks)
{
    while (s.n > 0 && is_one_of(s.p[0], blanks))
        s = (struct text){s.p + 1, s.n - 1};
    while (s.n > 0 && is_one_of(s.p[s.n - 1], blanks))
        s.n--;
    return s;
}

struct text
text_without_line_end(struct text s)
{
    if (s.n > 0 && s.p[s.n - 1] == '\n')
        s.n--;
    if (s.n > 0 && s.p[s.n - 1] == '\r')
        s.n--;
    return s;
}

bool
text_cut(struct text *rest, char at, struct text *part)
{
    const char *found = rest->n ? memchr(rest->p, at, rest->n) : NULL;
    size_t used;

    *part = (struct text){rest->p, found ? (size_t)(found - rest->p) : rest->n};
    used = part->n + (found ? 1 : 0);
    *rest = (struct text){rest->p ? rest->p + used : NULL, rest->n - used};
    return found;
}

bool
text_to_int64(struct text s, long long *value)
{
    long long v = 0;

    if (s.n < 1 || s.n > 19)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        int digit = s.p[i] - '0';

        if (digit < 0 || digit > 9 || v > (INT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *value = v;
    return true;
}

uint64_t
text_hash(uint64_t before, struct text s)
{
    for (size_t i = 0; i < s.n; i++)
        before = (before ^ (unsigned char)s.p[i]) * 0x100000001b3;
    return before;
}
