/* sign: tokens for tests, made with libcrypto alone, so that nothing of freshet vouches for itself.
 */
#ifndef TESTS_UNIT_SIGN_H
#define TESTS_UNIT_SIGN_H

#include "base/buf.h"

/* Appends "header.payload.signature". algorithm: HS256 with a secret, RS256, ES256 or EdDSA with a
 * private key in PEM, none with an empty signature. */
void sign_token(struct buf *out, const char *algorithm, const char *key, const char *header,
                const char *payload);

#endif
