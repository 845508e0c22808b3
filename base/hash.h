/* hash: uthash, taking its memory from base/mem.h and not ending the process when there is none.
 *
 * Include this and never <uthash.h>. HASH_ADD… of an element that could not be added leaves the
 * element's handle with tbl == NULL: always look. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#ifdef UTHASH_H
#error "<uthash.h> was included before base/hash.h"
#endif

#include "base/mem.h"

#define HASH_NONFATAL_OOM 1
#define uthash_malloc(size) mem_alloc(size)
#define uthash_free(p, size) mem_free(p)

#include <uthash.h>

#endif
