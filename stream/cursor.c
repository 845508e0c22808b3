#include "stream/cursor.h"

#include <stdio.h>

const char *
cursor_reset_name(enum cursor_reset reason)
{
    switch (reason) {
    case CURSOR_EXACT:
        break;
    case CURSOR_INVALID:
        return "invalid";
    case CURSOR_EPOCH:
        return "epoch";
    case CURSOR_FUTURE:
        return "future";
    case CURSOR_PRUNED:
        return "pruned";
    }
    return "exact";
}

void
cursor_write(struct buf *out, int64_t id, const char *epoch)
{
    buf_int(out, id);
    buf_byte(out, '-');
    buf_string(out, epoch);
}

const char *
cursor_text(char text[CURSOR_SIZE], int64_t id, const char *epoch)
{
    snprintf(text, CURSOR_SIZE, "%lld-%s", (long long)id, epoch);
    return text;
}

enum cursor_reset
cursor_parse(struct text s, const char *epoch, int64_t *id)
{
    struct text given = s, digits;
    bool has_epoch = text_cut(&given, '-', &digits);
    long long value;

    if (!text_to_int64(digits, &value))
        return CURSOR_INVALID;
    for (size_t i = 0; i < given.n; i++)
        if (!((given.p[i] >= '0' && given.p[i] <= '9') || (given.p[i] >= 'a' && given.p[i] <= 'z')))
            return CURSOR_INVALID;
    if (has_epoch && given.n == 0)
        return CURSOR_INVALID;
    if (has_epoch && !text_equal(given, text_of(epoch)))
        return CURSOR_EPOCH;
    *id = value;
    return CURSOR_EXACT;
}

/* Takes exactly n digits off the front of *s. */
static bool
take_number(struct text *s, size_t n, int low, int high, int *value)
{
    *value = 0;
    if (s->n < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9')
            return false;
        *value = *value * 10 + (s->p[i] - '0');
    }
    *s = (struct text){s->p + n, s->n - n};
    return *value >= low && *value <= high;
}

static bool
take_char(struct text *s, const char *any_of)
{
    if (s->n == 0 || s->p[0] == '\0' || !strchr(any_of, s->p[0]))
        return false;
    *s = (struct text){s->p + 1, s->n - 1};
    return true;
}

static bool
take_fraction(struct text *s, int *ms)
{
    int scale = 100;

    if (s->n == 0 || s->p[0] < '0' || s->p[0] > '9')
        return false;
    for (; s->n && s->p[0] >= '0' && s->p[0] <= '9'; scale /= 10) {
        *ms += (s->p[0] - '0') * scale;
        *s = (struct text){s->p + 1, s->n - 1};
    }
    return true;
}

static bool
take_zone(struct text *s, int *offset_min)
{
    int hours, minutes = 0, sign;

    if (s->n == 0 || take_char(s, "Zz"))
        return true;
    sign = s->p[0] == '-' ? -1 : 1;
    if (!take_char(s, "+- ") || !take_number(s, 2, 0, 23, &hours))
        return false;
    if ((take_char(s, ":") || s->n > 0) && !take_number(s, 2, 0, 59, &minutes))
        return false;
    *offset_min = sign * (hours * 60 + minutes);
    return true;
}

/* Since 1970-01-01; -1 when there is no such day. */
static int64_t
days_of(int year, int month, int day)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    int before = year - 1; /* the last whole year; it counts the leap days so far */
    int64_t days = (year - 1970) * 365 + before / 4 - before / 100 + before / 400 - 477;

    for (int m = 1; m < month; m++)
        days += lengths[m - 1] + (m == 2 && leap);
    return day <= lengths[month - 1] + (month == 2 && leap) ? days + day - 1 : -1;
}

bool
cursor_parse_time(struct text s, int64_t *ms)
{
    int64_t days;
    int year, month, day, hour = 0, minute = 0, second = 0, fraction = 0, offset_min = 0;

    if (!take_number(&s, 4, 1970, 9999, &year) || !take_char(&s, "-") ||
        !take_number(&s, 2, 1, 12, &month) || !take_char(&s, "-") ||
        !take_number(&s, 2, 1, 31, &day))
        return false;
    if (take_char(&s, "Tt ")) {
        if (!take_number(&s, 2, 0, 23, &hour) || !take_char(&s, ":") ||
            !take_number(&s, 2, 0, 59, &minute))
            return false;
        if (take_char(&s, ":") && (!take_number(&s, 2, 0, 60, &second) ||
                                   (take_char(&s, ".") && !take_fraction(&s, &fraction))))
            return false;
        if (!take_zone(&s, &offset_min))
            return false;
    }
    if (s.n > 0)
        return false;
    days = days_of(year, month, day);
    /* A leap second reaches into the next day. */
    *ms = (((days * 24 + hour) * 60 + minute - offset_min) * 60 + second) * 1000 + fraction;
    return days >= 0;
}
