#include "base/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static atomic_long fail_at;
static atomic_long count;

static bool
must_fail(void)
{
    long n = atomic_load_explicit(&fail_at, memory_order_relaxed);

    if (n == 0)
        return false;
    return atomic_fetch_add_explicit(&count, 1, memory_order_relaxed) + 1 == n;
}

void *
mem_alloc(size_t size)
{
    return must_fail() ? NULL : malloc(size ? size : 1);
}

void *
mem_zalloc(size_t size)
{
    return must_fail() ? NULL : calloc(1, size ? size : 1);
}

void *
mem_realloc(void *p, size_t size)
{
    return must_fail() ? NULL : realloc(p, size ? size : 1);
}

void
mem_free(void *p)
{
    free(p);
}

char *
mem_copy(struct text s)
{
    char *copy = mem_alloc(s.n + 1);

    if (copy) {
        if (s.n)
            memcpy(copy, s.p, s.n);
        copy[s.n] = '\0';
    }
    return copy;
}

bool
mem_grow(void *array, size_t n, size_t *capacity, size_t size, size_t first)
{
    size_t more = *capacity ? *capacity * 2 : first;
    void *p;

    if (n < *capacity)
        return true;
    memcpy(&p, array, sizeof p); /* what it points to has another type for each caller */
    p = mem_realloc(p, more * size);
    if (!p)
        return false;
    memcpy(array, &p, sizeof p);
    *capacity = more;
    return true;
}

/* With no failure asked for nothing is counted; LONG_MAX counts without ever failing. */
void
mem_fail_at(long n)
{
    atomic_store(&count, 0);
    atomic_store(&fail_at, n);
}

long
mem_count(void)
{
    return atomic_load(&count);
}
