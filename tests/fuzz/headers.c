/* Request headers: the form of the answer (Accept, If-None-Match), which pages may do what (CORS),
 * and who may read and write what (FRESHET_TOPICS, FRESHET_PUBLISH, tokens).
 *
 * Input: a byte with switches, then lines "value", in the order of `enum field`. */
#include <ctype.h>
#include <strings.h>

#include "base/mem.h"
#include "http/accept.h"
#include "http/access.h"
#include "http/cors.h"
#include "stream/topic.h"
#include "tests/fuzz/fuzz.h"

const char fuzz_name[] = "headers";

enum { OUT_MAX = 1024 * 1024 };
#define SECRET "a secret of the tests, 32 bytes or more"
/* Signed with it; the first may read a*, b and a b, and write c. */
#define TOKEN_A                                                                                    \
    "eyJhbGciOiJIUzI1NiJ9."                                                                        \
    "eyJmcmVzaGV0Ijp7InJlYWQiOlsiYSoiLCJiIiwiYSBiIl0sIndyaXRlIjpbImMiXX19."                        \
    "bQ3rlRvHwM3O3lK0QP0cyBQxIFMOIX4R3GWBlLEf1fw"

enum field {
    ACCEPT,
    NONE_MATCH,
    TAG,
    METHOD,
    AUTHORIZATION,
    COOKIE,
    TOPICS,
    PUBLISH,
    ORIGIN,
    FETCH_SITE,
    HOST,
    PORT,
    SCHEME,
    LIST,
    N_FIELDS,
};

/* ---- Accept ---- */

static enum accept_form
choose(struct buf *header)
{
    struct text exact = fuzz_copy(buf_view(header));
    enum accept_form form = accept_choose(exact);

    fuzz_free(exact);
    buf_finish(header);
    return form;
}

/* What is not ours, case, and blanks around the parts change nothing; named alone, each form is
 * chosen; with q=1 behind everything else, what is named is at least not worse than before. */
static void
check_accept(struct text accept)
{
    enum accept_form form = accept_choose(accept);
    struct buf b;

    buf_init(&b, OUT_MAX);
    buf_text(&b, accept);
    buf_string(&b, ",text/html,image/*;q=0.3");
    FUZZ_CHECK(choose(&b) == form, "what is not ours changed %d", (int)form);
    for (size_t i = 0; i < accept.n; i++)
        buf_byte(&b, (char)(i % 2 ? toupper((unsigned char)accept.p[i])
                                  : tolower((unsigned char)accept.p[i])));
    FUZZ_CHECK(choose(&b) == form, "the case changed %d", (int)form);
    for (size_t i = 0; i < accept.n; i++) {
        if (accept.p[i] == ',' || accept.p[i] == ';')
            buf_format(&b, " \t%c  ", accept.p[i]);
        else
            buf_byte(&b, accept.p[i]);
    }
    FUZZ_CHECK(choose(&b) == form, "blanks changed %d", (int)form);
    buf_string(&b, "application/json,");
    buf_text(&b, accept);
    form = choose(&b);
    FUZZ_CHECK(form != ACCEPT_ANY, "JSON was named first, and nothing chosen");
}

static void
check_none_match(struct text header, struct text tag)
{
    struct buf b;

    if (tag.n == 0 || memchr(tag.p, ',', tag.n) || memchr(" \t", tag.p[0], 2) ||
        memchr(" \t", tag.p[tag.n - 1], 2) || text_starts(tag, TEXT_LIT("W/")))
        return;
    buf_init(&b, OUT_MAX);
    buf_text(&b, header);
    buf_string(&b, ", W/");
    buf_text(&b, tag);
    FUZZ_CHECK(accept_none_match(buf_view(&b), tag), "a weak tag is not found");
    buf_finish(&b);
    if (accept_none_match(header, tag))
        FUZZ_CHECK(memmem(header.p, header.n, tag.p, tag.n) || memchr(header.p, '*', header.n),
                   "a tag is found that is not there");
}

/* ---- CORS ---- */

static size_t
count(struct text s, const char *what)
{
    size_t n = 0;
    const char *at;

    while (s.n > 0 && (at = memmem(s.p, s.n, what, strlen(what)))) {
        n++;
        s = (struct text){at + 1, (size_t)(s.p + s.n - at - 1)};
    }
    return n;
}

/* A listed origin stands in the list, is one, and adds its lines and no others. */
static void
check_cors(const char *list, const struct request *r)
{
    struct buf b;
    bool listed;

    if (cors_check_list(list, NULL) != ERR_OK)
        return;
    listed = cors_listed(list, r->origin);
    buf_init(&b, OUT_MAX);
    cors_headers(list, r, &b);
    FUZZ_CHECK(count(buf_view(&b), "\n") == (listed ? 4U
                                             : list ? 1U
                                                    : 0U),
               "%.*s", (int)b.length, b.data);
    FUZZ_CHECK(count(buf_view(&b), "\r\n") == count(buf_view(&b), "\n"), "a bare LF");
    if (listed) {
        FUZZ_CHECK(memmem(list, strlen(list), r->origin.p, r->origin.n),
                   "\"%.*s\" is not in \"%s\"", (int)r->origin.n, r->origin.p, list);
        FUZZ_CHECK(text_starts(r->origin, TEXT_LIT("http")) &&
                       !memchr(r->origin.p, '*', r->origin.n),
                   "\"%.*s\" is no origin", (int)r->origin.n, r->origin.p);
        FUZZ_CHECK(cors_may_write(list, r), "a listed origin may not write");
    } else if (r->fetch_site.p && !text_equal(r->fetch_site, TEXT_LIT("same-origin"))) {
        FUZZ_CHECK(!cors_may_write(list, r), "a foreign page may write");
    } else if (!r->fetch_site.p && r->origin.p && cors_may_write(list, r)) {
        /* The same origin: its host is ours, and it is not the same site without TLS. */
        FUZZ_CHECK(!text_equal(r->scheme, TEXT_LIT("https")) ||
                       text_starts(r->origin, TEXT_LIT("https://")),
                   "a page without TLS may write to one with it");
        struct text host = r->origin;
        const char *slashes = memmem(host.p, host.n, "://", 3);

        host.n -= (size_t)(slashes + 3 - host.p);
        host.p = slashes + 3;
        FUZZ_CHECK(host.n > 0 && r->host.n > 0 &&
                       tolower((unsigned char)host.p[0]) == tolower((unsigned char)r->host.p[0]),
                   "\"%.*s\" may write to \"%.*s\"", (int)r->origin.n, r->origin.p, (int)r->host.n,
                   r->host.p);
    }
    buf_finish(&b);
}

/* ---- access ---- */

enum found { NONE, GOOD, BAD };

static struct text
trim(struct text s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = (struct text){s.p + 1, s.n - 1};
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

static bool
is_bearer(struct text s)
{
    return s.n >= 6 && strncasecmp(s.p, "bearer", 6) == 0 && (s.n == 6 || s.p[6] == ' ');
}

/* The token in the request: only TOKEN_A is one. */
static enum found
find_token(const struct request *r)
{
    struct fuzz rest = {r->cookie.p, r->cookie.n};
    enum found found = NONE;

    if (r->authorizations > 1)
        return BAD;
    if (is_bearer(r->authorization)) {
        struct text token = {r->authorization.p + 6, r->authorization.n - 6};

        return text_equal(trim(token), TEXT_LIT(TOKEN_A)) ? GOOD : BAD;
    }
    while (rest.n > 0) {
        struct text one = trim(fuzz_field(&rest, ';'));

        if (!text_starts(one, TEXT_LIT("login=")))
            continue;
        if (found != NONE)
            return BAD;
        found = text_equal(one, TEXT_LIT("login=" TOKEN_A)) ||
                        text_equal(one, TEXT_LIT("login=\"" TOKEN_A "\""))
                    ? GOOD
                    : BAD;
    }
    return found;
}

/* True when FRESHET_TOPICS, as far as there is one, grants the topic, or else what is public. */
static bool
server_grants(const struct access_rules *rules, const struct request *r, bool token,
              struct text topic)
{
    struct grants g;
    bool covers;

    if (!r->topics.p)
        return token || !rules->open || grants_cover(rules->open, topic);
    grants_init(&g);
    covers = grants_parse(&g, r->topics, NULL) == ERR_OK && grants_cover(&g, topic);
    grants_finish(&g);
    return covers;
}

/* What is granted for reading, topic by topic, is what both grant who vouch. */
static void
check_read(const struct access_rules *rules, const struct request *r, const struct access *a,
           bool token)
{
    static const struct text patterns[] = {{"a*", 2}, {"b", 1}, {"a b", 3}};
    static const struct text topics[] = {{"a", 1},  {"ab", 2},   {"a/b", 3}, {"a b", 3},
                                         {"b", 1},  {"bb", 2},   {"c", 1},   {"*", 1},
                                         {"a*", 2}, {"a%20b", 5}};

    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        bool by_token = !token, by_server = server_grants(rules, r, token, topics[i]);

        for (size_t k = 0; k < sizeof patterns / sizeof *patterns; k++)
            by_token = by_token || topic_matches(patterns[k], topics[i]);
        FUZZ_CHECK((a->status == 0 && grants_cover(&a->read, topics[i])) == (by_token && by_server),
                   "\"%s\": token %d, server %d", topics[i].p, by_token, by_server);
    }
}

static void
check_write(const struct request *r, const struct access *a, bool token, const char *list)
{
    bool on = text_equal(r->publish, TEXT_LIT("on"));
    bool may = r->publish.p ? on : token;

    may = may && (is_bearer(r->authorization) || cors_may_write(list, r));
    FUZZ_CHECK(a->status == (may ? 0 : 403), "%d: %s", a->status, a->why.text);
    FUZZ_CHECK(!may || grants_cover(&a->write, TEXT_LIT("c")), "c may not be written");
    FUZZ_CHECK(!may || grants_cover(&a->write, TEXT_LIT("a")) == !token, "a");
}

static void
check_access(const struct request *r, bool with_key, bool with_public, const char *list)
{
    static char key[] = SECRET;
    struct token_rules tokens = {.key = {JWS_HS256, with_key ? key : NULL, sizeof key - 1}};
    struct access_rules rules = {.tokens = &tokens, .cookie = "login", .origins = list};
    bool post = text_equal(r->method, TEXT_LIT("POST"));
    bool vouched = post ? r->publish.p != NULL : r->topics.p ? trim(r->topics).n > 0 : with_public;
    struct grants open;
    enum found found = with_key ? find_token(r) : NONE;
    struct access a;

    grants_init(&open);
    FUZZ_CHECK(grants_parse(&open, TEXT_LIT("ab c"), NULL) == ERR_OK, "no memory");
    if (with_public)
        rules.open = &open;
    FUZZ_CHECK(access_decide(&rules, r, 1763895600000, &a) == ERR_OK, "no decision");
    FUZZ_CHECK((a.status != 0) == (a.why.text[0] != '\0'), "%d \"%s\"", a.status, a.why.text);
    FUZZ_CHECK(a.status == 0 || (a.status == 401) == (a.challenge[0] != '\0'), "%d \"%s\"",
               a.status, a.challenge);
    if (with_key && (found == BAD || (found == NONE && !vouched)))
        FUZZ_CHECK(a.status == 401, "%d without a good token", a.status);
    else if (post)
        check_write(r, &a, found == GOOD, list);
    else
        check_read(&rules, r, &a, found == GOOD);
    access_finish(&a);
    grants_finish(&open);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct fuzz f = fuzz_begin(bytes, n);
    unsigned switches = fuzz_byte(&f);
    struct text field[N_FIELDS];
    struct request r = {0};
    char *list;

    for (int i = 0; i < N_FIELDS; i++) {
        struct text line = fuzz_field(&f, '\n');

        /* As from libfcgi: texts end at a NUL, and what was not sent is absent. */
        line.n = strnlen(line.p, line.n);
        field[i] = line.n > 0 && line.p[0] == '!' ? TEXT_NONE : fuzz_copy(line);
    }
    r = (struct request){.method = field[METHOD],
                         .authorization = field[AUTHORIZATION],
                         .cookie = field[COOKIE],
                         .topics = field[TOPICS],
                         .publish = field[PUBLISH],
                         .origin = field[ORIGIN],
                         .fetch_site = field[FETCH_SITE],
                         .host = field[HOST],
                         .port = field[PORT],
                         .scheme = field[SCHEME],
                         .authorizations = field[AUTHORIZATION].p ? 1 + (switches >> 7) : 0};
    list = field[LIST].p ? mem_copy(field[LIST]) : NULL;
    check_accept(field[ACCEPT]);
    check_none_match(field[NONE_MATCH], field[TAG]);
    check_cors(list, &r);
    check_access(&r, switches & 1, switches & 2, list);
    mem_free(list);
    for (int i = 0; i < N_FIELDS; i++)
        fuzz_free(field[i]);
    return 0;
}
