#include "stream/decimal.h"

struct decimal
decimal_of(struct text number)
{
    struct decimal d = {.sign = 1, .exponent_sign = 1};
    const char *p = number.p, *end = p + number.n, *digits;
    bool fraction = false;

    if (*p == '-') {
        d.sign = -1;
        p++;
    }
    /* Zeros in front of the first other digit: each one behind the point takes off one. */
    for (; p < end && (*p == '0' || *p == '.'); p++) {
        d.shift -= fraction;
        fraction = fraction || *p == '.';
    }
    for (digits = p; p < end && *p != 'e' && *p != 'E'; p++) {
        d.shift += !fraction && *p != '.';
        fraction = fraction || *p == '.';
    }
    d.digits = (struct text){digits, (size_t)(p - digits)};
    if (d.digits.n == 0)
        d.sign = 0;
    if (p < end && ++p < end && (*p == '+' || *p == '-'))
        d.exponent_sign = *p++ == '-' ? -1 : 1;
    d.exponent = (struct text){p, (size_t)(end - p)};
    return d;
}

/* The digit whose weight is 10^place; 0 beyond the front. */
static int
digit_at(struct text s, size_t place)
{
    return place < s.n ? s.p[s.n - 1 - place] - '0' : 0;
}

/* a's exponent minus b's, digit by digit from the front. Once the difference is this big, no digit
 * that follows brings it back, so it may stay there: it is more than any text is long. */
static int64_t
exponent_difference(const struct decimal *a, const struct decimal *b)
{
    const int64_t big = INT64_MAX / 100;
    size_t place = a->exponent.n > b->exponent.n ? a->exponent.n : b->exponent.n;
    int64_t difference = 0;

    while (place-- > 0 && difference < big && difference > -big)
        difference = difference * 10 + a->exponent_sign * digit_at(a->exponent, place) -
                     b->exponent_sign * digit_at(b->exponent, place);
    return difference;
}

/* The next digit, without the point; 0 behind the last one. */
static int
next_digit(struct text *s)
{
    if (s->n > 0 && s->p[0] == '.')
        *s = (struct text){s->p + 1, s->n - 1};
    if (s->n == 0)
        return 0;
    *s = (struct text){s->p + 1, s->n - 1};
    return s->p[-1] - '0';
}

static int
compare_digits(struct text a, struct text b)
{
    while (a.n > 0 || b.n > 0) {
        int difference = next_digit(&a) - next_digit(&b);

        if (difference != 0)
            return difference;
    }
    return 0;
}

int
decimal_compare(const struct decimal *a, const struct decimal *b)
{
    int64_t magnitude;

    if (a->sign != b->sign)
        return a->sign - b->sign;
    magnitude = exponent_difference(a, b) + a->shift - b->shift;
    if (magnitude == 0)
        return a->sign * compare_digits(a->digits, b->digits);
    return magnitude > 0 ? a->sign : -a->sign;
}
