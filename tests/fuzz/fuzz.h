/* fuzz: what the fuzz targets share.
 *
 * A target is one file tests/fuzz/NAME.c with fuzz_name and LLVMFuzzerTestOneInput(). Linked with
 * libFuzzer it is fuzzed; linked with replay.c it runs given files, in `make check`. A target
 * reads its input through struct fuzz, which never runs out: what is missing reads as zeros and
 * empty texts, so that every file is a valid input. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/text.h"

extern const char fuzz_name[];
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Ends the program with the text: the code under test broke a promise. */
#define FUZZ_CHECK(condition, ...)                                                                 \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fuzz_fail(__FILE__, __LINE__, #condition, __VA_ARGS__);                                \
    } while (0)
void fuzz_fail(const char *file, int line, const char *condition, const char *format, ...)
    __attribute__((format(printf, 4, 5), noreturn));

/* What is left of the input. */
struct fuzz {
    const char *p;
    size_t n;
};

struct fuzz fuzz_begin(const uint8_t *bytes, size_t n);
unsigned fuzz_byte(struct fuzz *f);
/* Up to the next byte `end`, which is taken too, or to the end of the input. */
struct text fuzz_field(struct fuzz *f, char end);
struct text fuzz_rest(struct fuzz *f);

/* Numbers that follow from a seed, for what needs no guidance: where a stream is cut in pieces. */
struct fuzz_random {
    uint32_t state;
};
/* 0 .. below - 1; below > 0. */
uint32_t fuzz_random(struct fuzz_random *r, uint32_t below);

/* A copy in memory of exactly that size, so that a sanitizer sees a read beyond it; to be freed
 * with mem_free(). TEXT_NONE stays what it is. */
struct text fuzz_copy(struct text s);
void fuzz_free(struct text s);

/* Takes a piece of random length off the front of *rest, in memory of its own; it lives until the
 * next call with the same room. Call with an empty rest to release it. */
struct text fuzz_piece(struct text *rest, struct fuzz_random *r, struct text *room);

#endif
