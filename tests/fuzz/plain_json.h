/* plain_json: a second reader of RFC 8259 for the fuzz targets to compare with: recursive, slow and
 * simple, with a tree that loses nothing. */
#ifndef TESTS_FUZZ_PLAIN_JSON_H
#define TESTS_FUZZ_PLAIN_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/text.h"
#include "stream/event.h"

struct plain {
    char kind;             /* '{' '[' '"' '0' 't' 'f' 'n' */
    struct text text;      /* as it is written */
    struct text bytes;     /* what a string stands for; owned */
    bool lone;             /* half a surrogate pair is in it: it stands for nothing */
    struct plain **names;  /* of an object's members: strings */
    struct plain **values; /* of members or elements */
    size_t n;
};

/* NULL when it is not JSON. The text must stay; blanks around the value are allowed. */
struct plain *plain_read(struct text s);
void plain_free(struct plain *v); /* NULL is allowed */

/* Appends the value without the blanks outside strings. */
void plain_write(const struct plain *v, struct buf *out);
/* RFC 6901; of two members with the same name the last one. NULL when there is nothing. */
const struct plain *plain_get(const struct plain *v, struct text pointer);
/* The same for one name. */
const struct plain *plain_member(const struct plain *v, const char *name);

/* What a name (topic, type, key) or data must be that was read from the value, which may be NULL;
 * false when it must be refused. */
bool plain_is_name(const struct plain *v, struct text name);
bool plain_is_data(const struct plain *v, struct text data);

#endif
