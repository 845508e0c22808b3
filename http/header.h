/* header: the pieces that values of HTTP header fields are made of (RFC 9110, section 5.6). Pure.
 *
 * Optional white space is blanks and tabs. It may stand at both ends of a value, and around what
 * separates the members of a list and the parameters of a type. */
#ifndef HTTP_HEADER_H
#define HTTP_HEADER_H

#include <stdbool.h>

#include "base/err.h"
#include "base/text.h"

/* Without the white space at both ends; TEXT_NONE stays so. */
struct text header_trim(struct text s);

/* Takes the part up to the separator off *rest, trimmed; false when nothing is left. A separator in
 * a quoted string does not count. */
bool header_next(struct text *rest, char separator, struct text *part);

/* The same word, whatever its case. */
bool header_same(struct text s, const char *word);

/* True when a Content-Type names this type, with whatever parameters. */
bool header_is_type(struct text content_type, const char *type);

/* A value that may be a String of RFC 8941 (in double quotes, with \" and \\ in it) or the text
 * itself. *value: a copy, released with mem_free(). ERR_INVALID: the quotes do not close, or
 * something follows; ERR_NOMEM. */
enum err header_string(struct text s, char **value, struct errbuf *eb);

#endif
