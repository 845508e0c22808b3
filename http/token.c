#include "http/token.h"

#include <math.h>

static enum err
refuse(struct errbuf *eb, const char *why)
{
    return err_set(eb, ERR_INVALID, "%s", why);
}

/* A NumericDate: seconds, perhaps with a fraction. TOKEN_NEVER, in either direction, is far enough
 * for what no clock will show. */
static bool
take_time(struct json_object *claims, const char *name, bool *there, int64_t *ms)
{
    struct json_object *value;
    double seconds;

    *there = json_object_object_get_ex(claims, name, &value);
    if (!*there)
        return true;
    if (!json_object_is_type(value, json_type_int) && !json_object_is_type(value, json_type_double))
        return false;
    seconds = json_object_get_double(value);
    if (isnan(seconds))
        return false;
    if (seconds > 1e12 || seconds < -1e12)
        *ms = seconds > 0 ? TOKEN_NEVER : -TOKEN_NEVER;
    else
        *ms = (int64_t)(seconds * 1000);
    return true;
}

static int64_t
later(int64_t ms, int64_t by_ms)
{
    return ms > TOKEN_NEVER - by_ms ? TOKEN_NEVER : ms + by_ms;
}

static enum err
check_times(const struct token_rules *rules, struct json_object *claims, int64_t now_ms,
            struct token *t, struct errbuf *eb)
{
    bool has_end, has_start;
    int64_t end_ms, start_ms;

    if (!take_time(claims, "exp", &has_end, &end_ms) ||
        !take_time(claims, "nbf", &has_start, &start_ms))
        return refuse(eb, "exp and nbf of the token must be numbers");
    t->expires_ms = has_end ? later(end_ms, rules->leeway_ms) : TOKEN_NEVER;
    if (now_ms >= t->expires_ms)
        return refuse(eb, "the token has expired");
    if (has_start && start_ms > later(now_ms, rules->leeway_ms))
        return refuse(eb, "the token is not valid yet");
    return ERR_OK;
}

/* TEXT_NONE for what is not a string. */
static struct text
string_of(struct json_object *value)
{
    if (!json_object_is_type(value, json_type_string))
        return TEXT_NONE;
    return (struct text){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
}

static bool
is_text(struct json_object *value, const char *wanted)
{
    return wanted && text_equal(string_of(value), text_of(wanted));
}

static enum err
check_parties(const struct token_rules *rules, struct json_object *claims, struct errbuf *eb)
{
    struct json_object *issuer = NULL, *audience;
    bool found;

    json_object_object_get_ex(claims, "iss", &issuer);
    if (rules->issuer && !is_text(issuer, rules->issuer))
        return refuse(eb, "the token comes from another issuer");
    if (!json_object_object_get_ex(claims, "aud", &audience))
        return rules->audience ? refuse(eb, "the token is not for this audience") : ERR_OK;
    found = is_text(audience, rules->audience);
    if (json_object_is_type(audience, json_type_array))
        for (size_t i = 0; !found && i < json_object_array_length(audience); i++)
            found = is_text(json_object_array_get_idx(audience, i), rules->audience);
    return found ? ERR_OK : refuse(eb, "the token is not for this audience");
}

static enum err
take_patterns(struct json_object *of, const char *name, struct grants *g, struct errbuf *eb)
{
    struct json_object *list;
    enum err err = ERR_OK;

    if (!json_object_object_get_ex(of, name, &list))
        return ERR_OK;
    if (!json_object_is_type(list, json_type_array))
        return err_set(eb, ERR_INVALID, "%s in the token's freshet claim must be an array", name);
    for (size_t i = 0; err == ERR_OK && i < json_object_array_length(list); i++) {
        struct text pattern = string_of(json_object_array_get_idx(list, i));

        err = pattern.p ? grants_add(g, pattern, eb) : ERR_INVALID;
    }
    if (err == ERR_INVALID)
        err_set(eb, err, "%s in the token's freshet claim contains something that is not a topic",
                name);
    return err;
}

static enum err
take_grants(struct json_object *claims, struct token *t, struct errbuf *eb)
{
    struct json_object *freshet;
    enum err err;

    if (!json_object_object_get_ex(claims, "freshet", &freshet))
        return ERR_OK;
    if (!json_object_is_type(freshet, json_type_object))
        return refuse(eb, "the token's freshet claim must be an object");
    err = take_patterns(freshet, "read", &t->read, eb);
    return err == ERR_OK ? take_patterns(freshet, "write", &t->write, eb) : err;
}

bool
token_used(const struct token_rules *rules)
{
    return rules->key.bytes || (rules->keys && rules->keys->n > 0);
}

static enum err
check_signature(const struct token_rules *rules, struct text s, struct json_object **claims,
                struct token *t, struct errbuf *eb)
{
    t->signer = 0;
    return rules->keys ? jws_verify_with(rules->keys, s, claims, &t->signer, eb)
                       : jws_verify(&rules->key, s, claims, eb);
}

enum err
token_verify(const struct token_rules *rules, struct text s, int64_t now_ms, struct token *t,
             struct errbuf *eb)
{
    struct json_object *claims;
    enum err err = check_signature(rules, s, &claims, t, eb);

    if (err != ERR_OK)
        return err;
    grants_init(&t->read);
    grants_init(&t->write);
    err = check_times(rules, claims, now_ms, t, eb);
    if (err == ERR_OK)
        err = check_parties(rules, claims, eb);
    if (err == ERR_OK)
        err = take_grants(claims, t, eb);
    json_object_put(claims);
    if (err != ERR_OK)
        token_finish(t);
    return err;
}

void
token_finish(struct token *t)
{
    grants_finish(&t->read);
    grants_finish(&t->write);
}
