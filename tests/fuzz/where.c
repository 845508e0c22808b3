/* Subscriptions: conditions on an event's JSON, and topics and types in canonical form.
 *
 * Input: lines of which the first byte says what they are ('w' a condition, 't' a topic pattern,
 * 'e' a type, 'p' a topic to try, anything else the data of the event). */
#include <json-c/json.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "stream/json.h"
#include "stream/subscription.h"
#include "stream/topic.h"
#include "tests/fuzz/fuzz.h"

const char fuzz_name[] = "where";

enum { LINES_MAX = 24 };

struct lines {
    struct text line[LINES_MAX];
    size_t n;
};

/* ---- one condition ---- */

/* RFC 6901 over a tree; *found is NULL for null. */
static bool
point(struct json_object *tree, struct text pointer, struct json_object **found)
{
    *found = tree;
    while (pointer.n > 0) {
        struct buf name;
        char *key;
        bool there = false;
        size_t n = 1;

        buf_init(&name, SIZE_MAX / 2);
        for (; n < pointer.n && pointer.p[n] != '/'; n++) {
            char c = pointer.p[n];

            if (c == '~')
                c = pointer.p[++n] == '0' ? '~' : '/';
            buf_byte(&name, c);
        }
        key = buf_take(&name);
        if (json_object_is_type(*found, json_type_object)) {
            there = json_object_object_get_ex(*found, key, found);
        } else if (json_object_is_type(*found, json_type_array)) {
            long long index;
            bool plain = text_to_int64(text_of(key), &index) && (key[0] != '0' || key[1] == '\0');

            there = plain && (size_t)index < json_object_array_length(*found);
            if (there)
                *found = json_object_array_get_idx(*found, (size_t)index);
        }
        mem_free(key);
        if (!there)
            return false;
        pointer = (struct text){pointer.p + n, pointer.n - n};
    }
    return true;
}

static bool
is_number(struct json_object *value)
{
    return json_object_is_type(value, json_type_int) ||
           json_object_is_type(value, json_type_double);
}

static bool
equals(struct json_object *value, const struct where_condition *c)
{
    if (json_object_is_type(value, json_type_string))
        return text_equal(
            (struct text){json_object_get_string(value), (size_t)json_object_get_string_len(value)},
            c->value);
    if (is_number(value))
        return c->is_number && json_object_get_double(value) == c->number;
    return (json_object_is_type(value, json_type_null) ||
            json_object_is_type(value, json_type_boolean)) &&
           text_equal(c->value, text_of(value ? json_object_get_string(value) : "null"));
}

static struct text
pointer_of(const struct where_condition *c)
{
    struct text pointer = {c->source.p, 0};

    while (pointer.n < c->source.n && !memchr("=!<>", pointer.p[pointer.n], 4))
        pointer.n++;
    return pointer;
}

static bool
should_hold(const struct where_condition *c, struct json_object *tree)
{
    struct json_object *value = NULL;
    bool found = tree && point(tree, pointer_of(c), &value);
    double number = found ? json_object_get_double(value) : 0;

    switch (c->how) {
    case WHERE_EXISTS:
        return found;
    case WHERE_EQUAL:
        return found && equals(value, c);
    case WHERE_NOT_EQUAL:
        return !found || !equals(value, c);
    case WHERE_LESS:
        return found && is_number(value) && number < c->number;
    case WHERE_LESS_EQUAL:
        return found && is_number(value) && number <= c->number;
    case WHERE_GREATER:
        return found && is_number(value) && number > c->number;
    case WHERE_GREATER_EQUAL:
        return found && is_number(value) && number >= c->number;
    }
    return false;
}

/* As in a text: the pointer, the operator, the value. */
static void
check_parts(const struct where_condition *c, struct text source)
{
    static const char *const operators[] = {"", "=", "!=", "<", "<=", ">", ">="};
    struct buf b;

    buf_init(&b, SIZE_MAX / 2);
    buf_text(&b, pointer_of(c));
    buf_string(&b, operators[c->how]);
    buf_text(&b, c->value);
    FUZZ_CHECK(text_equal(buf_view(&b), source), "\"%.*s\" was read as \"%.*s\"", (int)source.n,
               source.p, (int)b.length, b.data);
    FUZZ_CHECK(c->how < WHERE_LESS || c->is_number, "compared with what is no number");
    FUZZ_CHECK(!c->is_number || !isnan(c->number), "not a number");
    buf_finish(&b);
}

static void
check_condition(struct text source, struct where_subject *subject, struct json_object *tree)
{
    struct where_condition c;
    struct text exact = fuzz_copy(source);
    bool holds;

    if (where_parse(&c, exact, NULL) == ERR_OK) {
        check_parts(&c, exact);
        holds = where_holds(&c, 1, subject);
        FUZZ_CHECK(holds == should_hold(&c, tree), "\"%.*s\" holds: %d", (int)source.n, source.p,
                   holds);
        where_finish(&c);
    }
    fuzz_free(exact);
}

static void
check_conditions(const struct lines *lines, struct text data)
{
    struct where_subject subject = {0};
    struct json_object *tree = NULL;
    struct json_facts facts;
    struct json_tokener *tokener;

    if (json_check(data, &facts, NULL) == ERR_OK && (facts.first == '{' || facts.first == '[')) {
        tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
        tree = json_tokener_parse_ex(tokener, data.p, (int)data.n);
        json_tokener_free(tokener);
    }
    where_subject_set(&subject, data);
    for (size_t i = 0; i < lines->n; i++)
        if (lines->line[i].n > 0 && lines->line[i].p[0] == 'w')
            check_condition((struct text){lines->line[i].p + 1, lines->line[i].n - 1}, &subject,
                            tree);
    where_subject_finish(&subject);
    json_object_put(tree);
}

/* ---- many ---- */

/* Adds what is good; in *kept are the lines that were. */
static void
add_line(struct subscription *s, struct text line, struct lines *kept)
{
    struct text rest = {line.p + 1, line.n - 1};
    enum err err = ERR_INVALID;

    if (line.n > 0 && line.p[0] == 't')
        err = subscription_add_topic(s, rest, NULL);
    else if (line.n > 0 && line.p[0] == 'e')
        err = subscription_add_type(s, rest, NULL);
    else if (line.n > 0 && line.p[0] == 'w')
        err = subscription_add_where(s, rest, NULL);
    if (err == ERR_OK && kept)
        kept->line[kept->n++] = line;
}

static bool
any(const struct lines *kept, char kind, struct text wanted)
{
    bool some = false;

    for (size_t i = 0; i < kept->n; i++) {
        struct text one = {kept->line[i].p + 1, kept->line[i].n - 1};

        if (kept->line[i].p[0] != kind)
            continue;
        some = true;
        if (kind == 't' ? topic_matches(one, wanted) : text_equal(one, wanted))
            return true;
    }
    return !some;
}

/* The order of what is asked for, and asking twice, do not matter; what matches is what matches
 * one of the patterns and one of the types as they were given. */
static void
check_subscription(const struct lines *lines)
{
    struct subscription s, backward;
    struct lines kept = {.n = 0};

    subscription_init(&s);
    subscription_init(&backward);
    for (size_t i = 0; i < lines->n; i++)
        add_line(&s, lines->line[i], &kept);
    for (size_t i = kept.n; i > 0; i--) {
        add_line(&backward, kept.line[i - 1], NULL);
        add_line(&backward, kept.line[i - 1], NULL);
    }
    if (subscription_seal(&s) != ERR_OK || subscription_seal(&backward) != ERR_OK)
        abort();
    FUZZ_CHECK(strcmp(s.key, backward.key) == 0, "\"%s\" and \"%s\"", s.key, backward.key);
    FUZZ_CHECK(subscription_is_everything(&s) == (s.key[0] == '\0'), "\"%s\"", s.key);
    for (size_t i = 0; i < lines->n; i++) {
        struct text try = lines->line[i], type = TEXT_NONE;

        if (try.n == 0)
            continue;
        try = (struct text){try.p + 1, try.n - 1};
        FUZZ_CHECK(subscription_matches(&s, try, TEXT_NONE) ==
                       (any(&kept, 't', try) && any(&kept, 'e', TEXT_LIT("message"))),
                   "topic \"%.*s\" in \"%s\"", (int)try.n, try.p, s.key);
        type = try;
        FUZZ_CHECK(subscription_matches_type(&s, type) == any(&kept, 'e', type),
                   "type \"%.*s\" in \"%s\"", (int)try.n, try.p, s.key);
    }
    subscription_finish(&s);
    subscription_finish(&backward);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct fuzz f = fuzz_begin(bytes, n);
    struct lines lines = {.n = 0};
    struct text data = TEXT_LIT("");

    while (f.n > 0 && lines.n < LINES_MAX) {
        struct text line = fuzz_field(&f, '\n');

        /* As decoded from a query string: without a NUL. */
        line.n = strnlen(line.p, line.n);
        if (line.n > 0 && strchr("wtep", line.p[0]))
            lines.line[lines.n++] = line;
        else
            data = line;
    }
    data = fuzz_copy(data);
    check_conditions(&lines, data);
    check_subscription(&lines);
    fuzz_free(data);
    return 0;
}
