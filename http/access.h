/* access: who may do what. Pure: one request and the rules in, one decision out.
 *
 * Two may vouch for a request, and each only narrows what the other allows:
 *
 *   the web server   FRESHET_TOPICS: what may be read (absent: it says nothing, empty: nothing);
 *                    FRESHET_PUBLISH: "on", anything else forbids it, absent: it says nothing
 *   a token          its claims; see token.h. Only when there is a --token-key
 *
 * A request of which neither says anything may read what is public (--public-topics) and publish
 * nothing. Without --public-topics everything is public if there is no --token-key, and nothing if
 * there is one. A request that could read, or write, only with a token gets 401; so does one whose
 * token is not good, even where the web server would let it in without. A token is taken from
 * "Authorization: Bearer" or from the cookie --token-cookie, from nowhere else.
 *
 * What changes something must come from a page that may do so (cors_may_write()), unless the
 * request has a bearer token: a foreign page cannot add one without a CORS preflight. */
#ifndef HTTP_ACCESS_H
#define HTTP_ACCESS_H

#include "http/grants.h"
#include "http/request.h"
#include "http/token.h"

struct access_rules {
    const struct token_rules *tokens; /* never NULL; without a key there are no tokens */
    const char *cookie;               /* name of the token's cookie, or NULL */
    const char *origins;              /* see cors.h */
    const struct grants *open;        /* what is public; NULL: see above */
};

struct access {
    int status;            /* 0: granted what follows; else 401 or 403 */
    struct errbuf why;     /* for the client, when there is a status */
    const char *challenge; /* header lines that belong to 401, a literal; with status 0 not empty
                            * where a token might grant what this request may not */
    struct grants read;    /* of all but a POST */
    struct grants write;   /* of a POST */
    bool is_private;       /* what is read depends on who asks: shared caches must not keep it */
    int64_t expires_ms;    /* wall clock; TOKEN_NEVER */
    uint64_t signer;       /* fingerprint of the key that has signed the token; 0: there was none */
};

/* ERR_OK, or ERR_NOMEM: nothing needs to be finished then. */
enum err access_decide(const struct access_rules *rules, const struct request *r, int64_t now_ms,
                       struct access *a);
void access_finish(struct access *a);

#endif
