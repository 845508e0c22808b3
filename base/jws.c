#include "base/jws.h"

#include <errno.h>
#include <fcntl.h>
#include <jwt.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/mem.h"

enum {
    KEY_FILE_MAX = 64 * 1024,
    /* SubjectPublicKeyInfo of RSA with 2,048 bits is 294 bytes; with 1,024 bits, 162. */
    RSA_DER_MIN = 290,
};

static const jwt_alg_t library_algorithm[] = {
    [JWS_HS256] = JWT_ALG_HS256, [JWS_RS256] = JWT_ALG_RS256, [JWS_ES256] = JWT_ALG_ES256};

static const char *const names[] = {
    [JWS_HS256] = "HS256", [JWS_RS256] = "RS256", [JWS_ES256] = "ES256"};

/* ---- the key ---- */

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

/* What stands between the first pair of marker lines. */
static bool
between_markers(struct text s, const char *begin, const char *end, struct text *inside)
{
    const char *from = memmem(s.p, s.n, begin, strlen(begin)), *to;

    if (!from)
        return false;
    from += strlen(begin);
    to = memmem(from, (size_t)(s.p + s.n - from), end, strlen(end));
    if (to)
        *inside = (struct text){from, (size_t)(to - from)};
    return to != NULL;
}

/* The library tells neither a wrong kind of key nor a short one from a wrong signature, so whoever
 * configures it would only see that no token is ever accepted. A SubjectPublicKeyInfo names its
 * kind at its beginning. */
static enum err
check_public_key(struct text pem, enum jws_algorithm algorithm, const char *file, struct errbuf *eb)
{
    static const char rsa[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
    static const char ec[] = "\x2a\x86\x48\xce\x3d\x02\x01",
                      p256[] = "\x2a\x86\x48\xce\x3d\x03\x01\x07";
    struct text inside;
    struct buf der;
    bool right;

    if (!between_markers(pem, "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----", &inside))
        return err_set(eb, ERR_INVALID, "%s: %s; write the public key with openssl pkey -pubout",
                       file,
                       contains(pem, "PRIVATE KEY") ? "this is a private key, which only signs"
                                                    : "there is no PEM public key in it");
    buf_init(&der, KEY_FILE_MAX);
    right = base64_decode_pem(inside, &der) && !buf_failed(&der);
    if (right && algorithm == JWS_RS256)
        right = contains(buf_view(&der), rsa) && der.length >= RSA_DER_MIN;
    else if (right)
        right = contains(buf_view(&der), ec) && contains(buf_view(&der), p256);
    buf_finish(&der);
    return right
               ? ERR_OK
               : err_set(eb, ERR_INVALID, "%s: %s needs a public key of %s", file, names[algorithm],
                         algorithm == JWS_RS256 ? "RSA with at least 2,048 bits"
                                                : "the curve P-256 (prime256v1)");
}

static enum err
check_key(const struct jws_key *k, const char *file, enum jws_use use, struct errbuf *eb)
{
    struct text bytes = {k->bytes, k->n};

    switch (k->algorithm) {
    case JWS_HS256:
        if (contains(bytes, "-----BEGIN "))
            return err_set(eb, ERR_INVALID,
                           "%s: a PEM key is no secret for HS256; is the algorithm right?", file);
        if (k->n < JWS_SECRET_MIN)
            return err_set(eb, ERR_INVALID, "%s: a secret for HS256 has at least %d bytes", file,
                           JWS_SECRET_MIN);
        return ERR_OK;
    case JWS_RS256:
    case JWS_ES256:
        if (use == JWS_VERIFY)
            return check_public_key(bytes, k->algorithm, file, eb);
        if (!contains(bytes, "PRIVATE KEY-----"))
            return err_set(eb, ERR_INVALID, "%s: signing needs a PEM private key", file);
        return ERR_OK;
    }
    return ERR_INVALID;
}

enum err
jws_key_read(struct jws_key *k, const char *file, enum jws_algorithm algorithm, enum jws_use use,
             struct errbuf *eb)
{
    struct buf b;
    enum err err = read_file(file, &b, eb);

    *k = (struct jws_key){.algorithm = algorithm};
    if (err == ERR_OK && algorithm == JWS_HS256) {
        if (b.length > 0 && b.data[b.length - 1] == '\n')
            b.length--;
        if (b.length > 0 && b.data[b.length - 1] == '\r')
            b.length--;
    }
    if (err == ERR_OK) {
        k->n = b.length;
        k->bytes = mem_copy(buf_view(&b));
        err = k->bytes ? check_key(k, file, use, eb) : err_set(eb, ERR_NOMEM, "out of memory");
    }
    if (b.data)
        explicit_bzero(b.data, b.capacity);
    buf_finish(&b);
    if (err != ERR_OK)
        jws_key_finish(k);
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

/* ---- the parts of a token ---- */

static enum err
malformed(struct errbuf *eb)
{
    return err_set(eb, ERR_INVALID, "the token is malformed");
}

/* Three parts that are not empty, and nothing but base64 in them. */
static enum err
split(struct text token, struct text part[3], struct errbuf *eb)
{
    size_t n = 0, begin = 0;

    if (token.n > JWS_TOKEN_MAX)
        return err_set(eb, ERR_INVALID, "the token is longer than %d bytes", JWS_TOKEN_MAX);
    for (size_t i = 0; i <= token.n; i++) {
        if (i < token.n && token.p[i] != '.')
            continue;
        if (n == 3 || i == begin)
            return malformed(eb);
        part[n++] = (struct text){token.p + begin, i - begin};
        begin = i + 1;
    }
    return n == 3 ? ERR_OK : malformed(eb);
}

/* json-c's tree is good enough here: what is compared with is our own or the key's owner's. Whether
 * it is JSON is json_check()'s to say; json-c's own strict mode refuses, in version 0.18, every
 * string that is not ASCII. */
static enum err
parse_object(struct text s, struct json_object **object, struct errbuf *eb)
{
    struct json_tokener *tokener;

    if (!text_is_utf8(s) || json_check(s, NULL, NULL) != ERR_OK)
        return malformed(eb);
    tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
    if (!tokener)
        return err_set(eb, ERR_NOMEM, "out of memory");
    *object = json_tokener_parse_ex(tokener, s.p, (int)s.n);
    json_tokener_free(tokener);
    if (json_object_is_type(*object, json_type_object))
        return ERR_OK;
    json_object_put(*object);
    *object = NULL;
    return malformed(eb);
}

static enum err
decode_object(struct text part, struct json_object **object, struct errbuf *eb)
{
    enum err err;
    struct buf b;

    *object = NULL;
    buf_init(&b, JWS_TOKEN_MAX);
    if (!base64_decode_url(part, &b))
        err = malformed(eb);
    else if (buf_failed(&b))
        err = err_set(eb, ERR_NOMEM, "out of memory");
    else
        err = parse_object(buf_view(&b), object, eb);
    buf_finish(&b);
    return err;
}

enum err
jws_look(struct text token, struct json_object **header, struct json_object **payload,
         struct errbuf *eb)
{
    struct text part[3] = {TEXT_NONE, TEXT_NONE, TEXT_NONE};
    enum err err = split(token, part, eb);

    *header = *payload = NULL;
    if (err == ERR_OK)
        err = decode_object(part[0], header, eb);
    if (err == ERR_OK)
        err = decode_object(part[1], payload, eb);
    if (err != ERR_OK) {
        json_object_put(*header);
        *header = NULL;
    }
    return err;
}

/* ---- verifying ---- */

static enum err
check_header(const struct jws_key *k, struct json_object *header, struct errbuf *eb)
{
    struct json_object *alg, *crit;

    if (!json_object_object_get_ex(header, "alg", &alg) ||
        !json_object_is_type(alg, json_type_string) ||
        strcmp(json_object_get_string(alg), names[k->algorithm]) != 0)
        return err_set(eb, ERR_INVALID, "the token is not signed with %s", names[k->algorithm]);
    /* RFC 7515, 4.1.11: extensions that must be understood; none is. */
    if (json_object_object_get_ex(header, "crit", &crit))
        return err_set(eb, ERR_INVALID, "the token needs an extension that is not supported");
    return ERR_OK;
}

static enum err
check_signature(const struct jws_key *k, struct text token, struct errbuf *eb)
{
    char *copy = mem_copy(token);
    jwt_t *jwt = NULL;
    bool right;

    if (!copy)
        return err_set(eb, ERR_NOMEM, "out of memory");
    right = jwt_decode(&jwt, copy, (const unsigned char *)k->bytes, (int)k->n) == 0 &&
            jwt_get_alg(jwt) == library_algorithm[k->algorithm];
    if (jwt)
        jwt_free(jwt);
    mem_free(copy);
    return right ? ERR_OK : err_set(eb, ERR_INVALID, "the token's signature does not match");
}

enum err
jws_verify(const struct jws_key *k, struct text token, struct json_object **payload,
           struct errbuf *eb)
{
    struct json_object *header;
    struct text part[3] = {TEXT_NONE, TEXT_NONE, TEXT_NONE};
    struct buf signature;
    enum err err = jws_look(token, &header, payload, eb);

    if (err != ERR_OK)
        return err;
    split(token, part, NULL);
    buf_init(&signature, JWS_TOKEN_MAX);
    if (!base64_decode_url(part[2], &signature))
        err = malformed(eb);
    buf_finish(&signature);
    if (err == ERR_OK)
        err = check_header(k, header, eb);
    if (err == ERR_OK)
        err = check_signature(k, token, eb);
    json_object_put(header);
    if (err != ERR_OK) {
        json_object_put(*payload);
        *payload = NULL;
    }
    return err;
}

/* ---- signing ---- */

enum err
jws_sign(const struct jws_key *k, const char *payload, struct buf *out, struct errbuf *eb)
{
    jwt_t *jwt = NULL;
    char *token = NULL;
    enum err err = ERR_OK;

    if (jwt_new(&jwt) != 0)
        return err_set(eb, ERR_NOMEM, "out of memory");
    if (jwt_add_grants_json(jwt, payload) != 0)
        err = err_set(eb, ERR_INVALID,
                      "the claims have what a token cannot: a name twice, a number that is too "
                      "large, a NUL or half a surrogate pair");
    else if (jwt_set_alg(jwt, library_algorithm[k->algorithm], (const unsigned char *)k->bytes,
                         (int)k->n) != 0 ||
             !(token = jwt_encode_str(jwt)))
        err = err_set(eb, ERR_INVALID, "the key cannot sign with %s", names[k->algorithm]);
    else
        buf_string(out, token);
    free(token);
    jwt_free(jwt);
    return err;
}
