/* token: what a JSON Web Token (RFC 7519) lets its bearer do. Pure.
 *
 * The claims that count:
 *
 *     {"exp": 1770000000, "nbf": …, "aud": "events", "iss": "https://login.example",
 *      "freshet": {"read": ["news", "user-42-*"], "write": ["chat"]}}
 *
 * What is absent in "freshet" is granted to nobody. A token that names audiences is only for these
 * (RFC 7519, 4.1.3): it is refused unless --token-audience is among them. */
#ifndef HTTP_TOKEN_H
#define HTTP_TOKEN_H

#include <stdint.h>

#include "base/jws.h"
#include "http/grants.h"

#define TOKEN_NEVER INT64_MAX

struct token_rules {
    struct jws_key key;   /* owned by the caller; without bytes and without keys below, tokens
                           * are not used at all */
    const char *audience; /* NULL: only tokens without an audience are good */
    const char *issuer;   /* NULL: any issuer that has the key */
    int64_t leeway_ms;    /* how far the issuer's clock may be off */
    const struct jws_keys *keys; /* instead of the key above, several that are ready; or NULL */
};

struct token {
    struct grants read, write;
    int64_t expires_ms; /* wall clock, with the leeway; TOKEN_NEVER */
    uint64_t signer;    /* fingerprint of the key; 0 when it is the one above */
};

/* True when there is a key. */
bool token_used(const struct token_rules *rules);

/* ERR_INVALID with a text for the sender, ERR_NOMEM; then nothing needs to be finished. */
enum err token_verify(const struct token_rules *rules, struct text s, int64_t now_ms,
                      struct token *t, struct errbuf *eb);
void token_finish(struct token *t);

#endif
