/* jws_crypto: the signatures that tokens have (RFC 7518, RFC 8037), by libcrypto. The only file
 * that knows libcrypto; it knows neither tokens nor files.
 *
 * A key is made for one algorithm and used with no other: a public key can never become the secret
 * of an HMAC. Making a key does everything that may read files (libcrypto's configuration);
 * verifying makes no system calls. */
#ifndef BASE_JWS_CRYPTO_H
#define BASE_JWS_CRYPTO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* In the order of the words. */
#define JWS_ALGORITHMS "HS256|RS256|ES256|EdDSA"
enum jws_algorithm { JWS_HS256, JWS_RS256, JWS_ES256, JWS_EDDSA };
enum { JWS_ALGORITHM_COUNT = 4, JWS_SECRET_MIN = 32 /* RFC 7518, 3.2: as long as the hash */ };

/* The word. */
const char *jws_algorithm_name(enum jws_algorithm algorithm);

struct jws_crypto;

/* Each makes a key, NULL when it cannot: what is given is not of this algorithm, too weak (RSA
 * below 2,048 bits, a secret below JWS_SECRET_MIN bytes), not a key at all, or memory is short. */
struct jws_crypto *jws_crypto_secret(struct text secret);
struct jws_crypto *jws_crypto_pem(struct text pem, bool private, enum jws_algorithm algorithm);
/* A public key from the numbers that a JWK has, big-endian: RSA n and e, the curve's x and y; for
 * EdDSA x alone. */
struct jws_crypto *jws_crypto_numbers(enum jws_algorithm algorithm, struct text a, struct text b);
void jws_crypto_destroy(struct jws_crypto *k); /* NULL is allowed; wipes secrets */

enum jws_algorithm jws_crypto_algorithm(const struct jws_crypto *k);

/* The same for the same key, however it was written, and practically never for another; not 0. */
uint64_t jws_crypto_fingerprint(const struct jws_crypto *k);

/* The signature as it stands in a token. */
bool jws_crypto_verify(const struct jws_crypto *k, struct text bytes, struct text signature);
/* Appends one. False when the key cannot sign. */
bool jws_crypto_sign(const struct jws_crypto *k, struct text bytes, struct buf *signature);

/* What libcrypto can read as a key pair, a public key or a certificate: PEM, DER, or DER in base64
 * without the lines around it. */
bool jws_crypto_is_asymmetric(struct text bytes);

#endif
