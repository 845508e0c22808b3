/* Who may do what, request by request, as one table: what the web server vouches for, what a token
 * says, where the request comes from, and the status that follows. Time is an argument, so no test
 * waits; every token is really signed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "http/access.h"
#include "tests/unit/grants_text.h"
#include "tests/unit/keys.h"
#include "tests/unit/sign.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define NOW 1700000000 /* seconds */
#define ORIGINS "https://app.example,http://localhost:5173"

enum rules { OPEN, HS, RS, ES, STRICT }; /* STRICT: HS256 with audience, issuer and leeway */

/* How a token is made wrong after, or instead of, being signed. */
enum mutation {
    WHOLE,
    SIGNED_WITH_OTHER_KEY,
    SIGNED_WITH_PUBLIC_KEY, /* as if it were an HMAC secret */
    UNSIGNED,               /* alg none, no signature */
    UNSIGNED_DOTTED,        /* alg none, the signature of another token behind it */
    OTHER_PAYLOAD,
    LAST_BYTE,
    NO_SIGNATURE,
    TWO_PARTS,
    FOUR_PARTS,
    PADDED,
    LINE_BREAK,
    HUGE_TOKEN,
    GARBAGE,
    EMPTY,
};

enum via { NOWHERE, BEARER, LOWER_CASE, COOKIE, QUOTED, COOKIE_TWICE, TWICE, QUERY, BASIC };

struct row {
    int status;
    const char *read; /* as grants_text(); for status 0; "*" = everything */
    enum rules rules;
    const char *method;
    enum via via;
    const char *claims; /* NULL: good ones */
    enum mutation mutation;
    const char *header; /* NULL: the usual one */
    const char *topics, *publish;
    const char *open; /* --public-topics; NULL: not given */
    const char *origin, *site, *host, *scheme, *port;
};

#define GOOD "{\"exp\":1700000060,\"freshet\":{\"read\":[\"news/*\"],\"write\":[\"chat\"]}}"
#define CLAIMS(more) "{" more ",\"freshet\":{\"read\":[\"news/*\"],\"write\":[\"chat\"]}}"
#define FRESHET(value) "{\"freshet\":" value "}"
#define FOR_STRICT "\"aud\":\"events\",\"iss\":\"https://login.example\""

#define ROW(status_, read_, rules_, method_, via_, ...)                                            \
    {                                                                                              \
        .status = status_, .read = read_, .rules = rules_, .method = method_, .via = via_,         \
        __VA_ARGS__                                                                                \
    }

static const struct row table[] = {
    /* Nobody vouches for anything: everything may be read, nothing written. */
    ROW(0, "*", OPEN, "GET", NOWHERE),
    ROW(0, "*", OPEN, "HEAD", NOWHERE),
    ROW(403, NULL, OPEN, "POST", NOWHERE),
    ROW(0, "*", OPEN, "GET", BEARER), /* not our token: it was not asked for */
    ROW(403, NULL, OPEN, "POST", BEARER),
    /* The web server vouches. */
    ROW(0, "news/*", OPEN, "GET", NOWHERE, .topics = "news/*"),
    ROW(0, "a%20b user/42/*", OPEN, "GET", NOWHERE, .topics = "a%20b  user/42/*"),
    ROW(0, "*", OPEN, "GET", NOWHERE, .topics = "news *"),
    ROW(403, NULL, OPEN, "GET", NOWHERE, .topics = ""),
    ROW(403, NULL, OPEN, "HEAD", NOWHERE, .topics = ""),
    ROW(403, NULL, OPEN, "GET", NOWHERE, .topics = "%zz"),
    ROW(403, NULL, OPEN, "GET", NOWHERE, .topics = "news/%00"),
    ROW(403, NULL, OPEN, "GET", NOWHERE, .topics = "* a%zz"),
    ROW(403, NULL, OPEN, "GET", NOWHERE, .topics = "a\tb"),
    ROW(403, NULL, OPEN, "GET", NOWHERE, .topics = "   "),
    ROW(0, "", OPEN, "POST", NOWHERE, .publish = "on"),
    ROW(403, NULL, OPEN, "POST", NOWHERE, .publish = "off"),
    ROW(403, NULL, OPEN, "POST", NOWHERE, .publish = ""),
    ROW(403, NULL, OPEN, "POST", NOWHERE, .publish = "ON"),
    /* A key is set: somebody must vouch. */
    ROW(401, NULL, HS, "GET", NOWHERE),
    ROW(401, NULL, HS, "HEAD", NOWHERE),
    ROW(401, NULL, HS, "POST", NOWHERE),
    ROW(0, "news", HS, "GET", NOWHERE, .topics = "news"),
    ROW(401, NULL, HS, "GET", NOWHERE, .topics = ""),
    ROW(401, NULL, HS, "GET", NOWHERE, .topics = " "),
    ROW(0, "", HS, "POST", NOWHERE, .publish = "on"),
    ROW(403, NULL, HS, "POST", NOWHERE, .publish = "off"),
    ROW(401, NULL, HS, "GET", BASIC),
    ROW(401, NULL, HS, "GET", QUERY),
    /* It is said what is public: that, for whom nobody vouches, and not in addition to a grant. */
    ROW(0, "news/*", OPEN, "GET", NOWHERE, .open = "news/*"),
    ROW(0, "news/*", OPEN, "HEAD", NOWHERE, .open = "news/*"),
    ROW(0, "*", OPEN, "GET", NOWHERE, .open = "*"),
    ROW(403, NULL, OPEN, "GET", NOWHERE, .open = ""),
    ROW(0, "user/42", OPEN, "GET", NOWHERE, .open = "news/*", .topics = "user/42"),
    ROW(403, NULL, OPEN, "GET", NOWHERE, .open = "news/*", .topics = ""),
    ROW(403, NULL, OPEN, "GET", NOWHERE, .open = "news/*", .topics = "%zz"),
    ROW(0, "news/*", OPEN, "GET", BEARER, .open = "news/*"), /* not our token */
    ROW(0, "news/*", OPEN, "GET", BASIC, .open = "news/*"),
    ROW(403, NULL, OPEN, "POST", NOWHERE, .open = "*"),
    ROW(0, "", OPEN, "POST", NOWHERE, .open = "", .publish = "on"),
    ROW(0, "open", HS, "GET", NOWHERE, .open = "open"),
    ROW(0, "open", HS, "GET", BASIC, .open = "open"),
    ROW(401, NULL, HS, "GET", NOWHERE, .open = ""),
    ROW(401, NULL, HS, "GET", NOWHERE, .open = "open", .topics = ""),
    ROW(401, NULL, HS, "POST", NOWHERE, .open = "*"),
    ROW(0, "user/42", HS, "GET", NOWHERE, .open = "open", .topics = "user/42"),
    ROW(0, "news/*", HS, "GET", BEARER, .open = "open"),
    ROW(0, "news/*", HS, "GET", COOKIE, .open = "open"),
    ROW(401, NULL, HS, "GET", BEARER, .mutation = LAST_BYTE, .open = "*"),
    ROW(401, NULL, HS, "GET", COOKIE, .mutation = EMPTY, .open = "*"),
    ROW(401, NULL, HS, "GET", TWICE, .open = "*"),
    ROW(403, NULL, HS, "GET", BEARER, .claims = FRESHET("{\"write\":[\"*\"]}"), .open = "*"),
    /* Good tokens, wherever they may stand. */
    ROW(0, "news/*", HS, "GET", BEARER),
    ROW(0, "news/*", HS, "GET", LOWER_CASE),
    ROW(0, "news/*", HS, "GET", COOKIE),
    ROW(0, "news/*", HS, "GET", QUOTED),
    ROW(0, "news/*", RS, "GET", BEARER),
    ROW(0, "news/*", ES, "GET", BEARER),
    ROW(0, "news/*", HS, "GET", BEARER, .header = "{\"kid\":\"../../dev/null\"}"),
    ROW(0, "news/*", HS, "GET", BEARER, .header = "{\"jku\":\"https://evil.example/keys\"}"),
    ROW(0, "news/*", HS, "GET", BEARER, .header = "{\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}"),
    /* Both vouch: what both allow. */
    ROW(0, "news/sport", HS, "GET", BEARER, .topics = "news/sport chat"),
    ROW(0, "news/*", HS, "GET", BEARER, .topics = "*"),
    ROW(403, NULL, HS, "GET", BEARER, .topics = "chat"),
    ROW(403, NULL, HS, "GET", BEARER, .topics = ""),
    ROW(0, "", HS, "POST", BEARER, .publish = "on"),
    ROW(403, NULL, HS, "POST", BEARER, .publish = "off"),
    /* What a token grants, and what it does not. */
    ROW(0, "*", HS, "GET", BEARER, .claims = FRESHET("{\"read\":[\"*\"]}")),
    ROW(0, "caf\xc3\xa9/*", HS, "GET", BEARER, .claims = FRESHET("{\"read\":[\"caf\xc3\xa9/*\"]}")),
    ROW(403, NULL, HS, "GET", BEARER, .claims = FRESHET("{\"write\":[\"*\"]}")),
    ROW(403, NULL, HS, "GET", BEARER, .claims = FRESHET("{\"read\":[]}")),
    ROW(403, NULL, HS, "GET", BEARER, .claims = "{\"sub\":\"42\"}"),
    ROW(0, "", HS, "POST", BEARER),
    ROW(0, "", RS, "POST", BEARER),
    ROW(403, NULL, HS, "POST", BEARER, .claims = FRESHET("{\"read\":[\"*\"]}")),
    ROW(401, NULL, HS, "GET", BEARER, .claims = FRESHET("[\"*\"]")),
    ROW(401, NULL, HS, "GET", BEARER, .claims = FRESHET("{\"read\":\"*\"}")),
    ROW(401, NULL, HS, "GET", BEARER, .claims = FRESHET("{\"read\":[7]}")),
    ROW(401, NULL, HS, "GET", BEARER, .claims = FRESHET("{\"read\":[\"a\\u0001b\"]}")),
    ROW(401, NULL, HS, "GET", BEARER, .claims = FRESHET("{\"read\":[\"\"]}")),
    /* Time. */
    ROW(0, "news/*", HS, "GET", BEARER, .claims = CLAIMS("\"exp\":1700000000.5")),
    ROW(401, NULL, HS, "GET", BEARER, .claims = CLAIMS("\"exp\":1700000000")),
    ROW(401, NULL, HS, "GET", BEARER, .claims = CLAIMS("\"exp\":-1")),
    ROW(401, NULL, HS, "GET", BEARER, .claims = CLAIMS("\"exp\":\"1800000000\"")),
    ROW(401, NULL, HS, "GET", BEARER, .claims = CLAIMS("\"exp\":null")),
    ROW(0, "news/*", HS, "GET", BEARER, .claims = CLAIMS("\"exp\":1e30")),
    ROW(0, "news/*", HS, "GET", BEARER, .claims = CLAIMS("\"nbf\":1700000000")),
    ROW(401, NULL, HS, "GET", BEARER, .claims = CLAIMS("\"nbf\":1700000001")),
    ROW(401, NULL, HS, "GET", BEARER, .claims = CLAIMS("\"nbf\":true")),
    /* The issuer, and the audience. */
    ROW(0, "news/*", STRICT, "GET", BEARER, .claims = CLAIMS(FOR_STRICT)),
    ROW(0, "news/*", STRICT, "GET", BEARER,
        .claims = CLAIMS("\"aud\":[\"a\",\"events\"],\"iss\":\"https://login.example\"")),
    ROW(401, NULL, STRICT, "GET", BEARER,
        .claims = CLAIMS("\"aud\":\"a\",\"iss\":\"https://login.example\"")),
    ROW(401, NULL, STRICT, "GET", BEARER, .claims = CLAIMS("\"iss\":\"https://login.example\"")),
    ROW(401, NULL, STRICT, "GET", BEARER,
        .claims = CLAIMS("\"aud\":[],\"iss\":\"https://login.example\"")),
    ROW(401, NULL, STRICT, "GET", BEARER,
        .claims = CLAIMS("\"aud\":\"events\",\"iss\":\"https://evil.example\"")),
    ROW(401, NULL, STRICT, "GET", BEARER, .claims = CLAIMS("\"aud\":\"events\"")),
    ROW(401, NULL, STRICT, "GET", BEARER,
        .claims = CLAIMS("\"aud\":\"events\",\"iss\":[\"https://login.example\"]")),
    ROW(401, NULL, HS, "GET", BEARER, .claims = CLAIMS("\"aud\":\"somebody-else\"")),
    ROW(0, "news/*", STRICT, "GET", BEARER, .claims = CLAIMS(FOR_STRICT ",\"exp\":1699999999")),
    ROW(401, NULL, STRICT, "GET", BEARER, .claims = CLAIMS(FOR_STRICT ",\"exp\":1699999990")),
    ROW(0, "news/*", STRICT, "GET", BEARER, .claims = CLAIMS(FOR_STRICT ",\"nbf\":1700000010")),
    ROW(401, NULL, STRICT, "GET", BEARER, .claims = CLAIMS(FOR_STRICT ",\"nbf\":1700000011")),
    /* Attacks. */
    ROW(401, NULL, HS, "GET", BEARER, .mutation = UNSIGNED),
    ROW(401, NULL, HS, "GET", BEARER, .mutation = UNSIGNED_DOTTED),
    ROW(401, NULL, RS, "GET", BEARER, .mutation = UNSIGNED),
    ROW(401, NULL, RS, "GET", BEARER, .mutation = SIGNED_WITH_PUBLIC_KEY),
    ROW(401, NULL, ES, "GET", BEARER, .mutation = SIGNED_WITH_PUBLIC_KEY),
    ROW(401, NULL, HS, "GET", BEARER, .mutation = SIGNED_WITH_OTHER_KEY),
    ROW(401, NULL, ES, "GET", BEARER, .mutation = SIGNED_WITH_OTHER_KEY),
    ROW(401, NULL, HS, "GET", BEARER, .mutation = OTHER_PAYLOAD),
    ROW(401, NULL, RS, "GET", BEARER, .mutation = OTHER_PAYLOAD),
    ROW(401, NULL, HS, "GET", BEARER, .mutation = LAST_BYTE),
    ROW(401, NULL, RS, "GET", BEARER, .mutation = LAST_BYTE),
    ROW(401, NULL, ES, "GET", BEARER, .mutation = LAST_BYTE),
    ROW(401, NULL, HS, "GET", BEARER, .mutation = NO_SIGNATURE),
    ROW(401, NULL, HS, "GET", BEARER, .mutation = TWO_PARTS),
    ROW(401, NULL, HS, "GET", BEARER, .mutation = FOUR_PARTS),
    ROW(401, NULL, HS, "GET", BEARER, .mutation = PADDED),
    ROW(401, NULL, HS, "GET", BEARER, .mutation = LINE_BREAK),
    ROW(401, NULL, HS, "GET", BEARER, .mutation = HUGE_TOKEN),
    ROW(401, NULL, HS, "GET", BEARER, .mutation = GARBAGE),
    ROW(401, NULL, HS, "GET", BEARER, .mutation = EMPTY),
    ROW(401, NULL, HS, "GET", COOKIE, .mutation = EMPTY),
    ROW(401, NULL, HS, "GET", QUOTED, .mutation = EMPTY),
    ROW(401, NULL, HS, "GET", QUOTED, .mutation = LAST_BYTE),
    ROW(401, NULL, HS, "GET", BEARER, .header = "{\"crit\":[\"exp\"]}"),
    ROW(401, NULL, HS, "GET", TWICE),
    ROW(401, NULL, HS, "GET", COOKIE_TWICE),
    ROW(401, NULL, HS, "GET", BEARER, .mutation = GARBAGE, .topics = "*"),
    ROW(401, NULL, HS, "POST", BEARER, .mutation = LAST_BYTE, .publish = "on"),
    /* Where what changes something may come from. */
    ROW(403, NULL, HS, "POST", COOKIE),
    ROW(0, "", HS, "POST", COOKIE, .origin = "https://app.example"),
    ROW(403, NULL, HS, "POST", COOKIE, .origin = "https://evil.example"),
    ROW(403, NULL, HS, "POST", COOKIE, .origin = "https://app.example.evil.example"),
    ROW(403, NULL, HS, "POST", COOKIE, .origin = "null"),
    ROW(403, NULL, HS, "POST", COOKIE, .origin = ""),
    ROW(0, "", HS, "POST", COOKIE, .origin = "https://Here.example", .host = "here.example"),
    ROW(0, "", HS, "POST", COOKIE, .origin = "https://here.example", .host = "here.example:443"),
    ROW(403, NULL, HS, "POST", COOKIE, .origin = "https://here.example:8443",
        .host = "here.example"),
    ROW(403, NULL, HS, "POST", COOKIE, .origin = "http://here.example", .host = "here.example",
        .scheme = "https"),
    ROW(0, "", HS, "POST", COOKIE, .origin = "http://here.example", .host = "here.example",
        .scheme = "http"),
    ROW(403, NULL, HS, "POST", COOKIE, .origin = "https://here.example", .host = "here.example",
        .site = "cross-site"),
    ROW(0, "", HS, "POST", COOKIE, .origin = "http://here.example:81", .host = "here.example",
        .port = "81"),
    ROW(0, "", HS, "POST", COOKIE, .origin = "http://here.example:81", .host = "here.example:81",
        .port = "80"),
    ROW(403, NULL, HS, "POST", COOKIE, .origin = "http://here.example", .host = "here.example",
        .port = "81"),
    ROW(403, NULL, HS, "POST", COOKIE, .origin = "http://here.example:82", .host = "here.example",
        .port = "81"),
    ROW(0, "", HS, "POST", COOKIE, .origin = "https://here.example", .host = "inside:81",
        .site = "same-origin"),
    ROW(0, "", HS, "POST", COOKIE, .origin = "http://[::1]:81", .host = "[::1]", .port = "81"),
    ROW(403, NULL, HS, "POST", COOKIE, .origin = "http://[::1]:81", .host = "[::2]:81"),
    ROW(403, NULL, HS, "POST", COOKIE, .origin = "https://", .host = ""),
    ROW(0, "", HS, "POST", COOKIE, .site = "same-origin"),
    ROW(403, NULL, HS, "POST", COOKIE, .site = "same-site"),
    ROW(403, NULL, HS, "POST", COOKIE, .site = "none"),
    ROW(0, "", HS, "POST", BEARER, .origin = "https://evil.example"),
    ROW(403, NULL, OPEN, "POST", NOWHERE, .publish = "on", .origin = "https://evil.example"),
    ROW(403, NULL, OPEN, "POST", COOKIE, .publish = "on"),
    ROW(403, NULL, OPEN, "POST", BASIC, .publish = "on", .origin = "https://evil.example"),
    ROW(0, "", OPEN, "POST", BASIC, .publish = "on"),
    ROW(0, "news/*", HS, "GET", COOKIE, .origin = "https://evil.example", .site = "cross-site"),
};

/* ---- making tokens ---- */

static struct jws_key
key_of(enum rules rules, bool private, bool other)
{
    const char *bytes = other ? other_secret : secret;
    struct jws_key k = {.algorithm = rules == RS ? JWS_RS256 : rules == ES ? JWS_ES256 : JWS_HS256};

    if (rules == RS)
        bytes = private ? rsa_private : rsa_public;
    if (rules == ES)
        bytes = !private ? ec_public : other ? other_ec_private : ec_private;
    k.bytes = (char *)bytes;
    k.n = strlen(bytes);
    return k;
}

static void
sign(const struct row *row, char *out, size_t size)
{
    struct jws_key k = key_of(row->rules, true, row->mutation == SIGNED_WITH_OTHER_KEY);
    bool none = row->mutation == UNSIGNED || row->mutation == UNSIGNED_DOTTED;
    const char *algorithm = none ? "none" : jws_algorithm_name(k.algorithm);
    struct buf header, token;

    if (row->mutation == SIGNED_WITH_PUBLIC_KEY) {
        k = key_of(row->rules, false, false);
        algorithm = "HS256";
    }
    buf_init(&header, size);
    buf_init(&token, size);
    buf_format(&header, "{\"alg\":\"%s\",\"typ\":\"JWT\"%s%s", algorithm, row->header ? "," : "",
               row->header ? row->header + 1 : "}");
    buf_byte(&header, '\0');
    sign_token(&token, algorithm, k.bytes, header.data, row->claims ? row->claims : GOOD);
    buf_byte(&token, '\0');
    assert_false(buf_failed(&header) || buf_failed(&token));
    strcpy(out, token.data);
    buf_finish(&header);
    buf_finish(&token);
}

static void
mutate(enum mutation mutation, char *token, size_t size)
{
    char *last = strrchr(token, '.'), *first = strchr(token, '.');

    switch (mutation) {
    case WHOLE:
    case SIGNED_WITH_OTHER_KEY:
    case SIGNED_WITH_PUBLIC_KEY:
    case UNSIGNED:
        break;
    case UNSIGNED_DOTTED:
        strcat(token, "QUJD");
        break;
    case OTHER_PAYLOAD:
        first[6] = first[6] == 'A' ? 'B' : 'A';
        break;
    case LAST_BYTE: /* not the last character, whose low bits may mean nothing */
        last[6] = last[6] == 'A' ? 'B' : 'A';
        break;
    case NO_SIGNATURE:
        last[1] = '\0';
        break;
    case TWO_PARTS:
        last[0] = '\0';
        break;
    case FOUR_PARTS:
        strcat(token, ".QUJD");
        break;
    case PADDED:
        strcat(token, "=");
        break;
    case LINE_BREAK:
        strcat(token, "\nQUJD");
        break;
    case HUGE_TOKEN:
        memset(token, 'A', size - 1);
        token[10] = token[100] = '.';
        token[size - 1] = '\0';
        break;
    case GARBAGE:
        strcpy(token, "\xff\xfe!{}\"..");
        break;
    case EMPTY:
        token[0] = '\0';
        break;
    }
}

/* ---- asking ---- */

static void
fill_request(const struct row *row, const char *token, char *room, size_t size, struct request *r)
{
    *r = (struct request){
        .method = text_of(row->method),
        .topics = text_of(row->topics),
        .publish = text_of(row->publish),
        .origin = text_of(row->origin),
        .fetch_site = text_of(row->site),
        .host = text_of(row->host),
        .scheme = text_of(row->scheme),
        .port = text_of(row->port),
        .authorizations = row->via == TWICE ? 2 : row->via == BEARER || row->via == LOWER_CASE,
    };
    switch (row->via) {
    case NOWHERE:
        return;
    case BEARER:
    case TWICE:
        snprintf(room, size, "Bearer %s", token);
        break;
    case LOWER_CASE:
        snprintf(room, size, "bearer   %s ", token);
        break;
    case BASIC:
        snprintf(room, size, "Basic dXNlcjpwYXNz");
        break;
    case COOKIE:
        snprintf(room, size, "a=b; xlogin=no; login=%s; c", token);
        break;
    case QUOTED:
        snprintf(room, size, "a=\"b\"; login=\"%s\" ;c", token);
        break;
    case COOKIE_TWICE:
        snprintf(room, size, "login=%s; login=%s", token, token);
        break;
    case QUERY:
        snprintf(room, size, "access_token=%s&token=%s", token, token);
        r->query = text_of(room);
        return;
    }
    if (row->via == COOKIE || row->via == QUOTED || row->via == COOKIE_TWICE)
        r->cookie = text_of(room);
    else
        r->authorization = text_of(room);
}

/* A client without a token is asked for one where that could let it read more. */
static bool
is_asked_for_token(const struct row *row)
{
    return row->rules != OPEN && !row->topics && (row->via == NOWHERE || row->via == BASIC);
}

static bool
reads(const struct row *row, const struct access *a)
{
    struct buf read;
    bool same;

    buf_init(&read, 1000);
    grants_text(&a->read, &read);
    same = strcmp(read.data, row->read) == 0;
    buf_finish(&read);
    /* What only some may read must not look as if all might: caches would share it. */
    return same && (a->challenge[0] != '\0') == is_asked_for_token(row) &&
           a->is_private ==
               (row->rules != OPEN || row->topics || row->via == BEARER || row->via == BASIC);
}

static bool
holds(const struct row *row, const struct access *a)
{
    if (a->status != row->status)
        return false;
    if (a->status == 401 && !strstr(a->challenge, "WWW-Authenticate: Bearer"))
        return false;
    if (a->status)
        return a->why.text[0] != '\0';
    if (strcmp(row->method, "POST") == 0)
        return grants_cover(&a->write, TEXT_LIT("chat")) &&
               grants_cover(&a->write, TEXT_LIT("news")) ==
                   (row->via == NOWHERE || row->via == BASIC);
    return reads(row, a);
}

static void
each_request_gets_its_status(void **state)
{
    static char token[20000], room[50000];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const struct row *row = &table[i];
        bool strict = row->rules == STRICT;
        struct token_rules tokens = {.audience = strict ? "events" : NULL,
                                     .issuer = strict ? "https://login.example" : NULL,
                                     .leeway_ms = strict ? 10000 : 0};
        struct access_rules rules = {&tokens, "login", ORIGINS, NULL};
        struct request r;
        struct access a;
        struct grants open;

        grants_init(&open);
        assert_int_equal(grants_parse(&open, text_of(row->open), NULL), ERR_OK);
        if (row->open)
            rules.open = &open;

        if (row->rules != OPEN)
            tokens.key = key_of(row->rules, false, false);
        sign(row, token, sizeof token);
        mutate(row->mutation, token, sizeof token);
        fill_request(row, token, room, sizeof room, &r);
        assert_int_equal(access_decide(&rules, &r, NOW * 1000LL, &a), ERR_OK);
        if (!holds(row, &a))
            fail_msg("row %zu: %d (%s) instead of %d, \"%s\"", i, a.status, a.why.text, row->status,
                     row->read ? row->read : "");
        access_finish(&a);
        grants_finish(&open);
    }
    assert_true(COUNT_OF(table) >= 60);
    print_message("[  table   ] %zu requests\n", COUNT_OF(table));
}

static void
it_says_when_the_token_ends(void **state)
{
    struct row row = {.rules = HS, .method = "GET", .via = BEARER};
    struct token_rules tokens = {.key = key_of(HS, false, false), .leeway_ms = 5000};
    struct access_rules rules = {&tokens, NULL, NULL, NULL};
    char token[1000], room[2000];
    struct request r;
    struct access a;

    (void)state;
    sign(&row, token, sizeof token);
    fill_request(&row, token, room, sizeof room, &r);
    assert_int_equal(access_decide(&rules, &r, NOW * 1000LL, &a), ERR_OK);
    assert_int_equal(a.expires_ms, 1700000065000);
    access_finish(&a);
    row.claims = FRESHET("{\"read\":[\"x\"]}");
    sign(&row, token, sizeof token);
    fill_request(&row, token, room, sizeof room, &r);
    assert_int_equal(access_decide(&rules, &r, NOW * 1000LL, &a), ERR_OK);
    assert_true(a.expires_ms == TOKEN_NEVER);
    access_finish(&a);
}

/* json-c and libcrypto allocate by themselves; what is ours must give everything back. */
static void
without_memory_nobody_gets_in(void **state)
{
    struct row row = {.rules = HS, .method = "GET", .via = BEARER, .topics = "news/sport"};
    struct token_rules tokens = {.key = key_of(HS, false, false)};
    struct access_rules rules = {&tokens, NULL, NULL, NULL};
    char token[1000], room[2000];
    struct request r;
    struct access a;
    enum err err;
    bool failed;
    long n = 0, refused = 0;

    (void)state;
    sign(&row, token, sizeof token);
    fill_request(&row, token, room, sizeof room, &r);
    do {
        mem_fail_at(++n);
        err = access_decide(&rules, &r, NOW * 1000LL, &a);
        failed = mem_count() >= n;
        mem_fail_at(0);
        if (err == ERR_OK) { /* done without, or there was nothing to fail any more */
            assert_int_equal(a.status, 0);
            assert_true(grants_cover(&a.read, TEXT_LIT("news/sport")));
            assert_false(grants_cover(&a.read, TEXT_LIT("news/a")));
            access_finish(&a);
        }
        refused += err == ERR_NOMEM;
    } while (failed);
    assert_int_equal(err, ERR_OK);
    assert_true(refused > 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_gets_its_status),
        cmocka_unit_test(it_says_when_the_token_ends),
        cmocka_unit_test(without_memory_nobody_gets_in),
    };

    return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
