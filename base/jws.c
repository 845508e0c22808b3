#include "base/jws.h"

#include "base/base64.h"
#include "base/json.h"

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
    size_t n = 0;

    if (token.n > JWS_TOKEN_MAX)
        return err_set(eb, ERR_INVALID, "the token is longer than %d bytes", JWS_TOKEN_MAX);
    for (bool more = true; more; n++) {
        if (n == 3)
            return malformed(eb);
        more = text_cut(&token, '.', &part[n]);
        if (part[n].n == 0)
            return malformed(eb);
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
        return err_nomem(eb);
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
        err = err_nomem(eb);
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

static struct text
string_member(struct json_object *object, const char *name)
{
    struct json_object *value;

    if (!json_object_object_get_ex(object, name, &value) ||
        !json_object_is_type(value, json_type_string))
        return TEXT_NONE;
    return (struct text){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
}

static enum err
wrong_algorithm(const struct jws_keys *keys, struct errbuf *eb)
{
    enum jws_algorithm first = jws_crypto_algorithm(keys->one[0].crypto);

    for (size_t i = 1; i < keys->n; i++)
        if (jws_crypto_algorithm(keys->one[i].crypto) != first)
            return err_set(eb, ERR_INVALID,
                           "the token is not signed with an algorithm of the keys");
    return err_set(eb, ERR_INVALID, "the token is not signed with %s", jws_algorithm_name(first));
}

/* The first key of this algorithm and name that has made the signature. */
static enum err
find_signer(const struct jws_keys *keys, struct json_object *header, struct text bytes,
            struct text signature, uint64_t *fingerprint, struct errbuf *eb)
{
    struct text alg = string_member(header, "alg"), kid = string_member(header, "kid");
    bool algorithm_known = false, tried = false;

    for (size_t i = 0; i < keys->n; i++) {
        const struct jws_keys_one *one = &keys->one[i];

        if (!text_equal(alg, text_of(jws_algorithm_name(jws_crypto_algorithm(one->crypto)))))
            continue;
        algorithm_known = true;
        if (one->id && kid.p && !text_equal(kid, text_of(one->id)))
            continue;
        tried = true;
        if (!jws_crypto_verify(one->crypto, bytes, signature))
            continue;
        *fingerprint = one->fingerprint;
        return ERR_OK;
    }
    if (!algorithm_known)
        return wrong_algorithm(keys, eb);
    return err_set(eb, ERR_INVALID,
                   tried ? "the token's signature does not match"
                         : "the key that the token names (kid) is not known");
}

static enum err
check_signature(const struct jws_keys *keys, struct json_object *header, struct text token,
                uint64_t *fingerprint, struct errbuf *eb)
{
    struct text part[3] = {TEXT_NONE, TEXT_NONE, TEXT_NONE}, bytes = token;
    struct buf signature;
    enum err err;

    /* RFC 7515, 4.1.11: extensions that must be understood; none is. */
    if (json_object_object_get_ex(header, "crit", NULL))
        return err_set(eb, ERR_INVALID, "the token needs an extension that is not supported");
    split(token, part, NULL);
    bytes.n -= part[2].n + 1;
    buf_init(&signature, JWS_TOKEN_MAX);
    if (!base64_decode_url(part[2], &signature))
        err = malformed(eb);
    else if (buf_failed(&signature))
        err = err_nomem(eb);
    else
        err = find_signer(keys, header, bytes, buf_view(&signature), fingerprint, eb);
    buf_finish(&signature);
    return err;
}

enum err
jws_verify_with(const struct jws_keys *keys, struct text token, struct json_object **payload,
                uint64_t *fingerprint, struct errbuf *eb)
{
    struct json_object *header;
    enum err err = jws_look(token, &header, payload, eb);

    if (err != ERR_OK)
        return err;
    err = check_signature(keys, header, token, fingerprint, eb);
    json_object_put(header);
    if (err != ERR_OK) {
        json_object_put(*payload);
        *payload = NULL;
    }
    return err;
}

enum err
jws_verify(const struct jws_key *k, struct text token, struct json_object **payload,
           struct errbuf *eb)
{
    struct jws_keys keys = {.one = {{.crypto = jws_key_prepare(k, JWS_VERIFY)}}, .n = 1};
    uint64_t fingerprint;
    enum err err = ERR_NOMEM;

    if (keys.one[0].crypto)
        err = jws_verify_with(&keys, token, payload, &fingerprint, eb);
    else
        err_nomem(eb);
    jws_keys_finish(&keys);
    return err;
}

/* ---- signing ---- */

enum err
jws_sign(const struct jws_key *k, const char *payload, struct buf *out, struct errbuf *eb)
{
    struct jws_crypto *crypto = jws_key_prepare(k, JWS_SIGN);
    const char *name = jws_algorithm_name(k->algorithm);
    struct buf b, signature;
    bool made;

    buf_init(&b, SIZE_MAX / 4);
    buf_init(&signature, JWS_TOKEN_MAX);
    buf_format(&b, "{\"alg\":\"%s\",\"typ\":\"JWT\"}", name);
    base64_encode_url(buf_view(&b), out);
    buf_byte(out, '.');
    base64_encode_url(text_of(payload), out);
    made = crypto && !buf_failed(out) && jws_crypto_sign(crypto, buf_view(out), &signature);
    buf_byte(out, '.');
    base64_encode_url(buf_view(&signature), out);
    out->failed |= buf_failed(&b) || buf_failed(&signature);
    buf_finish(&b);
    buf_finish(&signature);
    jws_crypto_destroy(crypto);
    return made || buf_failed(out) ? ERR_OK
                                   : err_set(eb, ERR_INVALID, "the key cannot sign with %s", name);
}
