#include "ingest/bookmark.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

void
bookmark_finish(struct bookmark *p)
{
    mem_free(p->id);
    *p = (struct bookmark){0};
}

static void
write_mark(struct buf *out, const struct mark *m)
{
    buf_format(out,
               "\"offset\":%" PRId64 ",\"line\":%" PRId64 ",\"device\":%" PRIu64
               ",\"inode\":%" PRIu64 ",\"print\":\"%016" PRIx64 "\"",
               m->offset, m->line, m->device, m->inode, m->print);
}

void
bookmark_write(struct buf *out, const struct bookmark *p, struct text id)
{
    buf_byte(out, '{');
    if (p->in_file)
        write_mark(out, &p->at);
    for (size_t i = 0; i < p->n_behind; i++) {
        buf_string(out, i ? ",{" : ",\"behind\":[{");
        write_mark(out, &p->behind[i]);
        buf_byte(out, '}');
    }
    if (p->n_behind)
        buf_byte(out, ']');
    if (id.n) {
        buf_string(out, p->in_file ? ",\"id\":" : "\"id\":");
        buf_json(out, id);
    }
    buf_byte(out, '}');
}

static bool
read_number(struct json_object *object, const char *name, uint64_t *value)
{
    struct json_object *member = json_object_object_get(object, name);

    *value = json_object_get_uint64(member);
    return json_object_is_type(member, json_type_int) && json_object_get_int64(member) >= 0;
}

static bool
read_mark(struct mark *m, struct json_object *object)
{
    const char *print = json_object_get_string(json_object_object_get(object, "print"));
    uint64_t offset, line;

    if (!print || !read_number(object, "offset", &offset) || !read_number(object, "line", &line) ||
        !read_number(object, "device", &m->device) || !read_number(object, "inode", &m->inode))
        return false;
    m->offset = (int64_t)offset;
    m->line = (int64_t)line;
    m->print = strtoull(print, NULL, 16);
    return m->offset >= 0;
}

static bool
read_behind(struct bookmark *p, struct json_object *list)
{
    size_t n = list ? json_object_array_length(list) : 0;

    for (size_t i = 0; i < n; i++) {
        struct json_object *object = json_object_array_get_idx(list, i);

        if (i == BOOKMARK_BEHIND_MAX || !json_object_is_type(object, json_type_object) ||
            !read_mark(&p->behind[i], object))
            return false;
        p->n_behind = i + 1;
    }
    return true;
}

static bool
read_members(struct bookmark *p, struct json_object *object)
{
    struct json_object *id = json_object_object_get(object, "id");
    struct json_object *behind = json_object_object_get(object, "behind");

    if (id && !(p->id = mem_copy((struct text){json_object_get_string(id),
                                               (size_t)json_object_get_string_len(id)})))
        return false;
    if (!json_object_object_get_ex(object, "offset", NULL))
        return true;
    p->in_file = true;
    return read_mark(&p->at, object) && (!behind || json_object_is_type(behind, json_type_array)) &&
           read_behind(p, behind);
}

enum err
bookmark_read(struct bookmark *p, const char *text, struct errbuf *eb)
{
    struct json_object *object = json_tokener_parse(text);
    bool good;

    *p = (struct bookmark){0};
    good = json_object_is_type(object, json_type_object) && read_members(p, object);
    json_object_put(object);
    if (good)
        return ERR_OK;
    bookmark_finish(p);
    return err_set(eb, ERR_CORRUPT, "the stored position is not one: %.200s", text);
}
