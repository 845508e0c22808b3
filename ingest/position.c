#include "ingest/position.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

void
position_finish(struct file_position *p)
{
    mem_free(p->id);
    *p = (struct file_position){0};
}

void
position_write(struct buf *out, const struct file_position *p, struct text id)
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
read_members(struct file_position *p, struct json_object *object)
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
position_read(struct file_position *p, const char *text, struct errbuf *eb)
{
    struct json_object *object = json_tokener_parse(text);
    bool good;

    *p = (struct file_position){0};
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

/* ERR_MISSING: the file ends before. */
static enum err
read_all(int fd, unsigned char *to, size_t n, int64_t at)
{
    while (n > 0) {
        ssize_t got = pread(fd, to, n, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? ERR_IO : ERR_MISSING;
        to += got;
        n -= (size_t)got;
        at += got;
    }
    return ERR_OK;
}

static enum err
make_print(int fd, int64_t offset, uint64_t *print)
{
    unsigned char bytes[POSITION_PRINT_SPAN];
    size_t n = offset < POSITION_PRINT_SPAN ? (size_t)offset : POSITION_PRINT_SPAN;
    enum err err = read_all(fd, bytes, n, 0);

    if (err != ERR_OK)
        return err;
    *print = hash(0xcbf29ce484222325, bytes, n);
    err = read_all(fd, bytes, n, offset - (int64_t)n);
    *print = hash(*print, bytes, n);
    return err;
}

enum err
position_take(struct file_position *p, int fd, int64_t offset)
{
    struct stat st;
    uint64_t print;
    enum err err = fstat(fd, &st) == 0 ? make_print(fd, offset, &print) : ERR_IO;

    if (err != ERR_OK)
        return err;
    p->in_file = true;
    p->offset = offset;
    p->device = (uint64_t)st.st_dev;
    p->inode = (uint64_t)st.st_ino;
    p->print = print;
    return ERR_OK;
}

enum err
position_fits(const struct file_position *p, int fd, bool *fits)
{
    uint64_t print;
    enum err err = make_print(fd, p->offset, &print);

    *fits = err == ERR_OK && print == p->print;
    return err == ERR_MISSING ? ERR_OK : err;
}
