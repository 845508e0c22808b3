/* hs256: HMAC with SHA-256 (FIPS 180-4, RFC 2104), plainly, so that the targets sign tokens without
 * the code under test. */
#ifndef TESTS_FUZZ_HS256_H
#define TESTS_FUZZ_HS256_H

#include "base/text.h"

/* The MAC of both texts, one behind the other. A key has at most 64 bytes. */
void hs256(struct text key, struct text a, struct text b, unsigned char mac[32]);

#endif
