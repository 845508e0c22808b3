/* freshet token: makes a JSON Web Token that freshet-fcgi accepts, or shows what one says. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin/command.h"
#include "base/clock.h"
#include "base/jws.h"
#include "stream/subscription.h"

struct settings {
    char *key, *read, *write, *subject, *audience, *issuer, *claims, *inspect;
    int64_t algorithm, expires_ms;
};

static const struct option_row rows[] = {
    OPTION(TEXT, key, "key", NULL, 0, 0, "FILE",
           "the secret (HS256), or the private key in PEM; to inspect, the public one"),
    OPTION(CHOICE, algorithm, "algorithm", "HS256", 0, 0, JWS_ALGORITHMS, "how it is signed"),
    OPTION(TEXT, read, "read", NULL, 0, 0, "TOPICS",
           "topics or patterns that may be read, separated by blanks"),
    OPTION(TEXT, write, "write", NULL, 0, 0, "TOPICS",
           "topics or patterns that may be written, separated by blanks"),
    OPTION(DURATION, expires_ms, "expires", "1h", 0, INT64_C(10) * 365 * 86400 * 1000, "TIME",
           "how long it is good; 0 = for ever"),
    OPTION(TEXT, subject, "subject", NULL, 0, 0, "NAME", "for whom it is (sub)"),
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
        "Prints a token that lets its bearer read or publish, or shows what a token says and,\n"
        "with a key, whether its signature is right.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
};

/* ---- making one ---- */

/* Adds the patterns as the array freshet.NAME. */
static enum err
add_topics(struct json_object *freshet, const char *name, const char *topics, struct errbuf *eb)
{
    struct json_object *list = json_object_new_array();
    struct subscription check;
    enum err err = ERR_OK;

    json_object_object_add(freshet, name, list);
    subscription_init(&check);
    while (err == ERR_OK && *topics) {
        size_t n = strcspn(topics, " ");

        if (n > 0)
            err = subscription_add_topic(&check, (struct text){topics, n}, eb);
        if (n > 0 && err == ERR_OK)
            json_object_array_add(list, json_object_new_string_len(topics, (int)n));
        topics += n + strspn(topics + n, " ");
    }
    subscription_finish(&check);
    return err;
}

static void
add_text(struct json_object *claims, const char *name, const char *value)
{
    if (value)
        json_object_object_add(claims, name, json_object_new_string(value));
}

static enum err
add_grants(struct json_object *claims, const struct settings *s, struct errbuf *eb)
{
    struct json_object *freshet;
    enum err err = ERR_OK;

    if (!s->read && !s->write)
        return ERR_OK;
    freshet = json_object_new_object();
    json_object_object_add(claims, "freshet", freshet);
    if (s->read)
        err = add_topics(freshet, "read", s->read, eb);
    if (err == ERR_OK && s->write)
        err = add_topics(freshet, "write", s->write, eb);
    return err;
}

static enum err
make_claims(const struct settings *s, struct json_object **claims, struct errbuf *eb)
{
    int64_t now = clock_wall_ms() / 1000;

    *claims = s->claims ? json_tokener_parse(s->claims) : json_object_new_object();
    if (!json_object_is_type(*claims, json_type_object))
        return err_set(eb, ERR_INVALID, "--claims is not a JSON object");
    add_text(*claims, "sub", s->subject);
    add_text(*claims, "aud", s->audience);
    add_text(*claims, "iss", s->issuer);
    json_object_object_add(*claims, "iat", json_object_new_int64(now));
    if (s->expires_ms > 0)
        json_object_object_add(*claims, "exp", json_object_new_int64(now + s->expires_ms / 1000));
    return add_grants(*claims, s, eb);
}

static enum err
make(const struct settings *s, struct errbuf *eb)
{
    struct json_object *claims;
    struct jws_key key = {0};
    struct buf token;
    enum err err = make_claims(s, &claims, eb);

    buf_init(&token, JWS_TOKEN_MAX);
    if (err == ERR_OK)
        err = jws_key_read(&key, s->key, (enum jws_algorithm)s->algorithm, JWS_SIGN, eb);
    if (err == ERR_OK)
        err = jws_sign(&key, json_object_to_json_string(claims), &token, eb);
    if (err == ERR_OK && buf_failed(&token))
        err = err_set(eb, ERR_INVALID, "the token would be longer than %d bytes", JWS_TOKEN_MAX);
    if (err == ERR_OK)
        printf("%.*s\n", (int)token.length, token.data);
    buf_finish(&token);
    jws_key_finish(&key);
    json_object_put(claims);
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
    struct jws_key key;
    enum err err = jws_key_read(&key, s->key, (enum jws_algorithm)s->algorithm, JWS_VERIFY, eb);

    if (err != ERR_OK)
        return err;
    err = jws_verify(&key, token, &payload, eb);
    json_object_put(payload);
    jws_key_finish(&key);
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
