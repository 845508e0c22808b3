#include "stream/where.h"

#include <json-c/json.h>
#include <stdlib.h>

#include "base/mem.h"
#include "stream/json.h"

/* What takes more is not looked into: one event must not take the memory of all. */
enum { SUBJECT_TREE_MAX = 64 * 1024 * 1024 };

static enum where_operator
take_operator(struct text rest, size_t *length)
{
    bool equals = rest.n > 1 && rest.p[1] == '=';

    *length = 1;
    if (rest.n == 0)
        return WHERE_EXISTS;
    if (rest.p[0] == '=')
        return WHERE_EQUAL;
    *length = equals ? 2 : 1;
    if (rest.p[0] == '<')
        return equals ? WHERE_LESS_EQUAL : WHERE_LESS;
    if (rest.p[0] == '>')
        return equals ? WHERE_GREATER_EQUAL : WHERE_GREATER;
    return equals ? WHERE_NOT_EQUAL : WHERE_EXISTS; /* the latter: a '!' alone */
}

/* A JSON number and nothing else; strtod alone would take "inf", "0x1" and blanks. */
static bool
to_number(struct text s, double *number)
{
    struct json_facts facts;
    char digits[64];

    if (s.n == 0 || s.n >= sizeof digits || json_check(s, &facts, NULL) != ERR_OK ||
        (facts.first != '-' && (facts.first < '0' || facts.first > '9')))
        return false;
    memcpy(digits, s.p, s.n);
    digits[s.n] = '\0';
    *number = strtod(digits, NULL);
    return true;
}

static enum err
parse_pointer(struct pointer *p, struct text source, struct errbuf *eb)
{
    enum err err = source.n > 0 ? pointer_parse(p, source) : ERR_INVALID;

    if (err == ERR_NOMEM)
        return err_set(eb, err, "out of memory");
    if (err == ERR_INVALID && source.n > 0 && source.p[0] == '/')
        return err_set(eb, err, "where=: a '~' in a JSON Pointer is written ~0");
    if (err == ERR_INVALID)
        return err_set(eb, err, "where= must begin with a JSON Pointer such as /user/lang");
    return ERR_OK;
}

enum err
where_parse(struct where_condition *c, struct text source, struct errbuf *eb)
{
    struct text pointer = {source.p, 0}, rest;
    size_t length;
    enum err err;

    while (pointer.n < source.n && !strchr("=!<>", source.p[pointer.n]))
        pointer.n++;
    rest = (struct text){source.p + pointer.n, source.n - pointer.n};
    *c = (struct where_condition){.how = take_operator(rest, &length)};
    if (rest.n > 0 && c->how == WHERE_EXISTS)
        return err_set(eb, ERR_INVALID, "where=: the operators are = != < <= > >=");
    err = parse_pointer(&c->pointer, pointer, eb);
    if (err != ERR_OK)
        return err;
    c->source = (struct text){mem_copy(source), source.n};
    if (!c->source.p) {
        where_finish(c);
        return err_set(eb, ERR_NOMEM, "out of memory");
    }
    if (c->how != WHERE_EXISTS)
        c->value = (struct text){c->source.p + pointer.n + length, rest.n - length};
    c->is_number = to_number(c->value, &c->number);
    if (c->how >= WHERE_LESS && !c->is_number) {
        where_finish(c);
        return err_set(eb, ERR_INVALID, "where=: < <= > >= compare with a number");
    }
    return ERR_OK;
}

void
where_finish(struct where_condition *c)
{
    mem_free((char *)c->source.p);
    pointer_finish(&c->pointer);
    *c = (struct where_condition){0};
}

void
where_subject_set(struct where_subject *s, struct text data)
{
    json_object_put(s->tree);
    s->tree = NULL;
    s->parsed = false;
    s->data = data;
}

void
where_subject_finish(struct where_subject *s)
{
    where_subject_set(s, TEXT_NONE);
    if (s->tokener)
        json_tokener_free(s->tokener);
    s->tokener = NULL;
}

static void
parse(struct where_subject *s)
{
    struct json_facts facts;

    s->parsed = true;
    if (json_check(s->data, &facts, NULL) != ERR_OK || (facts.first != '{' && facts.first != '['))
        return; /* only objects and arrays have members */
    if (facts.tree_bytes > SUBJECT_TREE_MAX)
        return;
    if (!s->tokener)
        s->tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
    if (!s->tokener)
        return;
    json_tokener_reset(s->tokener);
    s->tree = json_tokener_parse_ex(s->tokener, s->data.p, (int)s->data.n);
}

static bool
equals(const struct where_condition *c, struct json_object *value)
{
    struct text string;

    switch (json_object_get_type(value)) {
    case json_type_null:
        return text_equal(c->value, TEXT_LIT("null"));
    case json_type_boolean:
        return text_equal(c->value,
                          json_object_get_boolean(value) ? TEXT_LIT("true") : TEXT_LIT("false"));
    case json_type_int:
    case json_type_double:
        return c->is_number && json_object_get_double(value) == c->number;
    case json_type_string:
        string =
            (struct text){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
        return text_equal(c->value, string);
    case json_type_object:
    case json_type_array:
        break;
    }
    return false;
}

static bool
compares(const struct where_condition *c, struct json_object *value)
{
    double number = json_object_get_double(value);

    if (!json_object_is_type(value, json_type_int) && !json_object_is_type(value, json_type_double))
        return false;
    if (c->how == WHERE_LESS)
        return number < c->number;
    if (c->how == WHERE_LESS_EQUAL)
        return number <= c->number;
    return c->how == WHERE_GREATER ? number > c->number : number >= c->number;
}

static bool
holds(const struct where_condition *c, struct json_object *tree)
{
    struct json_object *value = NULL;
    bool found = tree && pointer_get(&c->pointer, tree, &value);

    switch (c->how) {
    case WHERE_EXISTS:
        return found;
    case WHERE_EQUAL:
        return found && equals(c, value);
    case WHERE_NOT_EQUAL:
        return !found || !equals(c, value);
    case WHERE_LESS:
    case WHERE_LESS_EQUAL:
    case WHERE_GREATER:
    case WHERE_GREATER_EQUAL:
        return found && compares(c, value);
    }
    return false;
}

bool
where_holds(const struct where_condition *list, size_t n, struct where_subject *s)
{
    if (n > 0 && !s->parsed)
        parse(s);
    for (size_t i = 0; i < n; i++)
        if (!holds(&list[i], s->tree))
            return false;
    return true;
}
