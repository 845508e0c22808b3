/* jws_key: keys as they stand in files, one by one or several that are good side by side.
 *
 * A file is a secret, a key in PEM, or a JSON Web Key (Set) (RFC 7517). Of the latter each key has
 * its own algorithm, which its kind says; of the others it is the operator's. What a token's header
 * says of keys and algorithms only chooses among these. */
#ifndef BASE_JWS_KEY_H
#define BASE_JWS_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/jws_crypto.h"
#include "base/text.h"

enum jws_use { JWS_VERIFY, JWS_SIGN };

/* ---- one ---- */

struct jws_key {
    enum jws_algorithm algorithm;
    char *bytes; /* the secret, or PEM; owned, NUL-terminated; NULL = no key */
    size_t n;
};

/* Reads a key file. HS256: the secret, all bytes of the file but a line end at its end. The others:
 * PEM; to verify, the public key (BEGIN PUBLIC KEY), never the private one. ERR_INVALID when the
 * file cannot be what the algorithm needs, ERR_IO, ERR_NOMEM; *k is then empty. */
enum err jws_key_read(struct jws_key *k, const char *file, enum jws_algorithm algorithm,
                      enum jws_use use, struct errbuf *eb);
/* Wipes the bytes. */
void jws_key_finish(struct jws_key *k);

/* Made ready for use; NULL when it does not serve. */
struct jws_crypto *jws_key_prepare(const struct jws_key *k, enum jws_use use);

/* ---- several, ready to verify ---- */

enum { JWS_KEYS_MAX = 32 }; /* what one bad token may cost */

struct jws_keys {
    struct jws_keys_one {
        struct jws_crypto *crypto;
        char *id; /* kid; NULL: for tokens with any */
        uint64_t fingerprint;
    } one[JWS_KEYS_MAX];
    size_t n;       /* 0: there are no keys */
    size_t ignored; /* keys of a set that do not verify, or not with an algorithm of ours */
};

/* Reads all of the files; those that are no JWK (Set) have keys of this algorithm. ERR_INVALID also
 * when a file has no key that serves, or all have more than JWS_KEYS_MAX; *keys is then empty. */
enum err jws_keys_read(struct jws_keys *keys, char *const *files, size_t n,
                       enum jws_algorithm algorithm, struct errbuf *eb);
void jws_keys_finish(struct jws_keys *keys);

/* True while a key with this fingerprint is among them. */
bool jws_keys_have(const struct jws_keys *keys, uint64_t fingerprint);

#endif
