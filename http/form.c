#include "http/form.h"

#include <ctype.h>

#include "base/mem.h"

bool
form_next(struct text *rest, struct text *name, struct text *value)
{
    while (rest->n > 0) {
        text_cut(rest, '&', value);
        if (value->n == 0)
            continue;
        text_cut(value, '=', name);
        return true;
    }
    return false;
}

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* application/x-www-form-urlencoded, as URLSearchParams writes it. A NUL byte cannot be stored and
 * counts as malformed, like a bad escape. */
enum err
form_decode(struct text s, bool plus_is_blank, char **decoded, size_t *n, struct errbuf *eb)
{
    char *out = mem_alloc(s.n + 1);

    *decoded = NULL;
    *n = 0;
    if (!out)
        return err_nomem(eb);
    for (size_t i = 0; i < s.n; i++) {
        int high = 0, low = 0;
        char c = (char)(plus_is_blank && s.p[i] == '+' ? ' ' : s.p[i]);

        if (c == '%') {
            high = i + 2 < s.n ? hex_value(s.p[i + 1]) : -1;
            low = i + 2 < s.n ? hex_value(s.p[i + 2]) : -1;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (high < 0 || low < 0 || c == '\0') {
            mem_free(out);
            return err_set(eb, ERR_INVALID, "a value has a %s",
                           high < 0 || low < 0 ? "malformed %-escape" : "NUL byte");
        }
        out[(*n)++] = c;
    }
    out[*n] = '\0';
    *decoded = out;
    return ERR_OK;
}

/* The next byte that a raw name stands for, which is taken off; -1 at its end, or for a bad escape.
 */
static int
next_byte(struct text *raw)
{
    unsigned char c = raw->n > 0 ? (unsigned char)raw->p[0] : 0;
    size_t used = 1;

    if (raw->n == 0)
        return -1;
    if (c == '%') {
        int high = raw->n > 2 ? hex_value(raw->p[1]) : -1;
        int low = raw->n > 2 ? hex_value(raw->p[2]) : -1;

        if (high < 0 || low < 0)
            return -1;
        c = (unsigned char)(high * 16 + low);
        used = 3;
    }
    *raw = (struct text){raw->p + used, raw->n - used};
    return c == '+' && used == 1 ? ' ' : c;
}

bool
form_name_is(struct text raw, const char *name, bool list)
{
    int c, last = 0;

    for (; *name; name++)
        if (next_byte(&raw) != (unsigned char)*name)
            return false;
    if (raw.n == 0)
        return true;
    if (!list || next_byte(&raw) != '[')
        return false;
    while ((c = next_byte(&raw)) >= 0)
        last = c;
    return raw.n == 0 && last == ']';
}

bool
form_name_like(struct text raw, const char *name)
{
    int c = next_byte(&raw);

    while (c == ' ')
        c = next_byte(&raw);
    for (; *name; name++, c = next_byte(&raw))
        if (c < 0 || tolower(c) != *name)
            return false;
    if (tolower(c < 0 ? 0 : c) == 's')
        c = next_byte(&raw);
    while (c == ' ')
        c = next_byte(&raw);
    return c < 0 && raw.n == 0;
}
