#include "base/jws_key.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"

enum {
    KEY_FILE_MAX = 64 * 1024,
    NUMBER_MAX = 2048, /* of RSA with 16,384 bits */
};

/* ---- files ---- */

static void
wipe(struct buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->capacity);
    buf_finish(b);
}

/* *b is to be wiped in any case. */
static enum err
read_file(const char *file, struct buf *b, struct errbuf *eb)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;
    char *room;

    buf_init(b, KEY_FILE_MAX);
    if (fd < 0)
        return err_set(eb, ERR_IO, "%s: %s", file, strerror(errno));
    while ((room = buf_reserve(b, 1024)) && (n = read(fd, room, 1024)) > 0)
        buf_commit(b, (size_t)n);
    close(fd);
    if (!room)
        return err_set(eb, ERR_INVALID, "%s: too long for a key", file);
    return n < 0 ? err_set(eb, ERR_IO, "%s: %s", file, strerror(errno)) : ERR_OK;
}

static bool
contains(struct text s, const char *what)
{
    return memmem(s.p, s.n, what, strlen(what)) != NULL;
}

/* ---- JSON ---- */

static bool
member(struct text object, const char *name, struct text *value)
{
    struct json_walk w;
    struct text key, one;
    bool found = false;

    for (json_walk(&w, object); json_next(&w, &key, &one);) {
        if (!json_string_is(key, text_of(name)))
            continue;
        *value = one;
        found = true;
    }
    return found;
}

/* True when the file is a JWK (Set); *list is the object with the keys, or the key. */
static bool
is_jwk(struct text bytes, struct text *list, bool *is_set)
{
    struct text kty;

    if (json_check(bytes, list, NULL) != ERR_OK || json_kind(*list) != JSON_OBJECT)
        return false;
    *is_set = member(*list, "keys", list);
    return *is_set ? json_kind(*list) == JSON_ARRAY : member(*list, "kty", &kty);
}

/* ---- one ---- */

static const char *
need_of(enum jws_algorithm algorithm)
{
    static const char *const needs[JWS_ALGORITHM_COUNT] = {
        [JWS_HS256] = "a secret",
        [JWS_RS256] = "RSA with at least 2,048 bits",
        [JWS_ES256] = "the curve P-256 (prime256v1)",
        [JWS_EDDSA] = "Ed25519",
    };

    return needs[algorithm];
}

/* A public key is known to everybody: as a secret it would let everybody in. */
static enum err
check_secret(struct text file_bytes, struct text secret, const char *file, struct errbuf *eb)
{
    struct text list;
    bool is_set;

    if (contains(secret, "-----BEGIN ") || is_jwk(file_bytes, &list, &is_set) ||
        text_starts(secret, TEXT_LIT("ssh-")) || text_starts(secret, TEXT_LIT("ecdsa-")) ||
        jws_crypto_is_asymmetric(file_bytes))
        return err_set(eb, ERR_INVALID,
                       "%s: a key pair, a public key or a certificate is not a secret for HS256; "
                       "is the algorithm right?",
                       file);
    if (secret.n < JWS_SECRET_MIN)
        return err_set(eb, ERR_INVALID, "%s: a secret for HS256 has at least %d bytes", file,
                       JWS_SECRET_MIN);
    return ERR_OK;
}

static enum err
check_pem(struct text pem, enum jws_algorithm algorithm, enum jws_use use, const char *file,
          struct errbuf *eb)
{
    struct jws_crypto *k;

    if (use == JWS_SIGN && !contains(pem, "PRIVATE KEY-----"))
        return err_set(eb, ERR_INVALID, "%s: signing needs a PEM private key", file);
    if (use == JWS_VERIFY && !contains(pem, "-----BEGIN PUBLIC KEY-----"))
        return err_set(eb, ERR_INVALID, "%s: %s; write the public key with openssl pkey -pubout",
                       file,
                       contains(pem, "PRIVATE KEY") ? "this is a private key, which only signs"
                                                    : "there is no PEM public key in it");
    k = jws_crypto_pem(pem, use == JWS_SIGN, algorithm);
    jws_crypto_destroy(k);
    return k ? ERR_OK
             : err_set(eb, ERR_INVALID, "%s: %s needs a %s key of %s", file,
                       jws_algorithm_name(algorithm), use == JWS_SIGN ? "private" : "public",
                       need_of(algorithm));
}

static enum err
take_key(struct jws_key *k, struct text bytes, enum jws_algorithm algorithm, enum jws_use use,
         const char *file, struct errbuf *eb)
{
    struct text kept = algorithm == JWS_HS256 ? text_without_line_end(bytes) : bytes;
    enum err err = algorithm == JWS_HS256 ? check_secret(bytes, kept, file, eb)
                                          : check_pem(bytes, algorithm, use, file, eb);

    if (err != ERR_OK)
        return err;
    *k = (struct jws_key){algorithm, mem_copy(kept), kept.n};
    return k->bytes ? ERR_OK : err_nomem(eb);
}

enum err
jws_key_read(struct jws_key *k, const char *file, enum jws_algorithm algorithm, enum jws_use use,
             struct errbuf *eb)
{
    struct buf b;
    enum err err = read_file(file, &b, eb);

    *k = (struct jws_key){.algorithm = algorithm};
    if (err == ERR_OK)
        err = take_key(k, buf_view(&b), algorithm, use, file, eb);
    wipe(&b);
    return err;
}

void
jws_key_finish(struct jws_key *k)
{
    if (k->bytes)
        explicit_bzero(k->bytes, k->n);
    mem_free(k->bytes);
    k->bytes = NULL;
    k->n = 0;
}

struct jws_crypto *
jws_key_prepare(const struct jws_key *k, enum jws_use use)
{
    struct text bytes = {k->bytes, k->n};

    return k->algorithm == JWS_HS256 ? jws_crypto_secret(bytes)
                                     : jws_crypto_pem(bytes, use == JWS_SIGN, k->algorithm);
}

/* ---- JSON Web Keys ---- */

/* A member is not there, or is this text. */
static bool
is_or_absent(struct text object, const char *name, const char *wanted)
{
    struct text value;

    return !member(object, name, &value) ||
           (json_kind(value) == JSON_STRING && json_string_is(value, text_of(wanted)));
}

static bool
is(struct text object, const char *name, const char *wanted)
{
    struct text value;

    return member(object, name, &value) && is_or_absent(object, name, wanted);
}

/* A member that is a base64url text; nothing is appended when it is not one. */
static struct text
number(struct text object, const char *name, struct buf *out)
{
    struct text value;

    buf_init(out, NUMBER_MAX);
    if (!member(object, name, &value) || json_kind(value) != JSON_STRING ||
        !base64_decode_url((struct text){value.p + 1, value.n - 2}, out) || buf_failed(out))
        return TEXT_LIT("");
    return buf_view(out);
}

/* NULL: a kind or a size that does not serve here. */
static struct jws_crypto *
key_of(struct text jwk)
{
    static const struct {
        const char *kty, *crv, *a, *b;
        enum jws_algorithm algorithm;
    } kinds[] = {
        {"RSA", NULL, "n", "e", JWS_RS256},
        {"EC", "P-256", "x", "y", JWS_ES256},
        {"OKP", "Ed25519", "x", NULL, JWS_EDDSA},
        {"oct", NULL, "k", NULL, JWS_HS256},
    };
    struct jws_crypto *k = NULL;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        enum jws_algorithm algorithm = kinds[i].algorithm;
        struct buf a, b;
        struct text first, second;

        if (!is(jwk, "kty", kinds[i].kty) || (kinds[i].crv && !is(jwk, "crv", kinds[i].crv)) ||
            !is_or_absent(jwk, "alg", jws_algorithm_name(algorithm)))
            continue;
        first = number(jwk, kinds[i].a, &a);
        second = number(jwk, kinds[i].b ? kinds[i].b : "", &b);
        k = algorithm == JWS_HS256 ? jws_crypto_secret(first)
                                   : jws_crypto_numbers(algorithm, first, second);
        wipe(&a);
        wipe(&b);
    }
    return k;
}

/* RFC 7517, 4.2 and 4.3: what the key is for. */
static bool
may_verify(struct text jwk)
{
    struct text operations, name, one;
    struct json_walk w;

    if (!is_or_absent(jwk, "use", "sig"))
        return false;
    if (!member(jwk, "key_ops", &operations))
        return true;
    if (json_kind(operations) != JSON_ARRAY)
        return false;
    for (json_walk(&w, operations); json_next(&w, &name, &one);)
        if (json_kind(one) == JSON_STRING && json_string_is(one, TEXT_LIT("verify")))
            return true;
    return false;
}

/* ---- several ---- */

/* Takes the key over. id: the text of a JSON string, or TEXT_NONE. */
static enum err
add(struct jws_keys *keys, struct jws_crypto *crypto, struct text id, const char *file,
    struct errbuf *eb)
{
    struct jws_keys_one *one = &keys->one[keys->n];
    char *copy = NULL;
    struct text bytes;

    if (keys->n == JWS_KEYS_MAX) {
        jws_crypto_destroy(crypto);
        return err_set(eb, ERR_INVALID, "%s: more than %d keys", file, JWS_KEYS_MAX);
    }
    if (id.p) {
        char *room = copy = mem_alloc(id.n + 1);

        if (copy && json_string_decode(id, &room, &bytes)) {
            memmove(copy, bytes.p, bytes.n);
            copy[bytes.n] = '\0';
        } else if (copy) {
            *copy = '\0'; /* half a surrogate pair, which no token can name */
        }
    }
    if (!crypto || (id.p && !copy)) {
        jws_crypto_destroy(crypto);
        mem_free(copy);
        return err_nomem(eb);
    }
    *one = (struct jws_keys_one){crypto, copy, jws_crypto_fingerprint(crypto)};
    keys->n++;
    return ERR_OK;
}

/* RFC 7517, 5: keys that are not understood, or out of range, are ignored. */
static enum err
add_jwk(struct jws_keys *keys, struct text jwk, const char *file, struct errbuf *eb)
{
    struct text id = TEXT_NONE, secret;
    struct jws_crypto *crypto;

    if (json_kind(jwk) != JSON_OBJECT)
        return err_set(eb, ERR_INVALID, "%s: a key of the set is not a JSON object", file);
    if (member(jwk, "d", &secret))
        return err_set(eb, ERR_INVALID, "%s: there is a private key in it, which only signs", file);
    if (member(jwk, "kid", &id) && json_kind(id) != JSON_STRING)
        id = TEXT_NONE;
    crypto = may_verify(jwk) ? key_of(jwk) : NULL;
    keys->ignored += !crypto;
    return crypto ? add(keys, crypto, id, file, eb) : ERR_OK;
}

static enum err
add_jwks(struct jws_keys *keys, struct text list, bool is_set, const char *file, struct errbuf *eb)
{
    size_t before = keys->n;
    enum err err = ERR_OK;
    struct json_walk w;
    struct text name, jwk;

    if (!is_set)
        err = add_jwk(keys, list, file, eb);
    else
        for (json_walk(&w, list); err == ERR_OK && json_next(&w, &name, &jwk);)
            err = add_jwk(keys, jwk, file, eb);
    if (err == ERR_OK && keys->n == before)
        err = err_set(eb, ERR_INVALID,
                      "%s: no key in it verifies signatures here: RSA with at least 2,048 bits, "
                      "P-256, Ed25519, or oct with at least %d bytes",
                      file, JWS_SECRET_MIN);
    return err;
}

static enum err
add_file(struct jws_keys *keys, const char *file, enum jws_algorithm algorithm, struct errbuf *eb)
{
    struct jws_key k = {0};
    struct text list;
    bool is_set;
    struct buf b;
    enum err err = read_file(file, &b, eb);

    if (err == ERR_OK && is_jwk(buf_view(&b), &list, &is_set)) {
        err = add_jwks(keys, list, is_set, file, eb);
    } else if (err == ERR_OK) {
        err = take_key(&k, buf_view(&b), algorithm, JWS_VERIFY, file, eb);
        if (err == ERR_OK)
            err = add(keys, jws_key_prepare(&k, JWS_VERIFY), TEXT_NONE, file, eb);
        jws_key_finish(&k);
    }
    wipe(&b);
    return err;
}

enum err
jws_keys_read(struct jws_keys *keys, char *const *files, size_t n, enum jws_algorithm algorithm,
              struct errbuf *eb)
{
    enum err err = ERR_OK;

    *keys = (struct jws_keys){0};
    for (size_t i = 0; err == ERR_OK && i < n; i++)
        err = add_file(keys, files[i], algorithm, eb);
    if (err != ERR_OK)
        jws_keys_finish(keys);
    return err;
}

void
jws_keys_finish(struct jws_keys *keys)
{
    for (size_t i = 0; i < keys->n; i++) {
        jws_crypto_destroy(keys->one[i].crypto);
        mem_free(keys->one[i].id);
    }
    *keys = (struct jws_keys){0};
}

bool
jws_keys_have(const struct jws_keys *keys, uint64_t fingerprint)
{
    for (size_t i = 0; i < keys->n; i++)
        if (keys->one[i].fingerprint == fingerprint)
            return true;
    return false;
}
