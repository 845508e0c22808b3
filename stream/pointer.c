#include "stream/pointer.h"

#include "base/mem.h"

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

/* Each name takes its '/' for its NUL, so there is room for all of them. */
enum err
pointer_parse(struct pointer *p, struct text source)
{
    size_t used = 0;

    *p = (struct pointer){0};
    if (!is_pointer(source))
        return ERR_INVALID;
    p->names = mem_alloc(source.n);
    if (!p->names)
        return ERR_NOMEM;
    for (size_t i = 0; i < source.n; i++) {
        if (source.p[i] != '/') {
            char c = source.p[i];

            if (c == '~')
                c = (char)(source.p[++i] == '0' ? '~' : '/');
            p->names[used++] = c;
        } else if (p->n++ > 0) {
            p->names[used++] = '\0';
        }
    }
    if (p->n > 0)
        p->names[used] = '\0';
    return ERR_OK;
}

void
pointer_finish(struct pointer *p)
{
    mem_free(p->names);
    *p = (struct pointer){0};
}

static bool
get_element(struct json_object *array, const char *name, struct json_object **value)
{
    long long index;

    if ((name[0] == '0' && name[1] != '\0') || !text_to_int64(text_of(name), &index) ||
        (size_t)index >= json_object_array_length(array))
        return false;
    *value = json_object_array_get_idx(array, (size_t)index);
    return true;
}

bool
pointer_get(const struct pointer *p, struct json_object *tree, struct json_object **value)
{
    const char *name = p->names;

    *value = tree;
    for (size_t i = 0; i < p->n; i++, name += strlen(name) + 1) {
        bool found = false;

        if (json_object_is_type(*value, json_type_object))
            found = json_object_object_get_ex(*value, name, value);
        else if (json_object_is_type(*value, json_type_array))
            found = get_element(*value, name, value);
        if (!found)
            return false;
    }
    return true;
}
