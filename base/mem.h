/* mem: every allocation of the project's own code goes through here.
 *
 * That gives one place to make the n-th allocation fail (mem_fail_at), which is how the tests
 * prove that running out of memory loses one operation and never the process. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

/* As malloc, calloc, realloc, free; sizes of 0 give a unique pointer that must be freed. */
void *mem_alloc(size_t size) __attribute__((malloc));
void *mem_zalloc(size_t size) __attribute__((malloc));
void *mem_realloc(void *p, size_t size);
void mem_free(void *p);

/* A NUL-terminated copy of s; the caller frees it. NULL when out of memory. */
char *mem_copy(struct text s);

/* Room for one more element behind the n of an array, whose address `array` is (a `T **`);
 * sizeof(T) is `size`. A full one is moved to twice the room, a new one gets `first` elements, so
 * that adding is amortised O(1). False when out of memory: nothing has changed. */
bool mem_grow(void *array, size_t n, size_t *capacity, size_t size, size_t first);

/* The n-th allocation from now on (n >= 1) fails, once; 0 switches it off. For tests. */
void mem_fail_at(long n);

/* How many allocations were made since the last mem_fail_at(). For tests. */
long mem_count(void);

#endif
