#include "admin/show.h"

#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <wchar.h>

/* One character, or what is shown instead of it. */
struct glyph {
    char bytes[12];
    size_t n;
    int columns;
};

void
show_init(void)
{
    setlocale(LC_CTYPE, "C.UTF-8");
}

/* The character at the beginning of s and its length; 0 when these bytes are not a character. */
static size_t
decode(struct text s, uint32_t *c)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    size_t n = 1;

    while (n <= 4 && n <= s.n && !text_is_utf8((struct text){s.p, n}))
        n++;
    if (n > 4 || n > s.n)
        return 0;
    *c = (unsigned char)s.p[0] & masks[n];
    for (size_t i = 1; i < n; i++)
        *c = *c << 6 | ((unsigned char)s.p[i] & 0x3f);
    return n;
}

/* Controls of both kinds, line ends of Unicode, and what changes the direction of writing. */
static bool
is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

static int
columns_of(uint32_t c)
{
    int columns = wcwidth((wchar_t)c);

    if (columns >= 0)
        return columns;
    return c >= 0x1f000 ? 2 : 1; /* younger than the C library: an emoji most likely */
}

static void
escape(struct glyph *g, uint32_t c)
{
    static const struct {
        uint32_t c;
        const char *shown;
    } known[] = {{'\n', "\\n"}, {'\r', "\\r"}, {'\t', "\\t"}};

    g->columns = snprintf(g->bytes, sizeof g->bytes, c < 0x80 ? "\\x%02x" : "\\u%04x", c);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].c == c)
            g->columns = snprintf(g->bytes, sizeof g->bytes, "%s", known[i].shown);
    g->n = (size_t)g->columns;
}

static struct glyph
next_glyph(struct text *s)
{
    struct glyph g = {.n = 0};
    uint32_t c;
    size_t n = decode(*s, &c);

    if (n == 0) {
        g.columns = snprintf(g.bytes, sizeof g.bytes, "\\x%02x", (unsigned char)s->p[0]);
        g.n = (size_t)g.columns;
        n = 1;
    } else if (is_control(c)) {
        escape(&g, c);
    } else {
        memcpy(g.bytes, s->p, n);
        g.n = n;
        g.columns = columns_of(c);
    }
    *s = (struct text){s->p + n, s->n - n};
    return g;
}

static bool
fits(struct text s, int columns_max)
{
    int columns = 0;

    while (s.n > 0 && columns <= columns_max)
        columns += next_glyph(&s).columns;
    return columns <= columns_max;
}

int
show_text(struct buf *out, struct text s, int columns_max)
{
    bool whole = fits(s, columns_max);
    int columns = 0, room = whole ? columns_max : columns_max - 1;

    while (s.n > 0) {
        struct glyph g = next_glyph(&s);

        if (columns + g.columns > room)
            break;
        buf_append(out, g.bytes, g.n);
        columns += g.columns;
    }
    if (whole)
        return columns;
    buf_string(out, "…");
    return columns + 1;
}

void
show_json(struct buf *out, struct text json)
{
    while (json.n > 0) {
        uint32_t c = 0;
        size_t n = decode(json, &c);

        if (n > 0 && is_control(c))
            buf_format(out, "\\u%04x", c);
        else
            buf_append(out, json.p, n ? n : 1);
        n += n == 0;
        json = (struct text){json.p + n, json.n - n};
    }
}
