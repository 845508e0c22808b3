/* JSON: what counts as JSON, and events as JSON objects, in and out.
 *
 * A second reader of RFC 8259, recursive and simple, says what json_check() must say; json-c must
 * be able to read all that it lets through, and to write it so that it reads the same again. */
#include <stdlib.h>

#include "base/mem.h"
#include "stream/event_json.h"
#include "stream/json.h"
#include "tests/fuzz/fuzz.h"

const char fuzz_name[] = "json";

enum { OUT_MAX = 16 * 1024 * 1024 };

/* ---- a second reader ---- */

struct reader {
    const char *p, *end;
    bool wide;
};

static bool read_value(struct reader *r, int depth);

static int
peek(const struct reader *r)
{
    return r->p < r->end ? (unsigned char)*r->p : -1;
}

static bool
accept(struct reader *r, const char *any_of)
{
    if (peek(r) <= 0 || !strchr(any_of, peek(r)))
        return false;
    r->p++;
    return true;
}

static void
skip_blanks(struct reader *r)
{
    while (accept(r, " \t\n\r"))
        ;
}

static bool
read_word(struct reader *r, const char *word)
{
    for (; *word; word++)
        if (!accept(r, (char[]){*word, '\0'}))
            return false;
    return true;
}

static bool
read_string(struct reader *r)
{
    if (!accept(r, "\""))
        return false;
    while (peek(r) >= 0x20 && peek(r) != '"') {
        if (*r->p++ != '\\')
            continue;
        if (accept(r, "\"\\/bfnrt"))
            continue;
        if (!accept(r, "u"))
            return false;
        for (int i = 0; i < 4; i++)
            if (!accept(r, "0123456789abcdefABCDEF"))
                return false;
    }
    return accept(r, "\"");
}

static int
read_digits(struct reader *r)
{
    int n = 0;

    while (accept(r, "0123456789"))
        n++;
    return n;
}

static bool
read_number(struct reader *r)
{
    bool whole = true, zero;
    int n;

    accept(r, "-");
    zero = peek(r) == '0';
    n = zero ? (r->p++, 1) : read_digits(r);
    if (n == 0)
        return false;
    if (accept(r, ".")) {
        whole = false;
        if (read_digits(r) == 0)
            return false;
    }
    if (accept(r, "eE")) {
        whole = false;
        accept(r, "+-");
        if (read_digits(r) == 0)
            return false;
    }
    r->wide = r->wide || (whole && n >= 19);
    return true;
}

static bool
read_members(struct reader *r, char end, int depth)
{
    skip_blanks(r);
    if (accept(r, (char[]){end, '\0'}))
        return true;
    do {
        skip_blanks(r);
        if (end == '}') {
            if (!read_string(r))
                return false;
            skip_blanks(r);
            if (!accept(r, ":"))
                return false;
        }
        if (!read_value(r, depth))
            return false;
    } while (accept(r, ","));
    return accept(r, (char[]){end, '\0'});
}

/* With the blanks around it. */
static bool
read_value(struct reader *r, int depth)
{
    bool good;

    skip_blanks(r);
    if (peek(r) == '{' || peek(r) == '[')
        good = depth < JSON_DEPTH_MAX && read_members(r, *r->p++ == '{' ? '}' : ']', depth + 1);
    else if (peek(r) == '"')
        good = read_string(r);
    else if (peek(r) == 't')
        good = read_word(r, "true");
    else if (peek(r) == 'f')
        good = read_word(r, "false");
    else if (peek(r) == 'n')
        good = read_word(r, "null");
    else
        good = read_number(r);
    skip_blanks(r);
    return good;
}

static bool
check_json(struct text s, struct json_facts *facts)
{
    struct reader r = {s.p, s.p + s.n, false};
    bool good = read_value(&r, 0) && r.p == r.end;
    struct errbuf eb;
    enum err err = json_check(s, facts, &eb);

    FUZZ_CHECK((err == ERR_OK) == good, "%s", good ? eb.text : "taken, and is not JSON");
    FUZZ_CHECK(!good || facts->wide == r.wide, "wide: %d", facts->wide);
    return good;
}

/* ---- UTF-8 ---- */

/* By the code points: each in as few bytes as it needs, none of them a surrogate. */
static bool
is_utf8(struct text s)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *)s.p;

    for (size_t i = 0; i < s.n;) {
        size_t n = p[i] < 0x80 ? 1 : p[i] >> 5 == 6 ? 2 : p[i] >> 4 == 14 ? 3 : 4;
        uint32_t point = n == 1 ? p[i] : p[i] & (0xffU >> (n + 1));

        if (n > s.n - i || (n == 4 && p[i] >> 3 != 30))
            return false;
        for (size_t k = 1; k < n; k++) {
            if (p[i + k] >> 6 != 2)
                return false;
            point = point << 6 | (p[i + k] & 0x3f);
        }
        if (point < least[n] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
            return false;
        i += n;
    }
    return true;
}

/* ---- trees ---- */

static struct json_object *
parse(struct text s)
{
    struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
    struct json_object *tree;

    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    tree = json_tokener_parse_ex(tokener, s.p, (int)s.n);
    json_tokener_free(tokener);
    return tree;
}

/* What is passed on as compact text is JSON again, and means the same. */
static void
check_tree(struct json_object *tree)
{
    struct text data = event_json_data(tree);
    struct json_facts facts;
    struct json_object *again;
    struct errbuf eb;

    FUZZ_CHECK(data.p, "no text");
    if (json_object_is_type(tree, json_type_string))
        return;
    FUZZ_CHECK(json_check(data, &facts, &eb) == ERR_OK, "\"%.*s\": %s", (int)data.n, data.p,
               eb.text);
    FUZZ_CHECK(text_is_utf8(data), "not UTF-8");
    FUZZ_CHECK(!memchr(data.p, '\n', data.n), "more than one line");
    again = parse(data);
    FUZZ_CHECK(json_object_equal(tree, again), "\"%.*s\" means something else", (int)data.n,
               data.p);
    json_object_put(again);
}

/* ---- events ---- */

static struct text
member(struct json_object *tree, const char *name)
{
    struct json_object *value = json_object_object_get(tree, name);

    if (!json_object_is_type(value, json_type_string))
        return TEXT_NONE;
    return (struct text){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
}

/* What is written for a browser is JSON, and gives back what was put in; bytes that are no UTF-8
 * come out as U+FFFD, and nothing else changes. */
static void
check_written(struct text topic, struct text type, struct text data)
{
    struct event e = {.id = (int64_t)data.n + 1, .created_ms = -5, .topic = topic, .data = data};
    struct json_facts facts;
    struct json_object *tree;
    struct errbuf eb = {""};
    struct buf b;

    e.type = type.n > 0 ? type : TEXT_NONE;
    buf_init(&b, OUT_MAX);
    event_json_write(&b, &e, "k3f9");
    FUZZ_CHECK(!buf_failed(&b), "too long");
    FUZZ_CHECK(text_is_utf8(buf_view(&b)), "not UTF-8");
    FUZZ_CHECK(json_check(buf_view(&b), &facts, &eb) == ERR_OK, "%s", eb.text);
    FUZZ_CHECK(!memchr(b.data, '\n', b.length), "more than one line");
    tree = parse(buf_view(&b));
    FUZZ_CHECK(tree, "not read again");
    if (text_is_utf8(data))
        FUZZ_CHECK(text_equal(member(tree, "data"), data), "data changed");
    if (text_is_utf8(topic))
        FUZZ_CHECK(text_equal(member(tree, "topic"), topic), "the topic changed");
    if (text_is_utf8(type))
        FUZZ_CHECK(text_equal(member(tree, "type"), e.type), "the type changed");
    json_object_put(tree);
    buf_finish(&b);
}

/* An event that is good survives being written down as JSON. */
static void
check_event(struct json_object *tree)
{
    struct event e, again;
    struct json_object *second;
    size_t room = SIZE_MAX;
    struct buf b;

    if (event_json_read(tree, &e, NULL) != ERR_OK || event_check(&e, OUT_MAX, NULL) != ERR_OK)
        return;
    buf_init(&b, OUT_MAX);
    buf_string(&b, "{\"topic\":");
    buf_json(&b, e.topic);
    if (e.type.p) {
        buf_string(&b, ",\"type\":");
        buf_json(&b, e.type);
    }
    if (e.key.p) {
        buf_string(&b, ",\"key\":");
        buf_json(&b, e.key);
    }
    buf_string(&b, ",\"data\":");
    buf_json(&b, e.data);
    buf_byte(&b, '}');
    FUZZ_CHECK(event_json_parse(buf_view(&b), &room, &second, NULL) == ERR_OK, "%.*s",
               (int)b.length, b.data);
    FUZZ_CHECK(event_json_read(second, &again, NULL) == ERR_OK, "%.*s", (int)b.length, b.data);
    FUZZ_CHECK(text_equal(e.topic, again.topic) && text_equal(e.type, again.type) &&
                   text_equal(e.key, again.key) && text_equal(e.data, again.data),
               "%.*s is another event", (int)b.length, b.data);
    json_object_put(second);
    buf_finish(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct fuzz f = fuzz_begin(bytes, n);
    struct text s = fuzz_copy(fuzz_rest(&f)), topic, type;
    struct json_object *tree;
    struct json_facts facts;
    bool good = check_json(s, &facts);
    size_t room = good ? facts.tree_bytes : SIZE_MAX;
    enum err err = event_json_parse(s, &room, &tree, NULL);

    FUZZ_CHECK(text_is_utf8(s) == is_utf8(s), "UTF-8: %d", is_utf8(s));
    good = good && is_utf8(s) && !facts.wide && (facts.first == '{' || facts.first == '[');
    FUZZ_CHECK(err == (good ? ERR_OK : ERR_INVALID), "event_json_parse() said %d", (int)err);
    if (err == ERR_OK) {
        check_tree(tree);
        check_event(tree);
        json_object_put(tree);
        FUZZ_CHECK(room == 0, "%zu bytes of room are left", room);
        room = facts.tree_bytes - 1;
        err = event_json_parse(s, &room, &tree, NULL);
        FUZZ_CHECK(err == ERR_FULL && !tree && room == facts.tree_bytes - 1, "%d", (int)err);
    }
    f = (struct fuzz){s.p, s.n};
    topic = fuzz_field(&f, '\n');
    type = fuzz_field(&f, '\n');
    check_written(topic, type, fuzz_rest(&f));
    fuzz_free(s);
    return 0;
}
