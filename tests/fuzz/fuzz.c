#include "tests/fuzz/fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

void
fuzz_fail(const char *file, int line, const char *condition, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

struct fuzz
fuzz_begin(const uint8_t *bytes, size_t n)
{
    return (struct fuzz){(const char *)bytes, n};
}

unsigned
fuzz_byte(struct fuzz *f)
{
    if (f->n == 0)
        return 0;
    f->n--;
    return (unsigned char)*f->p++;
}

struct text
fuzz_field(struct fuzz *f, char end)
{
    const char *at = f->n ? memchr(f->p, end, f->n) : NULL;
    struct text field = {f->n ? f->p : "", at ? (size_t)(at - f->p) : f->n};
    size_t used = field.n + (at ? 1 : 0);

    f->p += used;
    f->n -= used;
    return field;
}

struct text
fuzz_rest(struct fuzz *f)
{
    struct text rest = {f->n ? f->p : "", f->n};

    f->n = 0;
    return rest;
}

/* xorshift32, which must not be at 0. */
uint32_t
fuzz_random(struct fuzz_random *r, uint32_t below)
{
    if (r->state == 0)
        r->state = 0x9e3779b9;
    r->state ^= r->state << 13;
    r->state ^= r->state >> 17;
    r->state ^= r->state << 5;
    return r->state % below;
}

struct text
fuzz_copy(struct text s)
{
    char *copy;

    if (!s.p)
        return TEXT_NONE;
    copy = mem_alloc(s.n);
    if (!copy)
        abort();
    if (s.n)
        memcpy(copy, s.p, s.n);
    return (struct text){copy, s.n};
}

void
fuzz_free(struct text s)
{
    mem_free((char *)s.p);
}

struct text
fuzz_piece(struct text *rest, struct fuzz_random *r, struct text *room)
{
    static const uint32_t longest[] = {1, 3, 17, 300, 100000};
    uint32_t most = longest[fuzz_random(r, sizeof longest / sizeof *longest)];
    size_t n = 1 + fuzz_random(r, most) + rest->n / 256; /* a long text is not a piece per byte */

    fuzz_free(*room);
    *room = TEXT_NONE;
    if (rest->n == 0)
        return TEXT_NONE;
    if (n > rest->n)
        n = rest->n;
    *room = fuzz_copy((struct text){rest->p, n});
    *rest = (struct text){rest->p + n, rest->n - n};
    return *room;
}
