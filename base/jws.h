/* jws: texts that somebody has signed, "header.payload.signature" (RFC 7515, compact), such as a
 * JSON Web Token. Says who vouches for a payload, not what the payload means.
 *
 * The keys and their algorithms are the operator's. A token's header only chooses among them: alg
 * must be that of a key, and kid, where both the token and a key have one, must be the same.
 * "none", and a public key used as an HMAC secret, have no way in; jku, jwk and x5c are never
 * looked at. */
#ifndef BASE_JWS_H
#define BASE_JWS_H

#include <json-c/json.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/jws_key.h"

enum { JWS_TOKEN_MAX = 8192 /* what web servers take as one header line by default */ };

/* *payload: the signed JSON object, to be released with json_object_put(). ERR_INVALID with a text
 * that may be shown to the sender, ERR_NOMEM. */
enum err jws_verify(const struct jws_key *k, struct text token, struct json_object **payload,
                    struct errbuf *eb);
/* The same with several keys, which are ready; *fingerprint is that of the one that has signed. */
enum err jws_verify_with(const struct jws_keys *keys, struct text token,
                         struct json_object **payload, uint64_t *fingerprint, struct errbuf *eb);

/* Appends the signed token to *out; the payload, a JSON object, is taken as it is written.
 * ERR_INVALID when the key does not serve. */
enum err jws_sign(const struct jws_key *k, const char *payload, struct buf *out, struct errbuf *eb);

/* What a token says, nothing being verified: to show it to a person. Both are to be released. */
enum err jws_look(struct text token, struct json_object **header, struct json_object **payload,
                  struct errbuf *eb);

#endif
