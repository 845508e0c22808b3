/* JSON: what counts as JSON, what is found in it, and events as JSON objects, in and out.
 *
 * A second reader (plain_json.h) says what the first one must say: which texts are JSON, what their
 * strings stand for, and how they look without blanks. json-c says whether the text without blanks
 * still means the same. */
#include <json-c/json.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "stream/event_json.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/plain_json.h"
#include "stream/dialect.h"

const char fuzz_name[] = "json";

enum { OUT_MAX = 16 * 1024 * 1024 };

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

/* ---- values ---- */

static void
check_string(const struct plain *v, struct text value)
{
    struct text room = fuzz_copy(value), bytes;
    char *at = (char *)room.p;
    bool decoded = json_string_decode(value, &at, &bytes);

    FUZZ_CHECK(decoded == !v->lone, "%.*s: %d", (int)value.n, value.p, decoded);
    FUZZ_CHECK(!decoded || text_equal(bytes, v->bytes), "%.*s is \"%.*s\"", (int)value.n, value.p,
               (int)bytes.n, bytes.p);
    FUZZ_CHECK(decoded || (bytes.n == 6 && text_starts(bytes, TEXT_LIT("\\u"))), "%.*s",
               (int)bytes.n, bytes.p);
    FUZZ_CHECK(json_string_is(value, v->bytes) == decoded, "%.*s", (int)value.n, value.p);
    if (v->bytes.n > 0)
        FUZZ_CHECK(!json_string_is(value, (struct text){v->bytes.p, v->bytes.n - 1}), "%.*s",
                   (int)value.n, value.p);
    fuzz_free(room);
}

/* Both readers see the same members in the same order, and the same text of each. */
static void
check_value(const struct plain *v, struct text value)
{
    static const char kinds[] = {[JSON_NULL] = 'n',   [JSON_BOOLEAN] = 't', [JSON_NUMBER] = '0',
                                 [JSON_STRING] = '"', [JSON_ARRAY] = '[',   [JSON_OBJECT] = '{'};
    struct json_walk w;
    struct text name, member;
    size_t n = 0;

    FUZZ_CHECK(text_equal(value, v->text), "\"%.*s\"", (int)value.n, value.p);
    FUZZ_CHECK(kinds[json_kind(value)] == (v->kind == 'f' ? 't' : v->kind), "%c", v->kind);
    if (v->kind == '"')
        check_string(v, value);
    if (v->kind != '{' && v->kind != '[')
        return;
    json_walk(&w, value);
    for (; json_next(&w, &name, &member); n++) {
        FUZZ_CHECK(n < v->n, "more than %zu members", v->n);
        FUZZ_CHECK((v->kind == '[') == !name.p, "a name");
        if (name.p)
            check_value(v->names[n], name);
        check_value(v->values[n], member);
    }
    FUZZ_CHECK(n == v->n, "%zu members, not %zu", n, v->n);
}

static struct json_object *
parse(struct text s)
{
    struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
    struct json_object *tree = json_tokener_parse_ex(tokener, s.p, (int)s.n);

    json_tokener_free(tokener);
    return tree;
}

static void
check_compact(const struct plain *v, struct text value)
{
    struct text room = fuzz_copy(value), compact;
    char *at = (char *)room.p;
    struct json_object *before, *after;

    compact = json_compact(value, &at);
    FUZZ_CHECK(v->kind == '"' ? text_equal(compact, v->text) : plain_is_data(v, compact),
               "\"%.*s\"", (int)compact.n, compact.p);
    FUZZ_CHECK(json_check(compact, NULL, NULL) == ERR_OK, "no JSON any more");
    before = parse(value);
    after = parse(compact);
    FUZZ_CHECK(json_object_equal(before, after), "\"%.*s\" means something else", (int)compact.n,
               compact.p);
    json_object_put(before);
    json_object_put(after);
    fuzz_free(room);
}

static struct plain *
check_json(struct text s)
{
    struct plain *plain = plain_read(s);
    struct errbuf eb = {""};
    struct text value = TEXT_NONE;
    enum err err = json_check(s, &value, &eb);

    FUZZ_CHECK((err == ERR_OK) == (plain != NULL), "%s",
               plain ? eb.text : "taken, and is not JSON");
    if (plain) {
        check_value(plain, value);
        check_compact(plain, value);
    }
    return plain;
}

/* ---- events ---- */

static struct text
member_bytes(const struct plain *v, const char *name)
{
    const struct plain *member = plain_member(v, name);

    return member && member->kind == '"' ? member->bytes : TEXT_NONE;
}

/* What is written for a browser is JSON, and gives back what was put in; bytes that are no UTF-8
 * come out as U+FFFD, and nothing else changes. */
static void
check_written(struct text topic, struct text type, struct text data)
{
    struct event e = {.id = (int64_t)data.n + 1, .created_ms = -5, .topic = topic, .data = data};
    struct plain *plain;
    struct errbuf eb = {""};
    struct buf b;

    e.type = type.n > 0 ? type : TEXT_NONE;
    buf_init(&b, OUT_MAX);
    dialect_json(&(struct dialect){DIALECT_PLAIN, "k3f9"}, &b, &e);
    FUZZ_CHECK(!buf_failed(&b), "too long");
    FUZZ_CHECK(text_is_utf8(buf_view(&b)), "not UTF-8");
    FUZZ_CHECK(json_check(buf_view(&b), NULL, &eb) == ERR_OK, "%s", eb.text);
    FUZZ_CHECK(!memchr(b.data, '\n', b.length), "more than one line");
    plain = plain_read(buf_view(&b));
    FUZZ_CHECK(plain, "not read again");
    if (text_is_utf8(data))
        FUZZ_CHECK(text_equal(member_bytes(plain, "data"), data), "data changed");
    if (text_is_utf8(topic))
        FUZZ_CHECK(text_equal(member_bytes(plain, "topic"), topic), "the topic changed");
    if (text_is_utf8(type))
        FUZZ_CHECK(text_equal(member_bytes(plain, "type"), e.type), "the type changed");
    plain_free(plain);
    buf_finish(&b);
}

static const struct plain *
given(const struct plain *v, const char *name)
{
    const struct plain *member = plain_member(v, name);

    return member && member->kind == 'n' ? NULL : member;
}

static bool
is_name(const struct plain *v)
{
    return !v || (v->kind == '"' && !v->lone) || strchr("0tf", v->kind);
}

/* An event has what its members say, or is refused because one of them cannot be had. */
static void
check_event(const struct plain *v, struct text s)
{
    const struct plain *topic = given(v, "topic"), *type = given(v, "type"), *key = given(v, "key");
    const struct plain *data = plain_member(v, "data");
    bool good =
        v->kind == '{' && is_name(topic) && is_name(type) && is_name(key) && !(data && data->lone);
    struct event_json m;
    struct event e;
    struct errbuf eb = {""};
    struct text value, room;
    char *at;
    enum err err = event_json_check(s, &value, &eb);

    FUZZ_CHECK(err == ERR_OK, "%s", eb.text);
    err = event_json_members(value, &m, &eb);
    FUZZ_CHECK((err == ERR_OK) == (v->kind == '{'), "%s", eb.text);
    if (err != ERR_OK)
        return;
    FUZZ_CHECK(event_json_room(&m) <= value.n, "%zu bytes of room", event_json_room(&m));
    room = fuzz_copy((struct text){value.p, event_json_room(&m)});
    at = (char *)room.p;
    err = event_json_read(&m, &at, &e, &eb);
    FUZZ_CHECK((err == ERR_OK) == good, "%d: %s", (int)err, eb.text);
    if (good)
        FUZZ_CHECK(plain_is_name(topic, e.topic) && plain_is_name(type, e.type) &&
                       plain_is_name(key, e.key) && plain_is_data(data, e.data),
                   "another event");
    fuzz_free(room);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct fuzz f = fuzz_begin(bytes, n);
    struct text s = fuzz_copy(fuzz_rest(&f)), topic, type;
    struct plain *plain = check_json(s);

    FUZZ_CHECK(text_is_utf8(s) == is_utf8(s), "UTF-8: %d", is_utf8(s));
    if (plain && is_utf8(s))
        check_event(plain, s);
    plain_free(plain);
    f = (struct fuzz){s.p, s.n};
    topic = fuzz_field(&f, '\n');
    type = fuzz_field(&f, '\n');
    check_written(topic, type, fuzz_rest(&f));
    fuzz_free(s);
    return 0;
}
