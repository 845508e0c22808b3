/* pointer: JSON Pointers (RFC 6901), taken apart once and followed often.
 *
 * json-c has them too, but takes an empty name for the first element of an array, and copies the
 * text each time. */
#ifndef STREAM_POINTER_H
#define STREAM_POINTER_H

#include <json-c/json.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/text.h"

struct pointer {
    /* private */
    char *names; /* owned: n texts, one behind the other, each with its NUL */
    size_t n;
};

/* The empty text is the whole value; any other begins with '/', and a '~' in it is ~0 or ~1.
 * ERR_INVALID, ERR_NOMEM; *p then needs no finish. */
enum err pointer_parse(struct pointer *p, struct text source);
void pointer_finish(struct pointer *p);

/* True with *value when there is something; NULL is the value null. */
bool pointer_get(const struct pointer *p, struct json_object *tree, struct json_object **value);

#endif
