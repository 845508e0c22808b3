/* cors: what pages of other origins may do here (Fetch Standard, CORS protocol). Pure.
 *
 * A list of exact origins, separated by commas, such as
 * "https://app.example,http://localhost:5173". There is no wildcard: answers may depend on cookies.
 */
#ifndef HTTP_CORS_H
#define HTTP_CORS_H

#include "base/buf.h"
#include "base/err.h"
#include "http/request.h"

/* ERR_INVALID names what is not an origin as browsers write it. NULL is the empty list. */
enum err cors_check_list(const char *list, struct errbuf *eb);

bool cors_listed(const char *list, struct text origin);

/* Header lines for every response: nothing without a list. */
void cors_headers(const char *list, const struct request *r, struct buf *out);

/* Header lines for the answer to OPTIONS when it is a preflight of a listed origin. */
void cors_preflight(const char *list, const struct request *r, struct buf *out);

/* Whether a request that changes something may come from where it comes from: a listed origin, or
 * the very origin that it goes to. Browsers always send Origin or Sec-Fetch-Site with it. A request
 * with neither is taken for a program's, unless it has cookies. So a foreign page cannot use a
 * login that its visitor has here. */
bool cors_may_write(const char *list, const struct request *r);

#endif
