#include "base/jws_crypto.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/base64.h"
#include "base/mem.h"

enum {
    RSA_BITS_MIN = 2048,      /* RFC 7518, 3.3 */
    SIGNATURE_MAX = 2048,     /* of RSA with 16,384 bits, which is as far as libcrypto goes */
    HALF = 32,                /* of a signature, or of a point, of P-256 */
    POINT_BYTES = 1 + 2 * 32, /* 4, x, y */
    BARE_MAX = 64 * 1024,
};

struct jws_crypto {
    enum jws_algorithm algorithm;
    EVP_PKEY *pkey; /* the secret too */
};

const char *
jws_algorithm_name(enum jws_algorithm algorithm)
{
    static const char *const names[JWS_ALGORITHM_COUNT] = {"HS256", "RS256", "ES256", "EdDSA"};

    return names[algorithm];
}

/* ---- making keys ---- */

static bool
is_of(EVP_PKEY *pkey, enum jws_algorithm algorithm)
{
    char group[32] = "";
    size_t n;

    switch (algorithm) {
    case JWS_HS256:
        return EVP_PKEY_is_a(pkey, "HMAC");
    case JWS_RS256:
        return EVP_PKEY_is_a(pkey, "RSA") && EVP_PKEY_get_bits(pkey) >= RSA_BITS_MIN;
    case JWS_ES256:
        return EVP_PKEY_is_a(pkey, "EC") &&
               EVP_PKEY_get_group_name(pkey, group, sizeof group, &n) == 1 &&
               strcmp(group, SN_X9_62_prime256v1) == 0;
    case JWS_EDDSA:
        return EVP_PKEY_is_a(pkey, SN_ED25519);
    }
    return false;
}

/* Takes pkey over. */
static struct jws_crypto *
create(EVP_PKEY *pkey, enum jws_algorithm algorithm)
{
    struct jws_crypto *k = pkey && is_of(pkey, algorithm) ? mem_zalloc(sizeof *k) : NULL;

    ERR_clear_error();
    if (!k) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    k->algorithm = algorithm;
    k->pkey = pkey;
    return k;
}

struct jws_crypto *
jws_crypto_secret(struct text secret)
{
    if (secret.n < JWS_SECRET_MIN)
        return NULL;
    return create(EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, (const unsigned char *)secret.p,
                                               secret.n),
                  JWS_HS256);
}

/* Never prompts: a key with a passphrase cannot be read. */
static int
no_passphrase(char *room, int size, int writing, void *context)
{
    (void)room;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

struct jws_crypto *
jws_crypto_pem(struct text pem, bool private, enum jws_algorithm algorithm)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *pkey = NULL;

    if (bio && private)
        pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    else if (bio)
        pkey = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    return create(pkey, algorithm);
}

static EVP_PKEY *
from_parameters(const char *type, OSSL_PARAM *parameters)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;

    if (context && parameters && EVP_PKEY_fromdata_init(context) == 1)
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, parameters);
    EVP_PKEY_CTX_free(context);
    return pkey;
}

static EVP_PKEY *
rsa_from(struct text n, struct text e)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *modulus = BN_bin2bn((const unsigned char *)n.p, (int)n.n, NULL);
    BIGNUM *exponent = BN_bin2bn((const unsigned char *)e.p, (int)e.n, NULL);
    OSSL_PARAM *parameters = NULL;
    EVP_PKEY *pkey;

    if (builder && modulus && exponent &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        parameters = OSSL_PARAM_BLD_to_param(builder);
    pkey = from_parameters("RSA", parameters);
    OSSL_PARAM_free(parameters);
    BN_free(modulus);
    BN_free(exponent);
    OSSL_PARAM_BLD_free(builder);
    return pkey;
}

static EVP_PKEY *
ec_from(struct text x, struct text y)
{
    unsigned char point[POINT_BYTES] = {4};
    char group[] = SN_X9_62_prime256v1;
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group - 1),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_END,
    };

    if (x.n != HALF || y.n != HALF)
        return NULL;
    memcpy(point + 1, x.p, HALF);
    memcpy(point + 1 + HALF, y.p, HALF);
    return from_parameters("EC", parameters);
}

struct jws_crypto *
jws_crypto_numbers(enum jws_algorithm algorithm, struct text a, struct text b)
{
    switch (algorithm) {
    case JWS_HS256:
        break;
    case JWS_RS256:
        return create(rsa_from(a, b), algorithm);
    case JWS_ES256:
        return create(ec_from(a, b), algorithm);
    case JWS_EDDSA:
        return create(
            EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)a.p, a.n),
            algorithm);
    }
    return NULL;
}

void
jws_crypto_destroy(struct jws_crypto *k)
{
    if (k)
        EVP_PKEY_free(k->pkey);
    mem_free(k);
}

enum jws_algorithm
jws_crypto_algorithm(const struct jws_crypto *k)
{
    return k->algorithm;
}

/* ---- signatures ---- */

/* Ed25519 hashes by itself. */
static const EVP_MD *
hash_of(const struct jws_crypto *k)
{
    return k->algorithm == JWS_EDDSA ? NULL : EVP_sha256();
}

/* As libcrypto has it, at most SIGNATURE_MAX bytes; 0 when it cannot be made. */
static size_t
sign(const struct jws_crypto *k, struct text bytes, unsigned char *signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t n = SIGNATURE_MAX;

    if (!context || EVP_DigestSignInit(context, NULL, hash_of(k), NULL, k->pkey) != 1 ||
        EVP_DigestSign(context, signature, &n, (const unsigned char *)bytes.p, bytes.n) != 1)
        n = 0;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return n;
}

/* RFC 7518, 3.4: r and s side by side; libcrypto has them in DER. Owned by the caller, or NULL. */
static unsigned char *
der_of_halves(struct text halves, size_t *n)
{
    const unsigned char *p = (const unsigned char *)halves.p;
    ECDSA_SIG *pair = halves.n == (size_t)2 * HALF ? ECDSA_SIG_new() : NULL;
    BIGNUM *r = pair ? BN_bin2bn(p, HALF, NULL) : NULL;
    BIGNUM *s = pair ? BN_bin2bn(p + HALF, HALF, NULL) : NULL;
    unsigned char *der = NULL;
    int length = -1;

    if (r && s && ECDSA_SIG_set0(pair, r, s) == 1) {
        length = i2d_ECDSA_SIG(pair, &der);
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(pair);
    *n = length > 0 ? (size_t)length : 0;
    return der;
}

static bool
halves_of_der(const unsigned char *der, size_t n, unsigned char halves[2 * HALF])
{
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)n);
    bool whole = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), halves, HALF) == HALF &&
                 BN_bn2binpad(ECDSA_SIG_get0_s(pair), halves + HALF, HALF) == HALF;

    ECDSA_SIG_free(pair);
    return whole;
}

static bool
matches(const struct jws_crypto *k, struct text bytes, const unsigned char *signature, size_t n)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool right =
        context && EVP_DigestVerifyInit(context, NULL, hash_of(k), NULL, k->pkey) == 1 &&
        EVP_DigestVerify(context, signature, n, (const unsigned char *)bytes.p, bytes.n) == 1;

    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return right;
}

bool
jws_crypto_verify(const struct jws_crypto *k, struct text bytes, struct text signature)
{
    unsigned char mine[SIGNATURE_MAX], *der;
    bool right;
    size_t n;

    switch (k->algorithm) {
    case JWS_HS256:
        n = sign(k, bytes, mine);
        return n > 0 && n == signature.n && CRYPTO_memcmp(mine, signature.p, n) == 0;
    case JWS_ES256:
        der = der_of_halves(signature, &n);
        right = der && matches(k, bytes, der, n);
        OPENSSL_free(der);
        return right;
    case JWS_RS256:
    case JWS_EDDSA:
        return matches(k, bytes, (const unsigned char *)signature.p, signature.n);
    }
    return false;
}

bool
jws_crypto_sign(const struct jws_crypto *k, struct text bytes, struct buf *signature)
{
    unsigned char made[SIGNATURE_MAX], halves[2 * HALF];
    size_t n = sign(k, bytes, made);

    if (n == 0 || (k->algorithm == JWS_ES256 && !halves_of_der(made, n, halves)))
        return false;
    if (k->algorithm == JWS_ES256)
        buf_append(signature, halves, sizeof halves);
    else
        buf_append(signature, made, n);
    return true;
}

/* ---- telling keys apart ---- */

uint64_t
jws_crypto_fingerprint(const struct jws_crypto *k)
{
    unsigned char hash[EVP_MAX_MD_SIZE], made[SIGNATURE_MAX], *der = NULL;
    int length = k->algorithm == JWS_HS256 ? 0 : i2d_PUBKEY(k->pkey, &der);
    uint64_t fingerprint = 0;

    /* Of a secret: its signature of a text that cannot be a token. */
    if (length > 0 && EVP_Digest(der, (size_t)length, hash, NULL, EVP_sha256(), NULL) == 1)
        memcpy(&fingerprint, hash, sizeof fingerprint);
    else if (sign(k, TEXT_LIT("fingerprint"), made) >= sizeof fingerprint)
        memcpy(&fingerprint, made, sizeof fingerprint);
    OPENSSL_free(der);
    return fingerprint ? fingerprint : 1;
}

static bool
is_certificate(struct text der)
{
    const unsigned char *p = (const unsigned char *)der.p;
    X509 *certificate = d2i_X509(NULL, &p, (long)der.n);

    X509_free(certificate);
    return certificate;
}

/* PEM or DER, whatever is in it. */
static bool
decodes(struct text bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    EVP_PKEY *pkey = NULL;
    OSSL_DECODER_CTX *decoder =
        OSSL_DECODER_CTX_new_for_pkey(&pkey, NULL, NULL, NULL, 0, NULL, NULL);
    size_t n = bytes.n;

    if (decoder)
        OSSL_DECODER_CTX_set_pem_password_cb(decoder, no_passphrase, NULL);
    if (decoder)
        OSSL_DECODER_from_data(decoder, &p, &n);
    OSSL_DECODER_CTX_free(decoder);
    EVP_PKEY_free(pkey);
    return pkey || is_certificate(bytes);
}

bool
jws_crypto_is_asymmetric(struct text bytes)
{
    struct buf bare;
    bool is = decodes(bytes);

    buf_init(&bare, BARE_MAX);
    if (!is && base64_decode_pem(bytes, &bare) && bare.length > 0)
        is = decodes(buf_view(&bare));
    if (bare.data)
        explicit_bzero(bare.data, bare.capacity); /* it may be a secret after all */
    buf_finish(&bare);
    ERR_clear_error();
    return is;
}
