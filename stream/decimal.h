/* decimal: numbers as JSON writes them, compared as what they are.
 *
 * Nothing is converted: 9007199254740993 is greater than 9007199254740992, 1e400 less than 1e401,
 * and 1, 1.0 and 10e-1 are equal, whatever the length of digits and exponents. Comparing is linear
 * in the length of the texts: no exponent is carried out. */
#ifndef STREAM_DECIMAL_H
#define STREAM_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

/* sign × 0.DIGITS × 10^(exponent + shift), where DIGITS begin with one that is not 0. */
struct decimal {
    /* private */
    int sign; /* -1, 0, 1 */
    int exponent_sign;
    struct text digits;   /* with the point, if it is among them */
    struct text exponent; /* as it is written, without its sign */
    int64_t shift;
};

/* A view: valid as long as the number's text, which must be a JSON number. */
struct decimal decimal_of(struct text number);

/* Less than, equal to or greater than 0, as a is to b. */
int decimal_compare(const struct decimal *a, const struct decimal *b);

#endif
