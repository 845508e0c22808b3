/* json: JSON texts (RFC 8259): whether one is JSON to the letter, and what is in it.
 *
 * Nothing is parsed into a tree: a value is a view of its own text, from its first byte to its
 * last, so what is taken out of a text comes out as it was sent: duplicate names, integers of any
 * length, 1E400, \ud800. No call allocates, and none needs more than one pass over the text.
 *
 * json_check() comes first: all others take only what has passed it, and rely on it. Names and
 * strings are views too, with their quotes and escapes; they are compared and decoded on demand. Of
 * members with the same name the last one counts, as in JSON.parse(); a walk sees all of them. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>

#include "base/err.h"
#include "base/text.h"

enum { JSON_DEPTH_MAX = 128 }; /* arrays and objects inside each other */

enum json_kind {
    JSON_NULL,
    JSON_BOOLEAN,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

/* ERR_INVALID with what was expected and at which byte (from 1). *value, which may be NULL: the
 * text without the blanks around it. Does not check UTF-8. */
enum err json_check(struct text s, struct text *value, struct errbuf *eb);

enum json_kind json_kind(struct text value);

/* ---- arrays and objects ---- */

/* The members of an object or the elements of an array, in their order. */
struct json_walk {
    const char *p, *end; /* private */
    char close;
};

void json_walk(struct json_walk *w, struct text container);
/* False after the last one. *name is a string, or TEXT_NONE in an array. */
bool json_next(struct json_walk *w, struct text *name, struct text *value);

/* The same in two steps, for a caller that may want to go into the value instead of passing it
 * over, so that nothing is read twice: json_step() stops at the value, and the caller goes on with
 * json_pass() or with json_into(), which is followed by json_out() when the inner walk has
 * ended. */
bool json_step(struct json_walk *w, struct text *name);
enum json_kind json_here(const struct json_walk *w);
struct text json_pass(struct json_walk *w);
void json_into(const struct json_walk *w, struct json_walk *inner);
void json_out(struct json_walk *w, const struct json_walk *inner);

/* ---- text ---- */

/* True when the string stands for these bytes. One with a lone surrogate stands for none. */
bool json_string_is(struct text string, struct text bytes);

/* The bytes that a string stands for, which may have a NUL: a part of the string where it has no
 * escapes, else written to *room, which moves on; at most string.n bytes. False for a lone
 * surrogate, which UTF-8 cannot have; *bytes is then its escape. */
bool json_string_decode(struct text string, char **room, struct text *bytes);

/* The value without the blanks outside strings, and nothing else changed: the value itself where
 * there are none, else written to *room, which moves on; at most value.n bytes. */
struct text json_compact(struct text value, char **room);

#endif
