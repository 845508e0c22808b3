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

bool
pointer_name(const struct pointer *p, size_t i, struct text *name)
{
    if (i >= p->n)
        return false;
    *name = p->names[i].name;
    return true;
}

/* An array or object into which the names before have led. */
struct level {
    struct json_walk walk;
    size_t index; /* of the next element */
};

static bool
is_container(enum json_kind kind)
{
    return kind == JSON_OBJECT || kind == JSON_ARRAY;
}

/* Levels are entered only inside each other, so there are no more than JSON_DEPTH_MAX, as in any
 * text that has been checked. */
bool
pointer_get(const struct pointer *p, struct text value, struct text *found)
{
    struct level levels[JSON_DEPTH_MAX];
    size_t n = 0;

    *found = p->n == 0 ? value : TEXT_NONE;
    if (p->n > 0 && is_container(json_kind(value)))
        json_walk(&levels[n++].walk, value);
    levels[0].index = 0;
    while (n > 0) {
        struct level *l = &levels[n - 1];
        const struct pointer_name *wanted = &p->names[n - 1];
        struct text name;

        if (!json_step(&l->walk, &name)) {
            if (--n > 0)
                json_out(&levels[n - 1].walk, &l->walk);
        } else if (!(name.p ? json_string_is(name, wanted->name) : l->index++ == wanted->index)) {
            json_pass(&l->walk);
        } else if (n < p->n && is_container(json_here(&l->walk))) {
            *found = TEXT_NONE;
            json_into(&l->walk, &levels[n].walk);
            levels[n++].index = 0;
        } else {
            struct text there = json_pass(&l->walk);

            *found = n == p->n ? there : TEXT_NONE;
        }
    }
    return found->p;
}
