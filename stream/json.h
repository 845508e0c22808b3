/* json: whether a text is JSON, to the letter of RFC 8259.
 *
 * json-c builds the trees, but even its strict mode lets 'single quotes', NaN, 1., 00 and raw
 * control characters through, and cuts integers to 64 bits without a word. A text that is stored as
 * it came must be one that JSON.parse() in a browser takes, so it is checked here first. */
#ifndef STREAM_JSON_H
#define STREAM_JSON_H

#include "base/err.h"
#include "base/text.h"

enum { JSON_DEPTH_MAX = 128 }; /* arrays and objects inside each other */

struct json_facts {
    char first; /* the value's first byte: '{', '[', '"', a digit, '-', 't', 'f' or 'n' */
    bool wide;  /* has an integer of 19 digits or more, which json-c might change */
    size_t
        tree_bytes; /* about what json-c's tree of it takes: tiny values take much more than text */
};

/* ERR_INVALID with what was expected and at which byte (from 1). Does not check UTF-8. */
enum err json_check(struct text s, struct json_facts *facts, struct errbuf *eb);

#endif
