#include "ingest/position.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

void
position_finish(struct position *p)
{
    mem_free(p->id);
    *p = (struct position){0};
}

void
position_write(struct buf *out, const struct position *p, struct text id)
{
    buf_byte(out, '{');
    if (p->in_file)
        buf_format(out,
                   "\"offset\":%" PRId64 ",\"line\":%" PRId64 ",\"device\":%" PRIu64
                   ",\"inode\":%" PRIu64 ",\"print\":\"%016" PRIx64 "\"",
                   p->offset, p->line, p->device, p->inode, p->print);
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
    return json_object_is_type(member, json_type_int);
}

static bool
read_members(struct position *p, struct json_object *object)
{
    struct json_object *id = json_object_object_get(object, "id");
    const char *print = json_object_get_string(json_object_object_get(object, "print"));
    uint64_t offset, line;

    if (id && !(p->id = mem_copy((struct text){json_object_get_string(id),
                                               (size_t)json_object_get_string_len(id)})))
        return false;
    if (!json_object_object_get_ex(object, "offset", NULL))
        return true;
    p->in_file = true;
    if (!print || !read_number(object, "offset", &offset) || !read_number(object, "line", &line) ||
        !read_number(object, "device", &p->device) || !read_number(object, "inode", &p->inode))
        return false;
    p->offset = (int64_t)offset;
    p->line = (int64_t)line;
    p->print = strtoull(print, NULL, 16);
    return p->offset >= 0;
}

enum err
position_read(struct position *p, const char *text, struct errbuf *eb)
{
    struct json_object *object = json_tokener_parse(text);
    bool good;

    *p = (struct position){0};
    good = json_object_is_type(object, json_type_object) && read_members(p, object);
    json_object_put(object);
    if (good)
        return ERR_OK;
    position_finish(p);
    return err_set(eb, ERR_CORRUPT, "the stored position is not one: %.200s", text);
}

/* FNV-1a: this tells files apart, it does not keep anybody out. */
static uint64_t
hash(uint64_t h, const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ bytes[i]) * 0x100000001b3;
    return h;
}

static bool
make_print(int fd, int64_t offset, uint64_t *print)
{
    unsigned char bytes[POSITION_PRINT_SPAN];
    size_t n = offset < POSITION_PRINT_SPAN ? (size_t)offset : POSITION_PRINT_SPAN;
    uint64_t h = 0xcbf29ce484222325;

    if (pread(fd, bytes, n, 0) != (ssize_t)n)
        return false;
    h = hash(h, bytes, n);
    if (pread(fd, bytes, n, (off_t)(offset - (int64_t)n)) != (ssize_t)n)
        return false;
    *print = hash(h, bytes, n);
    return true;
}

bool
position_take(struct position *p, int fd, int64_t offset)
{
    struct stat st;
    uint64_t print;

    if (fstat(fd, &st) != 0 || !make_print(fd, offset, &print))
        return false;
    p->in_file = true;
    p->offset = offset;
    p->device = (uint64_t)st.st_dev;
    p->inode = (uint64_t)st.st_ino;
    p->print = print;
    return true;
}

bool
position_fits(const struct position *p, int fd)
{
    uint64_t print;

    return make_print(fd, p->offset, &print) && print == p->print;
}
