/* What tokens are made of and limited by: base64, keys as files, signing and verifying, the table
 * of addresses, the heap of deadlines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/base64.h"
#include "base/jws.h"
#include "base/mem.h"
#include "fcgi/address.h"
#include "http/cors.h"
#include "fcgi/deadline.h"
#include "http/grants.h"
#include "tests/unit/grants_text.h"
#include "tests/unit/keys.h"
#include "tests/unit/sign.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* ---- base64 ---- */

static void
base64_has_one_meaning_or_none(void **state)
{
    static const struct {
        const char *text, *meaning; /* NULL: refused */
    } rows[] = {
        {"", ""},
        {"Zg", "f"},
        {"Zm8", "fo"},
        {"Zm9v", "foo"},
        {"-_-_", "\xfb\xff\xbf"},
        {"Z", NULL},
        {"Zm9vY", NULL},
        {"Zg==", NULL},
        {"Zh", NULL},
        {"Zm9", NULL},
        {"Zm+v", NULL},
        {"Zm/v", NULL},
        {"Zm 9v", NULL},
        {"Zm9v\n", NULL},
        {"Zm9\xc3", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf b;
        bool good;

        buf_init(&b, 100);
        good = base64_decode_url(text_of(rows[i].text), &b);
        if (good != !!rows[i].meaning ||
            (good && !text_equal(buf_view(&b), text_of(rows[i].meaning))))
            fail_msg("\"%s\"", rows[i].text);
        buf_finish(&b);
    }
}

/* ---- keys ---- */

static const char rsa_1024[] = "-----BEGIN PUBLIC KEY-----\n"
                               "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC1z1mRNTFfXn20FMZ2U7BFdI5d\n"
                               "3oiE9IzIlTIsv4d69mW9AsVrizR15Wh679B1UPkS5cPWn6JEg6//y0VUyw2idG0m\n"
                               "DQ8UfGUz1JDUi7TMDsTv2nGIdyQBPDd/1Npdd9JKrrIARI4tZDubNHaRTdDbeKW4\n"
                               "v86RIQLPwYQz8X4DswIDAQAB\n"
                               "-----END PUBLIC KEY-----\n";

static enum err
read_key(const char *bytes, enum jws_algorithm algorithm, enum jws_use use, struct jws_key *k,
         struct errbuf *eb)
{
    char file[] = "freshet-key.XXXXXX";
    int fd = mkstemp(file);
    enum err err;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, strlen(bytes)), strlen(bytes));
    close(fd);
    err = jws_key_read(k, file, algorithm, use, eb);
    unlink(file);
    return err;
}

static void
a_key_is_what_its_algorithm_needs_or_refused(void **state)
{
    static const struct {
        const char *bytes, *why; /* NULL: accepted */
        enum jws_algorithm algorithm;
        enum jws_use use;
    } rows[] = {
        {secret, NULL, JWS_HS256, JWS_VERIFY},
        {secret, NULL, JWS_HS256, JWS_SIGN},
        {"too short", "at least 32 bytes", JWS_HS256, JWS_VERIFY},
        {"", "at least 32 bytes", JWS_HS256, JWS_VERIFY},
        {rsa_public, "is the algorithm right", JWS_HS256, JWS_VERIFY},
        {rsa_public, NULL, JWS_RS256, JWS_VERIFY},
        {ec_public, NULL, JWS_ES256, JWS_VERIFY},
        {rsa_private, NULL, JWS_RS256, JWS_SIGN},
        {ec_private, NULL, JWS_ES256, JWS_SIGN},
        {ec_public, "RSA with at least", JWS_RS256, JWS_VERIFY},
        {rsa_public, "P-256", JWS_ES256, JWS_VERIFY},
        {rsa_1024, "2,048 bits", JWS_RS256, JWS_VERIFY},
        {rsa_private, "private key", JWS_RS256, JWS_VERIFY},
        {ec_private, "private key", JWS_ES256, JWS_VERIFY},
        {secret, "no PEM public key", JWS_RS256, JWS_VERIFY},
        {ec_public, "needs a PEM private key", JWS_ES256, JWS_SIGN},
        {ed_public, NULL, JWS_EDDSA, JWS_VERIFY},
        {ed_private, NULL, JWS_EDDSA, JWS_SIGN},
        {ed_private, "private key", JWS_EDDSA, JWS_VERIFY},
        {ec_public, "Ed25519", JWS_EDDSA, JWS_VERIFY},
        {ed_public, "P-256", JWS_ES256, JWS_VERIFY},
        {rsa_private, "a private key of the curve", JWS_ES256, JWS_SIGN},
        {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "RSA with at least",
         JWS_RS256, JWS_VERIFY},
        /* What everybody knows is no secret, however it is written. */
        {ed_public, "is the algorithm right", JWS_HS256, JWS_VERIFY},
        {"MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "is the algorithm right",
         JWS_HS256, JWS_VERIFY},
        {"MCowBQYDK2Vw\r\nAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\r\n",
         "is the algorithm right", JWS_HS256, JWS_VERIFY},
        {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea a@b",
         "is the algorithm right", JWS_HS256, JWS_VERIFY},
        {"{\"keys\":[{" ED_JWK "}]}", "is the algorithm right", JWS_HS256, JWS_SIGN},
        {"{" RSA_JWK "}", "is the algorithm right", JWS_HS256, JWS_VERIFY},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct errbuf eb = {""};
        struct jws_key k;
        enum err err = read_key(rows[i].bytes, rows[i].algorithm, rows[i].use, &k, &eb);

        if (!rows[i].why != (err == ERR_OK) || (err != ERR_OK && !strstr(eb.text, rows[i].why)))
            fail_msg("row %zu: %d %s", i, err, eb.text);
        assert_true((k.bytes != NULL) == (err == ERR_OK));
        jws_key_finish(&k);
    }
}

static void
a_key_in_der_is_no_secret(void **state)
{
    static const char *const pems[] = {rsa_public, ec_public,  ed_public,
                                       rsa_1024,   ec_private, rsa_private};

    (void)state;
    for (size_t i = 0; i < 2 * COUNT_OF(pems); i++) {
        const char *pem = pems[i / 2];
        const char *from = strchr(pem, '\n'), *to = strstr(pem, "-----END");
        char file[] = "freshet-key.XXXXXX";
        int fd = mkstemp(file);
        struct errbuf eb = {""};
        struct jws_keys keys;
        char *files[] = {file};
        struct jws_key k;
        struct buf der;

        buf_init(&der, 10000);
        assert_true(base64_decode_pem((struct text){from, (size_t)(to - from)}, &der));
        if (i % 2 == 1)
            buf_string(&der, "\r\n");
        assert_true(fd >= 0);
        assert_int_equal(write(fd, der.data, der.length), der.length);
        close(fd);
        if (jws_key_read(&k, file, JWS_HS256, JWS_VERIFY, &eb) != ERR_INVALID ||
            !strstr(eb.text, "is the algorithm right"))
            fail_msg("row %zu: %s", i, eb.text);
        assert_int_equal(jws_keys_read(&keys, files, 1, JWS_HS256, NULL), ERR_INVALID);
        unlink(file);
        buf_finish(&der);
    }
}

static void
the_line_end_of_a_secret_does_not_count(void **state)
{
    struct jws_key a, b, c;
    char line[100];

    (void)state;
    assert_int_equal(read_key(secret, JWS_HS256, JWS_VERIFY, &a, NULL), ERR_OK);
    snprintf(line, sizeof line, "%s\n", secret);
    assert_int_equal(read_key(line, JWS_HS256, JWS_VERIFY, &b, NULL), ERR_OK);
    snprintf(line, sizeof line, "%s\r\n", secret);
    assert_int_equal(read_key(line, JWS_HS256, JWS_VERIFY, &c, NULL), ERR_OK);
    assert_int_equal(a.n, strlen(secret));
    assert_string_equal(a.bytes, b.bytes);
    assert_string_equal(a.bytes, c.bytes);
    jws_key_finish(&a);
    jws_key_finish(&b);
    jws_key_finish(&c);
    assert_int_equal(jws_key_read(&a, "/nonexistent/key", JWS_HS256, JWS_VERIFY, NULL), ERR_IO);
}

static void
what_is_signed_is_verified(void **state)
{
    static const struct {
        const char *private, *public;
        enum jws_algorithm algorithm;
    } rows[] = {
        {secret, secret, JWS_HS256},
        {rsa_private, rsa_public, JWS_RS256},
        {ec_private, ec_public, JWS_ES256},
        {ed_private, ed_public, JWS_EDDSA},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct json_object *payload, *header, *sub;
        struct jws_key sign, verify;
        struct errbuf eb = {""};
        struct buf token;

        assert_int_equal(read_key(rows[i].private, rows[i].algorithm, JWS_SIGN, &sign, &eb), 0);
        assert_int_equal(read_key(rows[i].public, rows[i].algorithm, JWS_VERIFY, &verify, &eb), 0);
        buf_init(&token, JWS_TOKEN_MAX);
        assert_int_equal(jws_sign(&sign, "{\"sub\":\"42\"}", &token, &eb), ERR_OK);
        assert_int_equal(jws_verify(&verify, buf_view(&token), &payload, &eb), ERR_OK);
        assert_true(json_object_object_get_ex(payload, "sub", &sub));
        assert_string_equal(json_object_get_string(sub), "42");
        json_object_put(payload);
        assert_int_equal(jws_look(buf_view(&token), &header, &payload, &eb), ERR_OK);
        json_object_put(header);
        json_object_put(payload);
        buf_finish(&token);
        jws_key_finish(&sign);
        jws_key_finish(&verify);
    }
}

/* ---- several keys ---- */

static enum err
read_keys(const char *const *contents, size_t n, enum jws_algorithm algorithm,
          struct jws_keys *keys, struct errbuf *eb)
{
    char names[4][20], *files[4];
    enum err err;

    for (size_t i = 0; i < n; i++) {
        int fd;

        strcpy(names[i], "freshet-key.XXXXXX");
        files[i] = names[i];
        fd = mkstemp(names[i]);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, contents[i], strlen(contents[i])), strlen(contents[i]));
        close(fd);
    }
    err = jws_keys_read(keys, files, n, algorithm, eb);
    for (size_t i = 0; i < n; i++)
        unlink(files[i]);
    return err;
}

/* The key that lets a token in, by its number from 1; 0: none does. */
static size_t
signer_of(const struct jws_keys *keys, const char *algorithm, const char *key, const char *kid,
          struct errbuf *eb)
{
    struct json_object *payload;
    struct buf header, token;
    uint64_t fingerprint;
    size_t found = 0;
    enum err err;

    buf_init(&header, 1000);
    buf_init(&token, JWS_TOKEN_MAX);
    buf_format(&header, kid ? "{\"alg\":\"%s\",\"kid\":\"%s\"}" : "{\"alg\":\"%s\"}", algorithm,
               kid);
    buf_byte(&header, '\0');
    sign_token(&token, algorithm, key, header.data, "{\"sub\":\"42\"}");
    err = jws_verify_with(keys, buf_view(&token), &payload, &fingerprint, eb);
    if (err == ERR_OK) {
        json_object_put(payload);
        assert_true(jws_keys_have(keys, fingerprint));
        while (keys->one[found++].fingerprint != fingerprint)
            ;
    } else {
        assert_int_equal(err, ERR_INVALID);
    }
    buf_finish(&header);
    buf_finish(&token);
    return found;
}

static void
old_and_new_key_are_good_side_by_side(void **state)
{
    const char *const both[] = {secret, other_secret};
    struct jws_keys keys, later;
    struct errbuf eb = {""};

    (void)state;
    assert_int_equal(read_keys(both, 2, JWS_HS256, &keys, &eb), ERR_OK);
    assert_int_equal(signer_of(&keys, "HS256", secret, NULL, &eb), 1);
    assert_int_equal(signer_of(&keys, "HS256", other_secret, NULL, &eb), 2);
    assert_int_equal(signer_of(&keys, "HS256", other_secret, "any name", &eb), 2);
    assert_int_equal(signer_of(&keys, "HS256", "a third one", NULL, &eb), 0);
    assert_string_equal(eb.text, "the token's signature does not match");
    assert_int_equal(signer_of(&keys, "RS256", rsa_private, NULL, &eb), 0);
    assert_string_equal(eb.text, "the token is not signed with HS256");
    /* The same key, read again from another place, is the same. */
    assert_int_equal(read_keys(both + 1, 1, JWS_HS256, &later, &eb), ERR_OK);
    assert_false(jws_keys_have(&later, keys.one[0].fingerprint));
    assert_true(jws_keys_have(&later, keys.one[1].fingerprint));
    jws_keys_finish(&later);
    jws_keys_finish(&keys);
    assert_int_equal(keys.n, 0);
}

#define SECRET_JWK "\"kty\":\"oct\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\""
#define SECRET_OF_IT "0123456789abcdef0123456789abcdef"

static void
the_keys_of_a_set_are_chosen_by_name_and_algorithm(void **state)
{
    static const char set[] =
        "{\"keys\":[{\"kid\":\"r\"," RSA_JWK "},{\"kid\":\"e\",\"use\":\"sig\"," EC_JWK "},{" ED_JWK
        ",\"key_ops\":[\"verify\"],\"alg\":\"EdDSA\"},"
        "{\"kid\":\"o\\u002f\"," SECRET_JWK "}]} \n";
    const char *const files[] = {set, ec_public};
    struct errbuf eb = {""};
    struct jws_keys keys;

    (void)state;
    /* Of the set each key says its algorithm, of the other file it is the operator's. */
    assert_int_equal(read_keys(files, 2, JWS_ES256, &keys, &eb), ERR_OK);
    assert_int_equal(keys.n, 5);
    assert_int_equal(keys.ignored, 0);
    assert_true(keys.one[1].fingerprint == keys.one[4].fingerprint);
    assert_int_equal(signer_of(&keys, "RS256", rsa_private, "r", &eb), 1);
    assert_int_equal(signer_of(&keys, "RS256", rsa_private, NULL, &eb), 1);
    assert_int_equal(signer_of(&keys, "RS256", rsa_private, "x", &eb), 0);
    assert_string_equal(eb.text, "the key that the token names (kid) is not known");
    assert_int_equal(signer_of(&keys, "ES256", ec_private, "e", &eb), 2);
    assert_int_equal(signer_of(&keys, "ES256", ec_private, "r", &eb), 2); /* the file has no name */
    assert_int_equal(signer_of(&keys, "ES256", other_ec_private, "e", &eb), 0);
    assert_int_equal(signer_of(&keys, "EdDSA", ed_private, NULL, &eb), 3);
    assert_int_equal(signer_of(&keys, "EdDSA", ed_private, "x", &eb), 3);
    assert_int_equal(signer_of(&keys, "HS256", SECRET_OF_IT, "o/", &eb), 4);
    assert_int_equal(signer_of(&keys, "HS256", SECRET_OF_IT, "o", &eb), 0);
    /* What is public in the set is no secret of it. */
    assert_int_equal(signer_of(&keys, "HS256", rsa_public, "r", &eb), 0);
    assert_int_equal(signer_of(&keys, "HS256", ed_public, NULL, &eb), 0);
    assert_int_equal(signer_of(&keys, "none", "", NULL, &eb), 0);
    assert_string_equal(eb.text, "the token is malformed");
    jws_keys_finish(&keys);
}

static void
a_set_has_a_key_that_serves_or_is_refused(void **state)
{
    static const struct {
        const char *set;
        size_t n, ignored;
        const char *why;
    } rows[] = {
        {"{" ED_JWK "}", 1, 0, NULL},
        {"{\"keys\":[{" ED_JWK "},{" EC_JWK ",\"use\":\"enc\"}]}", 1, 1, NULL},
        {"{\"keys\":[{" ED_JWK "},{" RSA_JWK ",\"alg\":\"PS256\"}]}", 1, 1, NULL},
        {"{\"keys\":[{" ED_JWK "},{\"kty\":\"new\"},{}]}", 1, 2, NULL},
        {"{\"keys\":[{" ED_JWK "},{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"}]}",
         1, 1, NULL},
        {"{\"keys\":[{" ED_JWK ",\"key_ops\":[\"sign\"]}]}", 0, 0, "no key in it"},
        {"{\"keys\":[]}", 0, 0, "no key in it"},
        {"{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}]}", 0, 0, "no key in it"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"n\":"
         "\"sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1Wl"
         "UzewbgBHod5pcM9H95GQRV3JDXboIRROSBigeC5yjU1hGzHHyXss8UDprecbAYxknTcQkhslANGRUZmdTOQ5qTRsL"
         "A"
         "t6BTYuyvVRdhS8exSZEy_c4gs_7svlJJQ4H9_NxsiIoLwAEk7-Q3UXERGYw_75IDrGA84-lA_-"
         "Ct4eTlXHBIY2EaV7t"
         "7LjJaynVJCpkv4LKjTTAumiGUIuQhrNhZLuF_RJLqHpM2kgWFLU7-"
         "VTdL1VbC2tejvcI2BlMkEpk1BzBZI0KQB0GaDW"
         "FLN-aEAw3vRw\",\"e\":\"AQAB\"}]}",
         1, 0, NULL}, /* RFC 7515, A.2 */
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
         "\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"y\":"
         "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
         "AAAAAAAA\"}]}",
         0, 0, "no key in it"}, /* not on the curve */
        {"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}]}", 0, 0, "no key in it"},
        {"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":7}]}", 0, 0, "no key in it"},
        {"{\"keys\":[{" ED_JWK ",\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\"}]}", 0, 0,
         "private key"},
        {"{\"keys\":[7]}", 0, 0, "not a JSON object"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct errbuf eb = {""};
        struct jws_keys keys;
        enum err err = read_keys(&rows[i].set, 1, JWS_HS256, &keys, &eb);

        if (!rows[i].why != (err == ERR_OK) || (err != ERR_OK && !strstr(eb.text, rows[i].why)) ||
            keys.n != rows[i].n || keys.ignored != rows[i].ignored)
            fail_msg("row %zu: %d, %zu keys, %zu ignored, %s", i, err, keys.n, keys.ignored,
                     eb.text);
        jws_keys_finish(&keys);
    }
}

static void
there_is_a_bound_for_keys(void **state)
{
    struct errbuf eb = {""};
    struct jws_keys keys;
    const char *set;
    struct buf b;

    (void)state;
    buf_init(&b, 60000);
    buf_string(&b, "{\"keys\":[");
    for (int i = 0; i <= JWS_KEYS_MAX; i++)
        buf_format(&b, "%s{" ED_JWK "}", i ? "," : "");
    buf_string(&b, "]}");
    buf_byte(&b, '\0');
    set = b.data;
    assert_int_equal(read_keys(&set, 1, JWS_HS256, &keys, &eb), ERR_INVALID);
    assert_non_null(strstr(eb.text, "more than 32 keys"));
    buf_finish(&b);
}

/* ---- grants ---- */

static struct grants
grants_of(const char *s)
{
    struct grants g;

    grants_init(&g);
    assert_int_equal(grants_parse(&g, text_of(s), NULL), ERR_OK);
    return g;
}

static void
two_grants_meet_in_what_both_allow(void **state)
{
    static const struct {
        const char *a, *b, *both;
    } rows[] = {
        {"*", "*", "*"},
        {"*", "a b*", "a b*"},
        {"", "*", ""},
        {"a", "a", "a"},
        {"a", "b", ""},
        {"a*", "ab*", "ab*"},
        {"a b", "b c", "b"},
        {"news/* chat", "news/sport c*", "news/sport chat"},
        {"a%20b", "a*", "a%20b"},
        {"a%25", "*", "a%25"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (int turned = 0; turned < 2; turned++) {
            struct grants a = grants_of(turned ? rows[i].b : rows[i].a);
            struct grants b = grants_of(turned ? rows[i].a : rows[i].b), both;
            struct buf text;

            grants_init(&both);
            buf_init(&text, 1000);
            assert_int_equal(grants_meet(&a, &b, &both), ERR_OK);
            grants_text(&both, &text);
            assert_string_equal(text.data, rows[i].both);
            buf_finish(&text);
            grants_finish(&a);
            grants_finish(&b);
            grants_finish(&both);
        }
    }
}

/* ---- origins ---- */

static void
only_exact_origins_may_be_listed(void **state)
{
    static const char *const bad[] = {"*",
                                      "",
                                      "https://",
                                      "https://a.example/",
                                      "https://A.example",
                                      "a.example",
                                      "null",
                                      "file://x",
                                      "https://a.example,",
                                      "https://a.example;https://b.example"};
    const char *list = "https://a.example, http://[::1]:8080,http://b.example:81";

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (cors_check_list(bad[i], NULL) != ERR_INVALID)
            fail_msg("\"%s\"", bad[i]);
    assert_int_equal(cors_check_list(NULL, NULL), ERR_OK);
    assert_int_equal(cors_check_list(list, NULL), ERR_OK);
    assert_true(cors_listed(list, TEXT_LIT("https://a.example")));
    assert_true(cors_listed(list, TEXT_LIT("http://[::1]:8080")));
    assert_true(cors_listed(list, TEXT_LIT("http://b.example:81")));
    assert_false(cors_listed(list, TEXT_LIT("http://a.example")));
    assert_false(cors_listed(list, TEXT_LIT("https://a.exampl")));
    assert_false(cors_listed(list, TEXT_LIT("http://b.example")));
    assert_false(cors_listed(list, TEXT_NONE));
    assert_false(cors_listed(NULL, TEXT_LIT("https://a.example")));
}

/* ---- addresses ---- */

static void
streams_are_counted_by_address(void **state)
{
    struct addresses t;
    struct address *a, *b, *c;

    (void)state;
    addresses_init(&t);
    a = addresses_begin(&t, TEXT_LIT("192.0.2.1"), 2);
    b = addresses_begin(&t, TEXT_LIT("::ffff:192.0.2.1"), 2);
    assert_non_null(a);
    assert_ptr_equal(a, b);
    assert_null(addresses_begin(&t, TEXT_LIT("192.0.2.1"), 2));
    c = addresses_begin(&t, TEXT_LIT("192.0.2.2"), 2);
    assert_non_null(c);
    addresses_end(&t, a);
    assert_non_null(addresses_begin(&t, TEXT_LIT("192.0.2.1"), 2));
    addresses_end(&t, a);
    addresses_end(&t, b);
    addresses_end(&t, c);
    assert_null(t.all); /* nothing is kept of an address that is gone */
    /* One customer has a whole /64. */
    a = addresses_begin(&t, TEXT_LIT("2001:db8:1:2::1"), 1);
    assert_null(addresses_begin(&t, TEXT_LIT("2001:db8:1:2:ffff::9"), 1));
    b = addresses_begin(&t, TEXT_LIT("2001:db8:1:3::1"), 1);
    assert_non_null(b);
    /* A web server may pass what it likes; without an address all are one. */
    c = addresses_begin(&t, TEXT_LIT("unix:"), 1);
    assert_null(addresses_begin(&t, TEXT_LIT("unix:"), 1));
    addresses_end(&t, a);
    addresses_end(&t, b);
    addresses_end(&t, c);
    a = addresses_begin(&t, TEXT_NONE, 1);
    assert_null(addresses_begin(&t, TEXT_NONE, 1));
    addresses_end(&t, a);
    addresses_finish(&t);
}

static void
a_user_is_never_taken_for_an_address(void **state)
{
    static const struct {
        const char *user, *address;
    } rows[] = {
        {"40000", "48.48.48.48"},
        {"600000000", "3030:3030:3030:3030::1"},
        {"4abcd", "97.98.99.100"},
        {"t", ""},
        {"", "t"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct addresses t;
        struct address *user, *address;

        addresses_init(&t);
        user = addresses_begin(&t, text_of(rows[i].user), 1);
        address = addresses_begin(&t, text_of(rows[i].address), 1);
        if (!user || !address)
            fail_msg("%s and %s are one", rows[i].user, rows[i].address);
        addresses_end(&t, user);
        addresses_end(&t, address);
        addresses_finish(&t);
    }
}

static void
users_are_told_apart_by_their_whole_names(void **state)
{
    char a[301], b[301];
    struct addresses t;
    struct address *first, *second;

    (void)state;
    memset(a, 'x', sizeof a - 1);
    memset(b, 'x', sizeof b - 1);
    a[sizeof a - 1] = b[sizeof b - 1] = '\0';
    b[sizeof b - 2] = 'y';
    addresses_init(&t);
    first = addresses_begin(&t, text_of(a), 1);
    second = addresses_begin(&t, text_of(b), 1);
    assert_non_null(first);
    assert_non_null(second);
    addresses_end(&t, first);
    addresses_end(&t, second);
    addresses_finish(&t);
}

static void
publishes_are_limited_to_a_rate(void **state)
{
    struct text who = TEXT_LIT("192.0.2.1");
    struct addresses t;
    int taken = 0;

    (void)state;
    addresses_init(&t);
    for (int i = 0; i < 5; i++)
        assert_int_equal(addresses_publish(&t, who, 5, 1000000), 0);
    assert_int_equal(addresses_publish(&t, who, 5, 1000000), 1);
    assert_int_equal(addresses_publish(&t, TEXT_LIT("192.0.2.2"), 5, 1000000), 0);
    assert_int_equal(addresses_publish(&t, who, 5, 1000199), 1);
    assert_int_equal(addresses_publish(&t, who, 5, 1000200), 0);
    assert_int_equal(addresses_publish(&t, who, 5, 1000201), 1);
    for (int ms = 0; ms < 10000; ms++) /* asking without end gains nothing */
        taken += addresses_publish(&t, who, 5, 1001000 + ms) == 0;
    assert_in_range(taken, 50, 55);
    addresses_trim(&t, 1011500);
    assert_non_null(t.all);
    addresses_trim(&t, 1012000);
    assert_null(t.all);
    addresses_finish(&t);
}

static void
the_table_of_addresses_is_bounded(void **state)
{
    struct addresses t;
    char name[32];

    (void)state;
    addresses_init(&t);
    for (int i = 0; i < 3 * ADDRESSES_IDLE_MAX; i++) {
        snprintf(name, sizeof name, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
        assert_int_equal(addresses_publish(&t, text_of(name), 1, 5000), 0);
        assert_true(t.n_idle <= ADDRESSES_IDLE_MAX);
    }
    assert_int_equal(addresses_publish(&t, text_of(name), 1, 5000), 1); /* the newest are kept */
    addresses_finish(&t);
}

static void
without_memory_an_address_has_its_share(void **state)
{
    struct addresses t;
    struct address *a = NULL;

    (void)state;
    addresses_init(&t);
    for (long n = 1; !a; n++) {
        mem_fail_at(n);
        a = addresses_begin(&t, TEXT_LIT("192.0.2.1"), 1);
        mem_fail_at(0);
        assert_true(a || (!t.all && t.n_idle == 0));
    }
    addresses_end(&t, a);
    addresses_finish(&t);
}

/* ---- deadlines ---- */

static void
the_soonest_deadline_comes_first(void **state)
{
    enum { N = 500 };
    static struct deadline all[N];
    struct deadlines heap = {0};
    unsigned seed = 4711;

    (void)state;
    for (int step = 0; step < 20000; step++) {
        struct deadline *d = &all[rand_r(&seed) % N];
        int64_t soonest = DEADLINE_NEVER;

        if (d->place)
            deadlines_remove(&heap, d);
        else
            assert_int_equal(deadlines_add(&heap, d, rand_r(&seed) % 1000), ERR_OK);
        for (int i = 0; step % 50 == 0 && i < N; i++)
            if (all[i].place && all[i].at_ms < soonest)
                soonest = all[i].at_ms;
        if (step % 50 == 0 && heap.n > 0)
            assert_int_equal(deadlines_first(&heap)->at_ms, soonest);
    }
    for (int64_t last = 0; heap.n > 0;) {
        struct deadline *d = deadlines_first(&heap);

        assert_true(d->at_ms >= last);
        last = d->at_ms;
        deadlines_remove(&heap, d);
        deadlines_remove(&heap, d); /* no longer in it: nothing happens */
    }
    deadlines_finish(&heap);
    mem_fail_at(1);
    assert_int_equal(deadlines_add(&heap, &all[0], 1), ERR_NOMEM);
    mem_fail_at(0);
    assert_null(deadlines_first(&heap));
    deadlines_finish(&heap);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_has_one_meaning_or_none),
        cmocka_unit_test(a_key_is_what_its_algorithm_needs_or_refused),
        cmocka_unit_test(a_key_in_der_is_no_secret),
        cmocka_unit_test(the_line_end_of_a_secret_does_not_count),
        cmocka_unit_test(what_is_signed_is_verified),
        cmocka_unit_test(old_and_new_key_are_good_side_by_side),
        cmocka_unit_test(the_keys_of_a_set_are_chosen_by_name_and_algorithm),
        cmocka_unit_test(a_set_has_a_key_that_serves_or_is_refused),
        cmocka_unit_test(there_is_a_bound_for_keys),
        cmocka_unit_test(two_grants_meet_in_what_both_allow),
        cmocka_unit_test(only_exact_origins_may_be_listed),
        cmocka_unit_test(streams_are_counted_by_address),
        cmocka_unit_test(a_user_is_never_taken_for_an_address),
        cmocka_unit_test(users_are_told_apart_by_their_whole_names),
        cmocka_unit_test(publishes_are_limited_to_a_rate),
        cmocka_unit_test(the_table_of_addresses_is_bounded),
        cmocka_unit_test(without_memory_an_address_has_its_share),
        cmocka_unit_test(the_soonest_deadline_comes_first),
    };

    return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
