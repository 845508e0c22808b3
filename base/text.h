/* text: a view of bytes that somebody else owns.
 *
 * p == NULL means "absent" (an SQL NULL, a missing parameter); p != NULL with n == 0 is the empty
 * text. A view is not NUL-terminated unless its source says so. It lives as long as its source. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
    const char *p;
    size_t n;
};

#define TEXT_NONE ((struct text){NULL, 0})
#define TEXT_LIT(s) ((struct text){(s), sizeof(s) - 1})

/* A view of a NUL-terminated string; NULL gives TEXT_NONE. */
static inline struct text
text_of(const char *s)
{
    return (struct text){s, s ? strlen(s) : 0};
}

static inline bool
text_equal(struct text a, struct text b)
{
    if (!a.p || !b.p)
        return a.p == b.p;
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool
text_starts(struct text s, struct text prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

/* Byte order, a shorter text before a longer one with the same start. */
int text_compare(struct text a, struct text b);

/* True when the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool text_is_utf8(struct text s);

/* True when there is nothing but spaces, tabs and CRs, as in a line that NDJSON passes over. */
bool text_is_blank(struct text s);

/* s without the bytes of `blanks` at both ends. */
struct text text_trim(struct text s, const char *blanks);

/* s without the LF or CRLF that echo and editors put last. */
struct text text_without_line_end(struct text s);

/* Takes what comes before the first `at` off the front of *rest, and `at` with it. Without one,
 * *part is all of it, *rest is empty behind it, and the answer is false. */
bool text_cut(struct text *rest, char at, struct text *part);

/* A decimal number of 1 to 19 digits, no sign, no blanks, at most INT64_MAX. */
bool text_to_int64(struct text s, long long *value);

/* FNV-1a, 64 bits, of s after what was hashed before; TEXT_HASH_EMPTY to begin with. Not safe where
 * an adversary chooses the texts. */
#define TEXT_HASH_EMPTY 0xcbf29ce484222325
uint64_t text_hash(uint64_t before, struct text s);

#endif
