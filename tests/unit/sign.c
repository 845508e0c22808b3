#include "tests/unit/sign.h"

#include <assert.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

/* By libcrypto's encoder for lines, in the other alphabet and without padding. */
static void
put(struct buf *out, const void *bytes, size_t n)
{
    unsigned char line[4096];
    int length = EVP_EncodeBlock(line, bytes, (int)n);

    assert(n < sizeof line / 2);
    for (int i = 0; i < length && line[i] != '='; i++)
        buf_byte(out, line[i] == '+' ? '-' : line[i] == '/' ? '_' : (char)line[i]);
}

static size_t
sign_asymmetric(const char *algorithm, const char *pem, struct text bytes, unsigned char *made,
                size_t room)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const EVP_MD *hash = strcmp(algorithm, "EdDSA") == 0 ? NULL : EVP_sha256();
    size_t n = room;

    assert(EVP_DigestSignInit(context, NULL, hash, NULL, key) == 1);
    assert(EVP_DigestSign(context, made, &n, (const unsigned char *)bytes.p, bytes.n) == 1);
    if (strcmp(algorithm, "ES256") == 0) {
        const unsigned char *p = made;
        ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &p, (long)n);

        assert(BN_bn2binpad(ECDSA_SIG_get0_r(pair), made, 32) == 32);
        assert(BN_bn2binpad(ECDSA_SIG_get0_s(pair), made + 32, 32) == 32);
        ECDSA_SIG_free(pair);
        n = 64;
    }
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    BIO_free(bio);
    return n;
}

void
sign_token(struct buf *out, const char *algorithm, const char *key, const char *header,
           const char *payload)
{
    unsigned char made[1024];
    size_t begin = out->length, n = 0;
    struct text bytes;
    unsigned length = 0;

    put(out, header, strlen(header));
    buf_byte(out, '.');
    put(out, payload, strlen(payload));
    bytes = (struct text){out->data + begin, out->length - begin};
    if (strcmp(algorithm, "HS256") == 0) {
        HMAC(EVP_sha256(), key, (int)strlen(key), (const unsigned char *)bytes.p, bytes.n, made,
             &length);
        n = length;
    } else if (strcmp(algorithm, "none") != 0) {
        n = sign_asymmetric(algorithm, key, bytes, made, sizeof made);
    }
    buf_byte(out, '.');
    put(out, made, n);
}
