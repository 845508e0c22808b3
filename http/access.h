/* access: who may do what. Pure: one request and the rules in, one decision out.
 *
 * Two may vouch for a request, and each only narrows what the other allows:
 *
 *   the web server   FRESHET_TOPICS: what may be read (absent: it says nothing, empty: nothing);
 *                    FRESHET_PUBLISH: "on", anything else forbids it, absent: it says nothing
 *   a token          its claims; see token.h. Only when there is a --token-key
 *
 * Without --token-key the web server's silence means: read everything, publish nothing. With it,
 * one of the two must grant something: without a token and without a grant of the web server it is
 * 401, and a token that is not good is 401 even where the web server would let everybody in. A
 * token is taken from "Authorization: Bearer" or from the cookie --token-cookie, from nowhere else.
 *
 * What changes something must come from a page that may do so (cors_may_write()), unless the
 * request has a bearer token: no foreign page can add that without being asked about by CORS. */
#ifndef HTTP_ACCESS_H
#define HTTP_ACCESS_H

#include "http/grants.h"
#include "http/request.h"
#include "http/token.h"

struct access_rules {
    const struct token_rules *tokens; /* never NULL; without a key there are no tokens */
    const char *cookie;               /* name of the token's cookie, or NULL */
    const char *origins;              /* see cors.h */
};

struct access {
    int status;            /* 0: granted what follows; else 401 or 403 */
    struct errbuf why;     /* for the client, when there is a status */
    const char *challenge; /* header lines that belong to the status; a literal */
    char *read;            /* owned; as grants_print() writes it; NULL: everything, for everybody */
    struct grants write;   /* of a POST */
    int64_t expires_ms;    /* wall clock; TOKEN_NEVER */
};

/* ERR_OK, or ERR_NOMEM: nothing needs to be finished then. */
enum err access_decide(const struct access_rules *rules, const struct request *r, int64_t now_ms,
                       struct access *a);
void access_finish(struct access *a);

#endif
