/* Key files of tokens: secrets, PEM, JSON Web Keys.
 *
 * Input: a byte that says the algorithm of a file that is no JWK, then the file. What is taken as
 * keys can verify, for the algorithm that it says, what nobody has signed: never. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/jws.h"
#include "tests/fuzz/fuzz.h"

const char fuzz_name[] = "keys";

static char path[64];
static int file = -1;

static void
write_file(struct text s)
{
    if (file < 0) {
        file = memfd_create("keys", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    if (file < 0 || ftruncate(file, 0) < 0 || pwrite(file, s.p, s.n, 0) != (ssize_t)s.n)
        abort();
}

/* A token with each algorithm whose signature is zeros, and one for every name of a key. */
static void
check_tokens(const struct jws_keys *keys)
{
    /* {"alg":"HS256"} and so on; the payload is {}. */
    static const char *const tokens[] = {
        "eyJhbGciOiJIUzI1NiJ9.e30.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "eyJhbGciOiJSUzI1NiJ9.e30.AAAA",
        "eyJhbGciOiJFUzI1NiJ9.e30."
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "AAAAAAAAAAAAAAAAAAA",
        "eyJhbGciOiJFZERTQSJ9.e30.AAAA",
        "eyJhbGciOiJub25lIn0.e30.AA",
    };

    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        struct json_object *payload = NULL;
        struct errbuf eb = {""};
        uint64_t signer;
        enum err err = jws_verify_with(keys, text_of(tokens[i]), &payload, &signer, &eb);

        FUZZ_CHECK(err == ERR_INVALID && !payload && eb.text[0], "token %zu: %d", i, (int)err);
    }
}

static void
check_keys(const struct jws_keys *keys, enum jws_algorithm algorithm, struct text s)
{
    bool one_file = keys->n == 1 && keys->ignored == 0;

    FUZZ_CHECK(keys->n >= 1 && keys->n <= JWS_KEYS_MAX, "%zu keys", keys->n);
    for (size_t i = 0; i < keys->n; i++) {
        FUZZ_CHECK(keys->one[i].crypto && keys->one[i].fingerprint, "key %zu", i);
        FUZZ_CHECK(jws_keys_have(keys, keys->one[i].fingerprint), "key %zu", i);
        FUZZ_CHECK((one_file && jws_crypto_algorithm(keys->one[i].crypto) == algorithm) ||
                       memmem(s.p, s.n, "kty", 3) || memchr(s.p, '\\', s.n),
                   "key %zu has an algorithm that nobody said", i);
    }
    check_tokens(keys);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct fuzz f = fuzz_begin(bytes, n);
    enum jws_algorithm algorithm = (enum jws_algorithm)(fuzz_byte(&f) % JWS_ALGORITHM_COUNT);
    struct text s = fuzz_rest(&f);
    char *files[] = {path, path};
    struct jws_keys keys, twice;
    struct errbuf eb = {""};
    enum err err;

    write_file(s);
    err = jws_keys_read(&keys, files, 1, algorithm, &eb);
    if (err != ERR_OK) {
        FUZZ_CHECK(err == ERR_INVALID && eb.text[0] && keys.n == 0, "%d", (int)err);
        return 0;
    }
    check_keys(&keys, algorithm, s);
    /* The same file twice: the same keys, as long as there is room. */
    err = jws_keys_read(&twice, files, 2, algorithm, &eb);
    FUZZ_CHECK(err == (keys.n * 2 <= JWS_KEYS_MAX ? ERR_OK : ERR_INVALID), "%d", (int)err);
    for (size_t i = 0; i < twice.n; i++)
        FUZZ_CHECK(twice.one[i].fingerprint == keys.one[i % keys.n].fingerprint, "key %zu", i);
    jws_keys_finish(&twice);
    jws_keys_finish(&keys);
    return 0;
}
