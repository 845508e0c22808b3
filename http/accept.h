/* accept: what a request's headers say about the form of the answer (RFC 9110, sections 12.5.1 and
 * 13.1.2). Pure. */
#ifndef HTTP_ACCEPT_H
#define HTTP_ACCEPT_H

#include <stdbool.h>

#include "base/text.h"

enum accept_form {
    ACCEPT_ANY, /* no preference among ours, no header, or none of ours: a stream where possible */
    ACCEPT_STREAM, /* text/event-stream is named, or text with any subtype */
    ACCEPT_JSON,
    ACCEPT_NDJSON,
};

/* The form with the greatest q; of equal ones what is named beats what a wildcard covers, then a
 * stream beats a page. Never "not acceptable": an EventSource would end for good. A malformed
 * header counts as far as it can be read. */
enum accept_form accept_choose(struct text accept);

/* True when If-None-Match lists the tag (with its quotes; W/ is ignored) or is "*". */
bool accept_none_match(struct text if_none_match, struct text tag);

#endif
