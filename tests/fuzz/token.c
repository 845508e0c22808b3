/* Tokens: nobody gets in with one that was not signed, and a signed one means what it says.
 *
 * Input: a byte that says which of three, then: raw, any bytes as a token; edited, changes to a
 * token that is good; claims, a header and a payload that are signed here with HS256. */
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "http/token.h"
#include "stream/topic.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/hs256.h"
#include "tests/unit/keys.h"

const char fuzz_name[] = "token";

enum { ALGORITHMS = 3, NOW_S = 1763895600, LEEWAY_S = 30 };

/* {"sub":"42","freshet":{"read":["*"]}}, signed with each of the keys. */
static const char *const good[ALGORITHMS] = {
    [JWS_HS256] = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiIsImZyZXNoZXQiOnsicmVhZCI6WyIqIl19fQ.2bssNcHb"
                  "wQ0JD1f-R-NDkr08Dw8m5S3Wza3bJbzfG98",
    [JWS_RS256] = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiI0MiIsImZyZXNoZXQiOnsicmVhZCI6WyIqIl19fQ.Mb_sdLX-"
                  "xHk7Y6udPHZGKnGlcMHP2ceppPGgubk9zMq5Rt8v0mozyEQV9ewfX4zBaDI1KJvliiT76aSmwZ0Sa0Ge"
                  "M1if_e5HX2pO61jy5L4ZhdVUfCpE7AptqP9SU2N4YQCtZrBxC6sgJ_ngdTIfJ3iWMiel88HJQPQkNMZD"
                  "Km01xHfufzqU0L2U0AIoQU6KpwElQPYEvc1Rs0sYs1bwu5ODldJ1gCGjP6k-"
                  "rW9NvxmwPPde8VpfBBqxBpY0ZzEHLbo3YaLLMQQ4NgAr9R5ukXPtBOfD5eItYrIKaJ14gLo1MwK4mlNF"
                  "ygV8y6tCQfO-AY0nQTBNvbmaHo27Pxh_Ag",
    [JWS_ES256] = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiI0MiIsImZyZXNoZXQiOnsicmVhZCI6WyIqIl19fQ.qlk1b12Y"
                  "8S-HbMKU0CSrquo7H5jHM1Qs6KA8e-zmxYeoX_GYuDDaagJvFRqZOtUviejPuMVeZ2WxLsoR21zrnA",
};

static struct jws_key
key_of(unsigned algorithm)
{
    static const char *const bytes[ALGORITHMS] = {
        [JWS_HS256] = secret, [JWS_RS256] = rsa_public, [JWS_ES256] = ec_public};

    algorithm %= ALGORITHMS;
    return (struct jws_key){(enum jws_algorithm)algorithm, (char *)bytes[algorithm],
                            strlen(bytes[algorithm])};
}

/* ---- what was not signed ---- */

/* Of all texts there are, each key takes exactly the one that was signed with it. */
static void
check_token(struct text token, unsigned algorithm)
{
    struct token_rules rules = {.key = key_of(algorithm)};
    bool should = text_equal(token, text_of(good[rules.key.algorithm]));
    struct text exact = fuzz_copy(token);
    struct errbuf eb = {""};
    struct token t;
    enum err err = token_verify(&rules, exact, (int64_t)NOW_S * 1000, &t, &eb);

    FUZZ_CHECK(err == (should ? ERR_OK : ERR_INVALID), "%d for \"%.*s\": %s", (int)err,
               (int)token.n, token.p, eb.text);
    FUZZ_CHECK(should || eb.text[0], "no reason");
    if (err == ERR_OK)
        token_finish(&t);
    fuzz_free(exact);
}

/* Changes, three bytes each: where, how, and the new byte. */
static void
check_edited(struct fuzz *f)
{
    unsigned which = fuzz_byte(f);
    struct buf b;

    buf_init(&b, JWS_TOKEN_MAX * 2);
    buf_string(&b, good[which % ALGORITHMS]);
    while (f->n >= 3 && b.length > 0) {
        size_t at = (fuzz_byte(f) + (which & 8 ? 256U : 0U)) % b.length;
        unsigned how = fuzz_byte(f) % 4;
        char c = (char)fuzz_byte(f);

        if (how == 0) {
            b.data[at] = c;
        } else if (how == 1) {
            buf_byte(&b, c);
        } else if (how == 2) {
            b.length--;
        } else {
            memmove(b.data + at, b.data + at + 1, b.length - at - 1);
            b.data[b.length - 1] = c;
        }
    }
    check_token(buf_view(&b), which / 16);
    buf_finish(&b);
}

/* ---- what was signed ---- */

static void
put_base64(struct buf *out, struct text s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *p = (const unsigned char *)s.p;

    for (size_t i = 0; i < s.n; i += 3) {
        size_t n = s.n - i < 3 ? s.n - i : 3;
        unsigned bits =
            (unsigned)p[i] << 16 | (n > 1 ? (unsigned)p[i + 1] << 8 : 0) | (n > 2 ? p[i + 2] : 0U);

        for (size_t k = 0; k <= n; k++)
            buf_byte(out, digits[bits >> (18 - 6 * k) & 63]);
    }
}

static void
sign(struct buf *token, struct text header, struct text payload)
{
    unsigned char mac[32];

    put_base64(token, header);
    buf_byte(token, '.');
    put_base64(token, payload);
    hs256(text_of(secret), buf_view(token), TEXT_NONE, mac);
    buf_byte(token, '.');
    put_base64(token, (struct text){(const char *)mac, sizeof mac});
}

static struct json_object *
parse(struct text s)
{
    struct json_tokener *tokener;
    struct json_object *tree;

    if (json_check(s, NULL, NULL) != ERR_OK)
        return NULL;
    tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
    tree = json_tokener_parse_ex(tokener, s.p, (int)s.n);
    json_tokener_free(tokener);
    return tree;
}

static bool
is_number(struct json_object *value)
{
    return json_object_is_type(value, json_type_int) ||
           json_object_is_type(value, json_type_double);
}

/* now in seconds; a difference of a second is not looked at. */
static bool
in_time(struct json_object *claims, double leeway)
{
    struct json_object *exp, *nbf;

    if (json_object_object_get_ex(claims, "exp", &exp) &&
        (!is_number(exp) || json_object_get_double(exp) + leeway <= NOW_S - 1.0))
        return false;
    return !json_object_object_get_ex(claims, "nbf", &nbf) ||
           (is_number(nbf) && json_object_get_double(nbf) - leeway <= NOW_S + 1.0);
}

static bool
is_string(struct json_object *value, const char *text)
{
    return text && json_object_is_type(value, json_type_string) &&
           text_equal(text_of(text), (struct text){json_object_get_string(value),
                                                   (size_t)json_object_get_string_len(value)});
}

static bool
for_us(struct json_object *claims, const struct token_rules *rules)
{
    struct json_object *audience, *issuer = json_object_object_get(claims, "iss");

    if (rules->issuer && !is_string(issuer, rules->issuer))
        return false;
    if (!json_object_object_get_ex(claims, "aud", &audience))
        return !rules->audience;
    if (!json_object_is_type(audience, json_type_array))
        return is_string(audience, rules->audience);
    for (size_t i = 0; i < json_object_array_length(audience); i++)
        if (is_string(json_object_array_get_idx(audience, i), rules->audience))
            return true;
    return false;
}

static void
check_grants(struct json_object *claims, const char *name, const struct grants *g)
{
    static const char *const topics[] = {"a", "ab", "b", "news/sport", "*", ""};
    struct json_object *freshet = json_object_object_get(claims, "freshet");
    struct json_object *list = freshet ? json_object_object_get(freshet, name) : NULL;

    FUZZ_CHECK(!freshet || json_object_is_type(freshet, json_type_object), "freshet");
    FUZZ_CHECK(!list || json_object_is_type(list, json_type_array), "%s", name);
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        bool should = false;

        for (size_t k = 0; list && k < json_object_array_length(list); k++) {
            struct json_object *pattern = json_object_array_get_idx(list, k);
            struct text s = {json_object_get_string(pattern),
                             (size_t)json_object_get_string_len(pattern)};

            FUZZ_CHECK(json_object_is_type(pattern, json_type_string), "a pattern is no string");
            should = should || topic_matches(s, text_of(topics[i]));
        }
        FUZZ_CHECK(grants_cover(g, text_of(topics[i])) == should, "%s: %s", name, topics[i]);
    }
}

static void
check_signed(struct text header, struct text payload, unsigned switches)
{
    struct token_rules rules = {.key = key_of(JWS_HS256),
                                .audience = switches & 1 ? "events" : NULL,
                                .issuer = switches & 2 ? "https://login.example" : NULL,
                                .leeway_ms = switches & 4 ? LEEWAY_S * 1000 : 0};
    struct json_object *claims = NULL, *head = NULL;
    struct token t;
    struct buf token;
    struct text exact;
    enum err err;

    buf_init(&token, SIZE_MAX / 2);
    sign(&token, header, payload);
    exact = fuzz_copy(buf_view(&token));
    err = token_verify(&rules, exact, (int64_t)NOW_S * 1000, &t, NULL);
    FUZZ_CHECK(err == ERR_OK || err == ERR_INVALID, "%d", (int)err);
    FUZZ_CHECK(err != ERR_OK || exact.n <= JWS_TOKEN_MAX, "%zu bytes", exact.n);
    if (err == ERR_OK) {
        claims = parse(payload);
        head = parse(header);
        FUZZ_CHECK(text_is_utf8(payload) && json_object_is_type(claims, json_type_object),
                   "no claims");
        FUZZ_CHECK(is_string(json_object_object_get(head, "alg"), "HS256"), "alg");
        FUZZ_CHECK(!json_object_object_get_ex(head, "crit", NULL), "crit");
        FUZZ_CHECK(in_time(claims, (double)rules.leeway_ms / 1000), "not now");
        FUZZ_CHECK(for_us(claims, &rules), "not for us");
        check_grants(claims, "read", &t.read);
        check_grants(claims, "write", &t.write);
        token_finish(&t);
    }
    json_object_put(claims);
    json_object_put(head);
    fuzz_free(exact);
    buf_finish(&token);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct fuzz f = fuzz_begin(bytes, n);
    unsigned kind = fuzz_byte(&f);

    if (kind % 4 == 0) {
        check_token(fuzz_rest(&f), kind / 4);
    } else if (kind % 4 == 1) {
        check_edited(&f);
    } else {
        struct text header = TEXT_LIT("{\"alg\":\"HS256\"}");

        if (kind % 4 == 3)
            header = fuzz_field(&f, '\n');
        check_signed(header, fuzz_rest(&f), kind / 4);
    }
    return 0;
}
