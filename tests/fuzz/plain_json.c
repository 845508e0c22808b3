#include "tests/fuzz/plain_json.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

enum { OUT_MAX = 64 * 1024 * 1024 };

struct reader {
    const char *p, *end;
};

static struct plain *read_value(struct reader *r, int depth);

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

/* ---- strings, as UTF-16 has them ---- */

static void
put_point(struct buf *b, uint32_t c)
{
    if (c < 0x80) {
        buf_byte(b, (char)c);
        return;
    }
    if (c < 0x800) {
        buf_byte(b, (char)(0xc0 + c / 64));
    } else if (c < 0x10000) {
        buf_byte(b, (char)(0xe0 + c / 4096));
        buf_byte(b, (char)(0x80 + c / 64 % 64));
    } else {
        buf_byte(b, (char)(0xf0 + c / 262144));
        buf_byte(b, (char)(0x80 + c / 4096 % 64));
        buf_byte(b, (char)(0x80 + c / 64 % 64));
    }
    buf_byte(b, (char)(0x80 + c % 64));
}

/* *half is a high surrogate that waits for its other half, or 0. */
static void
put_unit(struct plain *v, struct buf *b, uint32_t unit, uint32_t *half)
{
    if (*half && unit >= 0xdc00 && unit <= 0xdfff) {
        put_point(b, 0x10000 + (*half - 0xd800) * 0x400 + (unit - 0xdc00));
        *half = 0;
        return;
    }
    v->lone = v->lone || *half;
    *half = unit >= 0xd800 && unit <= 0xdbff ? unit : 0;
    v->lone = v->lone || (unit >= 0xdc00 && unit <= 0xdfff);
    if (unit < 0xd800 || unit > 0xdfff)
        put_point(b, unit);
}

static bool
read_unit(struct reader *r, uint32_t *unit)
{
    char four[5] = "";

    for (int i = 0; i < 4; i++, r->p++) {
        if (peek(r) <= 0 || !strchr("0123456789abcdefABCDEF", peek(r)))
            return false;
        four[i] = *r->p;
    }
    *unit = (uint32_t)strtoul(four, NULL, 16);
    return true;
}

static bool
read_string(struct reader *r, struct plain *v)
{
    static const char escapes[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    uint32_t half = 0, unit;
    bool good = accept(r, "\"");
    struct buf b;

    buf_init(&b, OUT_MAX);
    while (good && peek(r) >= 0x20 && peek(r) != '"') {
        int c = *r->p++;

        if (c == '\\' && peek(r) > 0 && strchr(escapes, peek(r))) {
            put_unit(v, &b, (unsigned char)bytes[strchr(escapes, *r->p++) - escapes], &half);
        } else if (c == '\\') {
            good = accept(r, "u") && read_unit(r, &unit);
            if (good)
                put_unit(v, &b, unit, &half);
        } else {
            v->lone = v->lone || half;
            half = 0;
            buf_byte(&b, (char)c);
        }
    }
    v->lone = v->lone || half;
    v->bytes.n = b.length;
    v->bytes.p = buf_take(&b);
    return good && accept(r, "\"");
}

/* ---- values ---- */

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
    accept(r, "-");
    if (!accept(r, "0") && read_digits(r) == 0)
        return false;
    if (accept(r, ".") && read_digits(r) == 0)
        return false;
    if (accept(r, "eE")) {
        accept(r, "+-");
        return read_digits(r) > 0;
    }
    return true;
}

static struct plain *
new_value(char kind)
{
    struct plain *v = mem_zalloc(sizeof *v);

    v->kind = kind;
    return v;
}

static bool
read_members(struct reader *r, struct plain *v, int depth)
{
    const char *end = v->kind == '{' ? "}" : "]";

    skip_blanks(r);
    if (accept(r, end))
        return true;
    do {
        v->names = mem_realloc(v->names, (v->n + 1) * sizeof *v->names);
        v->values = mem_realloc(v->values, (v->n + 1) * sizeof *v->values);
        v->names[v->n] = v->values[v->n] = NULL;
        v->n++;
        if (v->kind == '{') {
            skip_blanks(r);
            if (peek(r) != '"' || !(v->names[v->n - 1] = read_value(r, depth)) || !accept(r, ":"))
                return false;
        }
        if (!(v->values[v->n - 1] = read_value(r, depth)))
            return false;
    } while (accept(r, ","));
    return accept(r, end);
}

/* With the blanks around it. */
static struct plain *
read_value(struct reader *r, int depth)
{
    struct plain *v = new_value('0');
    const char *start;
    bool good;

    skip_blanks(r);
    start = r->p;
    if (peek(r) > 0 && strchr("{[\"tfn", peek(r)))
        v->kind = *r->p;
    if (v->kind == '{' || v->kind == '[') {
        r->p++;
        good = depth < JSON_DEPTH_MAX && read_members(r, v, depth + 1);
    } else if (v->kind == '"') {
        good = read_string(r, v);
    } else {
        good = v->kind == 't'   ? read_word(r, "true")
               : v->kind == 'f' ? read_word(r, "false")
               : v->kind == 'n' ? read_word(r, "null")
                                : read_number(r);
    }
    v->text = (struct text){start, (size_t)(r->p - start)};
    skip_blanks(r);
    if (good)
        return v;
    plain_free(v);
    return NULL;
}

struct plain *
plain_read(struct text s)
{
    struct reader r = {s.p, s.p + s.n};
    struct plain *v = read_value(&r, 0);

    if (!v || r.p == r.end)
        return v;
    plain_free(v);
    return NULL;
}

void
plain_free(struct plain *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < v->n; i++) {
        plain_free(v->names[i]);
        plain_free(v->values[i]);
    }
    mem_free((char *)v->bytes.p);
    mem_free(v->names);
    mem_free(v->values);
    mem_free(v);
}

/* ---- what it says ---- */

void
plain_write(const struct plain *v, struct buf *out)
{
    if (v->kind != '{' && v->kind != '[') {
        buf_text(out, v->text);
        return;
    }
    buf_byte(out, v->kind);
    for (size_t i = 0; i < v->n; i++) {
        if (i > 0)
            buf_byte(out, ',');
        if (v->kind == '{') {
            buf_text(out, v->names[i]->text);
            buf_byte(out, ':');
        }
        plain_write(v->values[i], out);
    }
    buf_byte(out, v->kind == '{' ? '}' : ']');
}

static const struct plain *
get_name(const struct plain *v, struct text name)
{
    char index[32];
    const struct plain *found = NULL;

    for (size_t i = 0; i < v->n; i++) {
        snprintf(index, sizeof index, "%zu", i);
        if (v->kind == '[' ? text_equal(name, text_of(index))
                           : !v->names[i]->lone && text_equal(v->names[i]->bytes, name))
            found = v->values[i];
    }
    return found;
}

const struct plain *
plain_member(const struct plain *v, const char *name)
{
    return v->kind == '{' ? get_name(v, text_of(name)) : NULL;
}

const struct plain *
plain_get(const struct plain *v, struct text pointer)
{
    while (v && pointer.n > 0) {
        struct buf name;
        size_t n = 1;

        buf_init(&name, OUT_MAX);
        for (; n < pointer.n && pointer.p[n] != '/'; n++) {
            char c = pointer.p[n];

            if (c == '~')
                c = pointer.p[++n] == '0' ? '~' : '/';
            buf_byte(&name, c);
        }
        v = get_name(v, buf_view(&name));
        buf_finish(&name);
        pointer = (struct text){pointer.p + n, pointer.n - n};
    }
    return v;
}

bool
plain_is_name(const struct plain *v, struct text name)
{
    if (!v)
        return !name.p;
    if (v->kind == '"')
        return !v->lone && text_equal(v->bytes, name);
    return strchr("0tf", v->kind) && text_equal(v->text, name);
}

bool
plain_is_data(const struct plain *v, struct text data)
{
    struct buf b;
    bool same;

    if (!v || v->kind == '"')
        return v ? !v->lone && text_equal(v->bytes, data) : !data.p;
    buf_init(&b, OUT_MAX);
    plain_write(v, &b);
    same = text_equal(buf_view(&b), data);
    buf_finish(&b);
    return same;
}
