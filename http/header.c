#include "http/header.h"

#include <strings.h>

#include "base/mem.h"

struct text
header_trim(struct text s)
{
    return text_trim(s, " \t");
}

/* How many bytes there are before the separator, or in all. */
static size_t
length_of_part(struct text s, char separator)
{
    bool quoted = false;

    for (size_t i = 0; i < s.n; i++) {
        if (quoted && s.p[i] == '\\')
            i++; /* and what it quotes */
        else if (s.p[i] == '"')
            quoted = !quoted;
        else if (!quoted && s.p[i] == separator)
            return i;
    }
    return s.n;
}

bool
header_next(struct text *rest, char separator, struct text *part)
{
    size_t n, used;

    if (rest->n == 0)
        return false;
    n = length_of_part(*rest, separator);
    used = n < rest->n ? n + 1 : n;
    *part = header_trim((struct text){rest->p, n});
    *rest = (struct text){rest->p + used, rest->n - used};
    return true;
}

bool
header_same(struct text s, const char *word)
{
    return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

bool
header_is_type(struct text content_type, const char *type)
{
    struct text named;

    return header_next(&content_type, ';', &named) && header_same(named, type);
}

/* Removes the quotes and the escapes; NULL when it is not a String (RFC 8941). */
static char *
unquote(char *value)
{
    char *to = value;

    for (const char *from = value + 1; *from; from++) {
        if (*from == '"') {
            *to = '\0';
            return from[1] == '\0' ? value : NULL;
        }
        if (*from == '\\' && *++from != '"' && *from != '\\')
            return NULL;
        *to++ = *from;
    }
    return NULL;
}

enum err
header_string(struct text s, char **value, struct errbuf *eb)
{
    *value = mem_copy(header_trim(s));
    if (!*value)
        return err_nomem(eb);
    if (**value != '"' || unquote(*value))
        return ERR_OK;
    mem_free(*value);
    *value = NULL;
    return err_set(eb, ERR_INVALID, "the quotes do not close, or something follows them");
}
