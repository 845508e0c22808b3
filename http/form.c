#include "http/form.h"

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
