#include "ingest/rotation.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

/* From so many digits on a number is a date (or a time), not a count. */
enum { DATE_DIGITS = 6 };

static size_t
count_digits(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += *s >= '0' && *s <= '9';
    return n;
}

bool
rotation_is_suffix(const char *suffix)
{
    return (suffix[0] == '.' || suffix[0] == '-') &&
           strspn(suffix + 1, "0123456789-") == strlen(suffix + 1) && count_digits(suffix) > 0;
}

int
rotation_compare(const char *a, const char *b)
{
    bool date_a = count_digits(a) >= DATE_DIGITS, date_b = count_digits(b) >= DATE_DIGITS;

    if (date_a != date_b) /* dates were there before somebody changed to counts, or never meet */
        return date_a ? -1 : 1;
    if (date_a)
        return strcmp(a + 1, b + 1);
    return (int)(strtol(b + 1, NULL, 10) - strtol(a + 1, NULL, 10));
}

static enum err
add(struct rotation *r, const char *path, const char *suffix)
{
    char **paths = mem_realloc(r->paths, (r->n + 1) * sizeof *paths);
    struct buf name;

    if (!paths)
        return ERR_NOMEM;
    r->paths = paths;
    buf_init(&name, SIZE_MAX / 2);
    buf_string(&name, path);
    buf_string(&name, suffix);
    paths[r->n] = buf_take(&name);
    if (!paths[r->n]) {
        buf_finish(&name);
        return ERR_NOMEM;
    }
    r->n++;
    return ERR_OK;
}

static int
compare_paths(const void *a, const void *b, void *path)
{
    size_t n = strlen(path);

    return rotation_compare(*(char *const *)a + n, *(char *const *)b + n);
}

static enum err
add_rotated(struct rotation *r, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct text base = text_of(slash ? slash + 1 : path);
    char *directory =
        mem_copy(slash ? (struct text){path, (size_t)(slash - path) + 1} : TEXT_LIT("."));
    DIR *dir = directory ? opendir(directory) : NULL;
    enum err err = directory ? ERR_OK : ERR_NOMEM;
    struct dirent *entry;

    mem_free(directory);
    while (err == ERR_OK && dir && (entry = readdir(dir)) != NULL)
        if (text_starts(text_of(entry->d_name), base) && rotation_is_suffix(entry->d_name + base.n))
            err = add(r, path, entry->d_name + base.n);
    if (dir)
        closedir(dir);
    return err;
}

enum err
rotation_list(struct rotation *r, const char *path, struct errbuf *eb)
{
    enum err err;

    *r = (struct rotation){0};
    err = add_rotated(r, path);
    if (err == ERR_OK && r->n)
        qsort_r(r->paths, r->n, sizeof *r->paths, compare_paths, (void *)path);
    if (err == ERR_OK)
        err = add(r, path, "");
    if (err == ERR_OK)
        return ERR_OK;
    rotation_finish(r);
    return err_set(eb, err, "out of memory");
}

void
rotation_finish(struct rotation *r)
{
    for (size_t i = 0; i < r->n; i++)
        mem_free(r->paths[i]);
    mem_free(r->paths);
    *r = (struct rotation){0};
}
