#include "ingest/rotation.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

/* From this many digits on a number is a date (or a time), not a count. */
enum { DATE_DIGITS = 6 };

static const char *const packings[] = {".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z"};

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t
count_digits(struct text s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += is_digit(s.p[i]);
    return n;
}

/* A count or a date: what begins with a separator and has nothing but digits, separators, and the
 * T and Z of ISO 8601. */
static bool
is_suffix(struct text s)
{
    if (s.n < 2 || !strchr(".-_", s.p[0]) || !count_digits(s))
        return false;
    for (size_t i = 1; i < s.n; i++)
        if (!is_digit(s.p[i]) && !strchr(".-_:+TZ", s.p[i]))
            return false;
    return is_digit(s.p[1]);
}

static struct text
unpacked(struct text name, bool *packed)
{
    *packed = false;
    for (size_t i = 0; i < sizeof packings / sizeof *packings; i++) {
        size_t n = strlen(packings[i]);

        if (name.n > n && memcmp(name.p + name.n - n, packings[i], n) == 0) {
            *packed = true;
            return (struct text){name.p, name.n - n};
        }
    }
    return name;
}

/* ".log" of "app.log"; empty when there is none. */
static struct text
extension(struct text file)
{
    for (size_t i = file.n; i-- > 1;)
        if (file.p[i] == '.')
            return (struct text){file.p + i, file.n - i};
    return (struct text){file.p + file.n, 0};
}

struct text
rotation_suffix(struct text file, struct text name, bool *packed)
{
    struct text ext = extension(file), stem = {file.p, file.n - ext.n}, rest;

    name = unpacked(name, packed);
    if (text_starts(name, file)) {
        rest = (struct text){name.p + file.n, name.n - file.n};
        if (is_suffix(rest))
            return rest;
    }
    if (ext.n && name.n > file.n && text_starts(name, stem) &&
        memcmp(name.p + name.n - ext.n, ext.p, ext.n) == 0) {
        rest = (struct text){name.p + stem.n, name.n - file.n};
        if (is_suffix(rest))
            return rest;
    }
    return TEXT_NONE;
}

/* The next number in *s, which moves behind it; -1 = no more. */
static long long
take_number(struct text *s)
{
    struct text digits;
    long long value;

    while (s->n && !is_digit(s->p[0]))
        *s = (struct text){s->p + 1, s->n - 1};
    if (!s->n)
        return -1;
    for (digits = (struct text){s->p, 0}; digits.n < s->n && is_digit(digits.p[digits.n]);)
        digits.n++;
    *s = (struct text){s->p + digits.n, s->n - digits.n};
    return text_to_int64(digits, &value) ? value : INT64_MAX;
}

int
rotation_compare(struct text a, struct text b)
{
    bool date_a = count_digits(a) >= DATE_DIGITS, date_b = count_digits(b) >= DATE_DIGITS;
    long long x, y;

    if (date_a != date_b) /* dates were there before somebody changed to counts, or never meet */
        return date_a ? -1 : 1;
    do {
        x = take_number(&a);
        y = take_number(&b);
    } while (x == y && x >= 0);
    if (x == y)
        return 0;
    return (x < y) == date_a ? -1 : 1;
}

/* path is owned from now on; NULL = out of memory. */
static enum err
add(struct rotation *r, char *path, size_t suffix_at, size_t suffix_n, bool packed)
{
    struct rotated *files = path ? mem_realloc(r->files, (r->n + 1) * sizeof *files) : NULL;

    if (!files) {
        mem_free(path);
        return ERR_NOMEM;
    }
    r->files = files;
    files[r->n++] = (struct rotated){path, packed, suffix_at, suffix_n};
    return ERR_OK;
}

static char *
join(struct text directory, const char *name)
{
    struct buf path;
    char *joined;

    buf_init(&path, SIZE_MAX / 2);
    buf_text(&path, directory);
    buf_string(&path, name);
    joined = buf_take(&path);
    if (!joined)
        buf_finish(&path);
    return joined;
}

/* Splits after the last slash; the directory of a name without one is empty. */
static struct text
directory_of(const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');

    *name = slash ? slash + 1 : path;
    return (struct text){path, (size_t)(*name - path)};
}

static enum err
add_rotated(struct rotation *r, const char *path)
{
    const char *base;
    struct text directory = directory_of(path, &base);
    char *opened = mem_copy(directory.n ? directory : TEXT_LIT("."));
    DIR *dir = opened ? opendir(opened) : NULL;
    enum err err = opened ? ERR_OK : ERR_NOMEM;
    struct dirent *entry;

    mem_free(opened);
    while (err == ERR_OK && dir && (entry = readdir(dir)) != NULL) {
        bool packed;
        struct text suffix = rotation_suffix(text_of(base), text_of(entry->d_name), &packed);

        if (suffix.p)
            err = add(r, join(directory, entry->d_name),
                      directory.n + (size_t)(suffix.p - entry->d_name), suffix.n, packed);
    }
    if (dir)
        closedir(dir);
    return err;
}

static struct text
suffix_of(const struct rotated *f)
{
    return (struct text){f->path + f->suffix_at, f->suffix_n};
}

/* Of the same suffix the compressed one first. */
static int
compare_files(const void *a, const void *b)
{
    const struct rotated *f = a, *g = b;
    int order = rotation_compare(suffix_of(f), suffix_of(g));

    return order ? order : (int)g->packed - (int)f->packed;
}

/* A file that is being compressed is there twice: the readable one counts. */
static void
drop_doubles(struct rotation *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n; i++) {
        if (i + 1 < r->n && r->files[i].packed && !r->files[i + 1].packed &&
            rotation_compare(suffix_of(&r->files[i]), suffix_of(&r->files[i + 1])) == 0)
            mem_free(r->files[i].path);
        else
            r->files[n++] = r->files[i];
    }
    r->n = n;
}

bool
rotation_target(const char *path, char real[PATH_MAX])
{
    char to[PATH_MAX];
    const char *name;
    struct text directory = directory_of(path, &name);
    ssize_t n = readlink(path, to, sizeof to - 1);

    if (n < 0)
        return false;
    if (realpath(path, real))
        return true;
    to[n] = '\0';
    if (to[0] == '/')
        directory.n = 0;
    return snprintf(real, PATH_MAX, "%.*s%s", (int)directory.n, directory.p, to) < PATH_MAX;
}

enum err
rotation_list(struct rotation *r, const char *path, struct errbuf *eb)
{
    char real[PATH_MAX];
    enum err err;

    *r = (struct rotation){0};
    err = add_rotated(r, path);
    if (err == ERR_OK && rotation_target(path, real))
        err = add_rotated(r, real);
    if (err == ERR_OK && r->n) {
        qsort(r->files, r->n, sizeof *r->files, compare_files);
        drop_doubles(r);
    }
    if (err == ERR_OK)
        err = add(r, mem_copy(text_of(path)), 0, 0, false);
    if (err == ERR_OK)
        return ERR_OK;
    rotation_finish(r);
    return err_nomem(eb);
}

void
rotation_finish(struct rotation *r)
{
    for (size_t i = 0; i < r->n; i++)
        mem_free(r->files[i].path);
    mem_free(r->files);
    *r = (struct rotation){0};
}

/* The longest suffix at the end of s; TEXT_NONE = there is none, or nothing else. */
static struct text
trailing_suffix(struct text s)
{
    for (size_t i = 1; i < s.n; i++)
        if (is_suffix((struct text){s.p + i, s.n - i}))
            return (struct text){s.p + i, s.n - i};
    return TEXT_NONE;
}

bool
rotation_original(const char *path, char *to, size_t size)
{
    const char *name;
    struct text directory = directory_of(path, &name), all = text_of(name), suffix, ext;
    bool packed;

    all = unpacked(all, &packed);
    ext = (struct text){all.p + all.n, 0};
    suffix = trailing_suffix(all);
    if (!suffix.p) {
        ext = extension(all);
        suffix = trailing_suffix((struct text){all.p, all.n - ext.n});
    }
    return suffix.p && snprintf(to, size, "%.*s%.*s%.*s", (int)directory.n, directory.p,
                                (int)(suffix.p - all.p), all.p, (int)ext.n, ext.p) < (int)size;
}

/* True when both names are of the same directory. */
static bool
same_directory(struct text a, struct text b)
{
    char x[PATH_MAX], y[PATH_MAX];
    struct stat s, t;

    return snprintf(x, sizeof x, "%.*s.", (int)a.n, a.p) < PATH_MAX &&
           snprintf(y, sizeof y, "%.*s.", (int)b.n, b.p) < PATH_MAX && stat(x, &s) == 0 &&
           stat(y, &t) == 0 && s.st_dev == t.st_dev && s.st_ino == t.st_ino;
}

static bool
is_part(const char *path, const char *other)
{
    const char *base, *name;
    struct text a = directory_of(path, &base), b = directory_of(other, &name);
    bool packed;

    return (strcmp(base, name) == 0 ||
            rotation_suffix(text_of(base), text_of(name), &packed).p != NULL) &&
           same_directory(a, b);
}

bool
rotation_has(const char *path, const char *other)
{
    char real[PATH_MAX];

    return is_part(path, other) || (rotation_target(path, real) && is_part(real, other));
}
