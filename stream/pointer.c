#include "stream/pointer.h"

#include <stdint.h>

#include "base/json.h"
#include "base/mem.h"

struct pointer_name {
    struct text name;
    size_t index; /* the element of an array that it names; SIZE_MAX = none */
};

static bool
is_pointer(struct text s)
{
    if (s.n > 0 && (s.p[0] != '/' || memchr(s.p, '\0', s.n)))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '~' && (i + 1 == s.n || (s.p[i + 1] != '0' && s.p[i + 1] != '1')))
            return false;
    return true;
}

static size_t
index_of(struct text name)
{
    long long index;

    if ((name.n > 1 && name.p[0] == '0') || !text_to_int64(name, &index))
        return SIZE_MAX;
    return (size_t)index;
}

/* Takes one name and the '/' before it off *source, and writes it to out. */
static struct text
take_name(struct text *source, char *out)
{
    size_t at = 1, n = 0;

    for (; at < source->n && source->p[at] != '/'; at++) {
        char c = source->p[at];

        if (c == '~')
            c = (char)(source->p[++at] == '0' ? '~' : '/');
        out[n++] = c;
    }
    *source = (struct text){source->p + at, source->n - at};
    return (struct text){out, n};
}

enum err
pointer_parse(struct pointer *p, struct text source)
{
    size_t n = 0;
    char *bytes;

    *p = (struct pointer){0};
    if (!is_pointer(source))
        return ERR_INVALID;
    for (size_t i = 0; i < source.n; i++)
        n += source.p[i] == '/';
    p->names = mem_alloc(n * sizeof *p->names + source.n);
    if (!p->names)
        return ERR_NOMEM;
    bytes = (char *)(p->names + n);
    for (; p->n < n; p->n++) {
        struct text name = take_name(&source, bytes);

        p->names[p->n] = (struct pointer_name){name, index_of(name)};
        bytes += name.n;
    }
    return ERR_OK;
}

void
pointer_finish(struct pointer *p)
{
    mem_free(p->names);
    *p = (struct pointer){0};
}

/* The walk is at a value to which the first `level` names lead, and is behind it afterwards.
 * Recursion is bounded, like all depth in a checked text, by JSON_DEPTH_MAX. */
static void
search(const struct pointer *p, size_t level, struct json_walk *at, struct text *found)
{
    const struct pointer_name *wanted = &p->names[level];
    enum json_kind kind = json_here(at);
    struct json_walk inner;
    struct text name;

    if (level == p->n) {
        *found = json_pass(at);
        return;
    }
    if (kind != JSON_OBJECT && kind != JSON_ARRAY) {
        json_pass(at);
        return;
    }
    json_into(at, &inner);
    for (size_t i = 0; json_step(&inner, &name); i++) {
        if (name.p ? json_string_is(name, wanted->name) : i == wanted->index) {
            *found = TEXT_NONE;
            search(p, level + 1, &inner, found);
        } else {
            json_pass(&inner);
        }
    }
    json_out(at, &inner);
}

bool
pointer_get(const struct pointer *p, struct text value, struct text *found)
{
    struct json_walk root = {.p = value.p, .end = value.p + value.n};

    *found = TEXT_NONE;
    search(p, 0, &root, found);
    return found->p;
}

bool
pointer_name(const struct pointer *p, size_t i, struct text *name)
{
    if (i >= p->n)
        return false;
    *name = p->names[i].name;
    return true;
}
