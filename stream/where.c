#include "stream/where.h"

#include "base/json.h"
#include "base/mem.h"

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

static bool
to_number(struct text s, struct decimal *number)
{
    struct text value;

    if (!s.p || json_check(s, &value, NULL) != ERR_OK || json_kind(value) != JSON_NUMBER)
        return false;
    *number = decimal_of(value);
    return true;
}

static enum err
parse_pointer(struct pointer *p, struct text source, struct errbuf *eb)
{
    enum err err = source.n > 0 ? pointer_parse(p, source) : ERR_INVALID;

    if (err == ERR_NOMEM)
        return err_nomem(eb);
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
        return err_nomem(eb);
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
    *s = (struct where_subject){.data = data};
}

void
where_subject_finish(struct where_subject *s)
{
    where_subject_set(s, TEXT_NONE);
}

static void
check(struct where_subject *s)
{
    s->checked = true;
    if (!s->data.p || json_check(s->data, &s->json, NULL) != ERR_OK)
        s->json = TEXT_NONE;
}

static bool
equals(const struct where_condition *c, struct text value)
{
    struct decimal number;

    switch (json_kind(value)) {
    case JSON_NULL:
    case JSON_BOOLEAN:
        return text_equal(c->value, value);
    case JSON_NUMBER:
        number = decimal_of(value);
        return c->is_number && decimal_compare(&number, &c->number) == 0;
    case JSON_STRING:
        return json_string_is(value, c->value);
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return false;
}

static bool
compares(const struct where_condition *c, struct text value)
{
    struct decimal number;
    int order;

    if (json_kind(value) != JSON_NUMBER)
        return false;
    number = decimal_of(value);
    order = decimal_compare(&number, &c->number);
    if (c->how == WHERE_LESS)
        return order < 0;
    if (c->how == WHERE_LESS_EQUAL)
        return order <= 0;
    return c->how == WHERE_GREATER ? order > 0 : order >= 0;
}

bool
where_answer(const struct where_condition *c, struct text value)
{
    switch (c->how) {
    case WHERE_EXISTS:
        return value.p;
    case WHERE_EQUAL:
        return value.p && equals(c, value);
    case WHERE_NOT_EQUAL:
        return !value.p || !equals(c, value);
    case WHERE_LESS:
    case WHERE_LESS_EQUAL:
    case WHERE_GREATER:
    case WHERE_GREATER_EQUAL:
        return value.p && compares(c, value);
    }
    return false;
}

static bool
holds(const struct where_condition *c, struct text json)
{
    struct text value = TEXT_NONE;

    if (json.p)
        pointer_get(&c->pointer, json, &value);
    return where_answer(c, value);
}

bool
where_holds(const struct where_condition *list, size_t n, struct where_subject *s)
{
    if (n > 0 && !s->checked)
        check(s);
    for (size_t i = 0; i < n; i++)
        if (!holds(&list[i], s->json))
            return false;
    return true;
}
