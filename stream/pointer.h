/* pointer: JSON Pointers (RFC 6901), taken apart once and followed often.
 *
 * They are followed in the text itself (base/json.h), in one pass however deep they go. Of members
 * with the same name the last one counts, also where what it holds lacks what the pointer asks for
 * next. A name is compared as what its string stands for: "a\u0000b" is not a, nor is a name with a
 * lone surrogate equal to any. */
#ifndef STREAM_POINTER_H
#define STREAM_POINTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/text.h"

struct pointer {
    /* private */
    struct pointer_name *names; /* owned: n of them, and their bytes */
    size_t n;
};

/* The empty text is the whole value; any other begins with '/', and a '~' in it is ~0 or ~1.
 * ERR_INVALID, ERR_NOMEM; *p then needs no finish. */
enum err pointer_parse(struct pointer *p, struct text source);
void pointer_finish(struct pointer *p);

/* The i-th of its names, which lives as long as it does; false after the last one. */
bool pointer_name(const struct pointer *p, size_t i, struct text *name);

/* True with *found, a part of the value, when there is something. */
bool pointer_get(const struct pointer *p, struct text value, struct text *found);

#endif
