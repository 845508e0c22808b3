/* form: application/x-www-form-urlencoded, in query strings and in bodies (URL Living Standard,
 * section 5). Pure. */
#ifndef HTTP_FORM_H
#define HTTP_FORM_H

#include <stdbool.h>

#include "base/err.h"
#include "base/text.h"

/* The next name=value of *rest, which moves past it; false at the end. Neither is decoded; a name
 * without "=" has the empty value. */
bool form_next(struct text *rest, struct text *name, struct text *value);

/* s with its %-escapes and, where plus_is_blank, its '+' decoded. *decoded is NUL-terminated and
 * the caller frees it; its length goes to *n. ERR_INVALID for a malformed escape and for a NUL,
 * which nothing may contain; ERR_NOMEM. */
enum err form_decode(struct text s, bool plus_is_blank, char **decoded, size_t *n,
                     struct errbuf *eb);

/* Whether a raw name stands for this one, however its bytes are escaped. list: also with something
 * in brackets behind it, as PHP and others write the elements of a list: topic[], topic[0]. */
bool form_name_is(struct text raw, const char *name, bool list);

/* The same for a name that somebody may have meant by it: letters of another case, blanks around
 * it, or an s behind it. */
bool form_name_like(struct text raw, const char *name);

#endif
