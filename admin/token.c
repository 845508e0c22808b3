/* freshet token: makes a JSON Web Token that freshet-fcgi accepts, or shows what one says. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin/command.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/jws.h"
#include "stream/subscription.h"

struct settings {
    char *key, *read, *write, *subject, *audience, *issuer, *claims, *inspect;
    int64_t algorithm, expires_ms;
};

static const struct option_row rows[] = {
    OPTION(TEXT, key, "key", NULL, 0, 0, "FILE",
           "the secret (HS256) or the private key in PEM; to inspect, the public key or a JWK Set"),
    OPTION(CHOICE, algorithm, "algorithm", "HS256", 0, 0, JWS_ALGORITHMS,
           "the algorithm of the signature"),
    OPTION(TEXT, read, "read", NULL, 0, 0, "TOPICS",
           "topics or patterns that the bearer may read, separated by blanks"),
    OPTION(TEXT, write, "write", NULL, 0, 0, "TOPICS",
           "topics or patterns that the bearer may write, separated by blanks"),
    OPTION(DURATION, expires_ms, "expires", "1h", 0, INT64_C(10) * 365 * 86400 * 1000, "TIME",
           "how long the token is valid; 0 = it never expires"),
    OPTION(TEXT, subject, "subject", NULL, 0, 0, "NAME", "the user of the token (sub)"),
    OPTION(TEXT, audience, "audience", NULL, 0, 0, "NAME",
           "the responder's --token-audience (aud)"),
    OPTION(TEXT, issuer, "issuer", NULL, 0, 0, "NAME", "the responder's --token-issuer (iss)"),
    OPTION(TEXT, claims, "claims", NULL, 0, 0, "JSON", "an object with more claims"),
    OPTION(TEXT, inspect, "inspect", NULL, 0, 0, "TOKEN",
           "show this token instead; - reads it from standard input"),
};

static const struct option_set set = {
    .program = "freshet token",
    .usage = "--key FILE [--read TOPICS] [--write TOPICS] [options]\n"
             "       freshet token --inspect TOKEN [--key FILE]",
    .summary =
        "Prints a token that lets its bearer read or publish, or shows the contents of a token\n"
        "and, with a key, whether its signature is valid.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
};

/* ---- making one ---- */

/* Begins a member of the object that is written; its value follows. */
static void
add_name(struct buf *object, const char *name)
{
    if (object->length > 0 && object->data[object->length - 1] != '{')
        buf_byte(object, ',');
    buf_format(object, "\"%s\":", name);
}

static enum err
add_text(struct buf *claims, const char *name, const char *option, const char *value,
         struct errbuf *eb)
{
    if (!value)
        return ERR_OK;
    if (!text_is_utf8(text_of(value)))
        return err_set(eb, ERR_INVALID, "--%s is not well-formed UTF-8", option);
    add_name(claims, name);
    buf_json(claims, text_of(value));
    return ERR_OK;
}

static void
add_time(struct buf *claims, const char *name, int64_t seconds)
{
    add_name(claims, name);
    buf_int(claims, seconds);
}

/* Adds the patterns as the array freshet.NAME. */
static enum err
add_topics(struct buf *freshet, const char *name, const char *topics, struct errbuf *eb)
{
    struct subscription check;
    enum err err = ERR_OK;
    size_t added = 0;

    if (!topics)
        return ERR_OK;
    add_name(freshet, name);
    buf_byte(freshet, '[');
    subscription_init(&check);
    while (err == ERR_OK && *topics) {
        size_t n = strcspn(topics, " ");

        if (n > 0)
            err = subscription_add_topic(&check, (struct text){topics, n}, eb);
        if (n > 0 && added++ > 0)
            buf_byte(freshet, ',');
        if (n > 0)
            buf_json(freshet, (struct text){topics, n});
        topics += n + strspn(topics + n, " ");
    }
    subscription_finish(&check);
    buf_byte(freshet, ']');
    return err;
}

static enum err
add_grants(struct buf *claims, const struct settings *s, struct errbuf *eb)
{
    enum err err;

    if (!s->read && !s->write)
        return ERR_OK;
    add_name(claims, "freshet");
    buf_byte(claims, '{');
    err = add_topics(claims, "read", s->read, eb);
    if (err == ERR_OK)
        err = add_topics(claims, "write", s->write, eb);
    buf_byte(claims, '}');
    return err;
}

/* An option wins over a member of --claims. */
static bool
is_option(const struct settings *s, struct text name)
{
    return (s->subject && json_string_is(name, TEXT_LIT("sub"))) ||
           (s->audience && json_string_is(name, TEXT_LIT("aud"))) ||
           (s->issuer && json_string_is(name, TEXT_LIT("iss"))) ||
           (s->expires_ms > 0 && json_string_is(name, TEXT_LIT("exp"))) ||
           ((s->read || s->write) && json_string_is(name, TEXT_LIT("freshet"))) ||
           json_string_is(name, TEXT_LIT("iat"));
}

/* The members that were given go in as they are written. */
static enum err
add_given(struct buf *claims, const struct settings *s, struct errbuf *eb)
{
    struct text given = text_of(s->claims), value, name, member;
    struct json_walk w;

    buf_byte(claims, '{');
    if (!given.p)
        return ERR_OK;
    if (!text_is_utf8(given) || json_check(given, &value, NULL) != ERR_OK ||
        json_kind(value) != JSON_OBJECT)
        return err_set(eb, ERR_INVALID, "--claims is not a JSON object");
    for (json_walk(&w, value); json_next(&w, &name, &member);) {
        if (is_option(s, name))
            continue;
        if (claims->length > 1)
            buf_byte(claims, ',');
        buf_text(claims, name);
        buf_byte(claims, ':');
        buf_text(claims, member);
    }
    return ERR_OK;
}

static enum err
make_claims(const struct settings *s, struct buf *claims, struct errbuf *eb)
{
    int64_t now = clock_wall_ms() / 1000;
    enum err err = add_given(claims, s, eb);

    if (err == ERR_OK)
        err = add_text(claims, "sub", "subject", s->subject, eb);
    if (err == ERR_OK)
        err = add_text(claims, "aud", "audience", s->audience, eb);
    if (err == ERR_OK)
        err = add_text(claims, "iss", "issuer", s->issuer, eb);
    add_time(claims, "iat", now);
    if (s->expires_ms > 0)
        add_time(claims, "exp", now + s->expires_ms / 1000);
    if (err == ERR_OK)
        err = add_grants(claims, s, eb);
    buf_byte(claims, '}');
    buf_byte(claims, '\0');
    if (err == ERR_OK && buf_failed(claims))
        err = err_nomem(eb);
    return err;
}

static enum err
make(const struct settings *s, struct errbuf *eb)
{
    struct jws_key key = {0};
    struct buf claims, token;
    enum err err;

    buf_init(&claims, SIZE_MAX / 4);
    err = make_claims(s, &claims, eb);
    buf_init(&token, JWS_TOKEN_MAX);
    if (err == ERR_OK)
        err = jws_key_read(&key, s->key, (enum jws_algorithm)s->algorithm, JWS_SIGN, eb);
    if (err == ERR_OK)
        err = jws_sign(&key, claims.data, &token, eb);
    if (err == ERR_OK && buf_failed(&token))
        err = err_set(eb, ERR_INVALID, "the token would be longer than %d bytes", JWS_TOKEN_MAX);
    if (err == ERR_OK)
        printf("%.*s\n", (int)token.length, token.data);
    buf_finish(&token);
    jws_key_finish(&key);
    buf_finish(&claims);
    return err;
}

/* ---- showing one ---- */

static void
show_time(struct json_object *claims, const char *name, const char *what)
{
    struct json_object *value;
    char text[40] = "";
    struct tm tm;
    time_t t;

    if (!json_object_object_get_ex(claims, name, &value))
        return;
    t = (time_t)json_object_get_int64(value);
    if (gmtime_r(&t, &tm))
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    printf("%s %s (%+" PRId64 " s from now)\n", what, text, (int64_t)t - clock_wall_ms() / 1000);
}

static enum err
check_signature(const struct settings *s, struct text token, struct errbuf *eb)
{
    struct json_object *payload = NULL;
    struct jws_keys keys;
    uint64_t signer;
    enum err err = jws_keys_read(&keys, &s->key, 1, (enum jws_algorithm)s->algorithm, eb);

    if (err != ERR_OK)
        return err;
    err = jws_verify_with(&keys, token, &payload, &signer, eb);
    json_object_put(payload);
    jws_keys_finish(&keys);
    if (err == ERR_OK)
        puts("signature good");
    return err;
}

static enum err
show(const struct settings *s, struct text token, struct errbuf *eb)
{
    struct json_object *header, *payload;
    enum err err = jws_look(token, &header, &payload, eb);

    if (err != ERR_OK)
        return err;
    printf("header %s\n", json_object_to_json_string_ext(header, JSON_C_TO_STRING_NOSLASHESCAPE));
    printf("claims %s\n", json_object_to_json_string_ext(
                              payload, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    show_time(payload, "nbf", "starts");
    show_time(payload, "exp", "expires");
    json_object_put(header);
    json_object_put(payload);
    if (s->key)
        return check_signature(s, token, eb);
    puts("signature not checked: no --key");
    return ERR_OK;
}

static enum err
inspect(const struct settings *s, struct errbuf *eb)
{
    char line[JWS_TOKEN_MAX + 2] = "";
    struct text token = text_of(s->inspect);

    if (strcmp(s->inspect, "-") == 0) {
        if (!fgets(line, sizeof line, stdin))
            return err_set(eb, ERR_INVALID, "there is no token on standard input");
        token = (struct text){line, strcspn(line, " \t\r\n")};
    }
    return show(s, token, eb);
}

int
command_token(int argc, char **argv)
{
    struct settings settings = {0};
    struct errbuf eb = {""};
    int status;
    enum err err;

    if (!command_options(&set, &settings, argc, argv, &status))
        return status;
    if (!settings.key && !settings.inspect) {
        status = command_misuse(&set, "--key FILE or --inspect TOKEN is missing");
    } else {
        err = settings.inspect ? inspect(&settings, &eb) : make(&settings, &eb);
        status = err == ERR_OK ? EXIT_OK : command_fail(&set, err, &eb);
    }
    option_finish(&set, &settings);
    return status;
}
