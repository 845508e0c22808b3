/* jws: texts that somebody has signed, "header.payload.signature" (RFC 7515, compact), such as a
 * JSON Web Token. Says who vouches for a payload, not what the payload means.
 *
 * There is one key and one algorithm, both the operator's. What a token's header says about keys
 * (kid, jku, jwk, x5c) is never looked at, and another algorithm than the configured one is refused
 * before any cryptography: "none", and a public key used as an HMAC secret, have no way in.
 *
 * The only file that knows libjwt. Of its 1.10 series it is true, and guarded against here: the
 * algorithm is taken from the token; a token's length decides how much stack is used; bytes outside
 * of base64 are skipped. That series has neither EdDSA nor PSS. */
#ifndef BASE_JWS_H
#define BASE_JWS_H

#include <json-c/json.h>

#include "base/buf.h"
#include "base/err.h"

/* In the order of the words. */
#define JWS_ALGORITHMS "HS256|RS256|ES256"
enum jws_algorithm { JWS_HS256, JWS_RS256, JWS_ES256 };

enum {
    JWS_TOKEN_MAX = 8192, /* what web servers take as one header line by default */
    JWS_SECRET_MIN = 32,  /* RFC 7518, 3.2: as long as the hash */
};

enum jws_use { JWS_VERIFY, JWS_SIGN };

struct jws_key {
    enum jws_algorithm algorithm;
    char *bytes; /* owned, NUL-terminated; NULL = no key */
    size_t n;
};

/* Reads a key file. HS256: the secret, all bytes of the file but a line end at its end. RS256 and
 * ES256: PEM; to verify, the public key (BEGIN PUBLIC KEY), never the private one. ERR_INVALID when
 * the file cannot be what the algorithm needs, ERR_IO, ERR_NOMEM; *k is then empty. */
enum err jws_key_read(struct jws_key *k, const char *file, enum jws_algorithm algorithm,
                      enum jws_use use, struct errbuf *eb);
/* Wipes the bytes. */
void jws_key_finish(struct jws_key *k);

/* *payload: the signed JSON object, to be released with json_object_put(). ERR_INVALID with a text
 * that may be shown to the sender, ERR_NOMEM. */
enum err jws_verify(const struct jws_key *k, struct text token, struct json_object **payload,
                    struct errbuf *eb);

/* Appends the signed token to *out. ERR_INVALID when the key does not serve. */
enum err jws_sign(const struct jws_key *k, const char *payload, struct buf *out, struct errbuf *eb);

/* What a token says, nothing being verified: to show it to a person. Both are to be released. */
enum err jws_look(struct text token, struct json_object **header, struct json_object **payload,
                  struct errbuf *eb);

#endif
