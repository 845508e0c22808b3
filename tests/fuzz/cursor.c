/* Positions in the log and points in time, as clients write them. */
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "base/option.h"
#include "stream/cursor.h"
#include "tests/fuzz/fuzz.h"

const char fuzz_name[] = "cursor";

static const char epoch[] = "k3f9";

/* ---- ids ---- */

static bool
is_epoch(struct text s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!memchr("0123456789abcdefghijklmnopqrstuvwxyz", s.p[i], 36))
            return false;
    return s.n > 0;
}

/* What cursor_parse() must say, by way of unbounded numbers. */
static enum cursor_reset
parse(struct text s, int64_t *id)
{
    unsigned __int128 value = 0;
    size_t n = 0;

    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9' && n < 20)
        value = value * 10 + (unsigned)(s.p[n++] - '0');
    if (n == 0 || n > 19 || value > INT64_MAX)
        return CURSOR_INVALID;
    *id = (int64_t)value;
    if (n == s.n)
        return CURSOR_EXACT;
    if (s.p[n] != '-' || !is_epoch((struct text){s.p + n + 1, s.n - n - 1}))
        return CURSOR_INVALID;
    return text_equal((struct text){s.p + n + 1, s.n - n - 1}, text_of(epoch)) ? CURSOR_EXACT
                                                                               : CURSOR_EPOCH;
}

static void
check_cursor(struct text s)
{
    int64_t id = -1, should = -1, again = -1;
    enum cursor_reset expected = parse(s, &should);
    enum cursor_reset said = cursor_parse(s, epoch, &id);
    struct buf b;

    FUZZ_CHECK(said == expected, "\"%.*s\" is %s, not %s", (int)s.n, s.p, cursor_reset_name(said),
               cursor_reset_name(expected));
    FUZZ_CHECK(said == CURSOR_EXACT ? id == should : id == -1, "id %lld", (long long)id);
    if (said != CURSOR_EXACT)
        return;
    buf_init(&b, 100);
    buf_format(&b, "%lld-%s", (long long)id, epoch);
    FUZZ_CHECK(cursor_parse(buf_view(&b), epoch, &again) == CURSOR_EXACT && again == id,
               "\"%.*s\" became %lld", (int)b.length, b.data, (long long)again);
    buf_finish(&b);
}

/* ---- times ---- */

static void
check_text(const char *text, int64_t ms)
{
    int64_t again = -1;

    FUZZ_CHECK(cursor_parse_time(text_of(text), &again) && again == ms, "%s is %lld, not %lld",
               text, (long long)again, (long long)ms);
}

/* The C library writes the moment down; what is not written is 0. */
#define CHECK_FORMAT(format, tm, ms)                                                               \
    do {                                                                                           \
        char written[64];                                                                          \
                                                                                                   \
        strftime(written, sizeof written, format, tm);                                             \
        check_text(written, ms);                                                                   \
    } while (0)

static void
check_moment(int64_t ms)
{
    const int64_t minute_ms = 60000, day_ms = 86400000;
    time_t seconds = (time_t)(ms / 1000);
    char text[64];
    struct tm tm;
    size_t n;

    gmtime_r(&seconds, &tm);
    n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof text - n, ".%03dZ", (int)(ms % 1000));
    check_text(text, ms);
    CHECK_FORMAT("%Y-%m-%d %H:%M:%S", &tm, ms - ms % 1000);
    CHECK_FORMAT("%Y-%m-%dT%H:%MZ", &tm, ms - ms % minute_ms);
    CHECK_FORMAT("%Y-%m-%d", &tm, ms - ms % day_ms);
    CHECK_FORMAT("%Y-%m-%dt%H:%M+05:30", &tm, ms - ms % minute_ms - (5 * 60 + 30) * minute_ms);
    CHECK_FORMAT("%Y-%m-%dT%H:%M-03", &tm, ms - ms % minute_ms + 3 * 60 * minute_ms);
}

static int
two_digits(const char *p)
{
    return (p[0] - '0') * 10 + p[1] - '0';
}

/* What is understood lies within a day of what its date says, which is one of the calendar. */
static void
check_time(struct text s)
{
    const int64_t day_ms = 86400000;
    int64_t ms, midnight_ms;
    struct tm tm = {0};
    int year, month, day;

    if (!cursor_parse_time(s, &ms))
        return;
    FUZZ_CHECK(s.n >= 10, "\"%.*s\" is a time", (int)s.n, s.p);
    year = two_digits(s.p) * 100 + two_digits(s.p + 2);
    month = two_digits(s.p + 5);
    day = two_digits(s.p + 8);
    tm = (struct tm){.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
    midnight_ms = (int64_t)timegm(&tm) * 1000;
    FUZZ_CHECK(tm.tm_mday == day && tm.tm_mon == month - 1, "\"%.*s\" is no day", (int)s.n, s.p);
    FUZZ_CHECK(ms > midnight_ms - day_ms && ms < midnight_ms + 2 * day_ms, "%lld", (long long)ms);
    if (ms >= 0 && ms < midnight_ms + day_ms)
        check_moment(ms);
}

/* ---- durations ---- */

static void
check_duration(struct text s)
{
    static const struct {
        const char *suffix;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {"", 1000}};
    char *copy = mem_copy(s);
    size_t digits = strspn(copy, "0123456789");
    unsigned __int128 value = 0;
    int64_t ms = 0;
    bool should = false;

    for (size_t i = 0; i < digits && i < 20; i++)
        value = value * 10 + (unsigned)(copy[i] - '0');
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(copy + digits, units[i].suffix) != 0)
            continue;
        should = digits > 0 && digits <= 19 && value <= INT64_MAX;
        value *= (unsigned)units[i].ms;
        break;
    }
    should = should && value <= INT64_MAX;
    FUZZ_CHECK(option_duration(copy, &ms) == should, "\"%s\"", copy);
    FUZZ_CHECK(!should || ms == (int64_t)value, "\"%s\" is %lld", copy, (long long)ms);
    mem_free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct fuzz f = fuzz_begin(bytes, n);
    struct text all = fuzz_copy(fuzz_rest(&f));
    uint64_t number = 0;

    check_cursor(all);
    check_time(all);
    check_duration(all);
    for (size_t i = 0; i < n && i < 8; i++)
        number = number << 8 | bytes[i];
    check_moment((int64_t)(number % 253402300800000)); /* up to the end of the year 9999 */
    fuzz_free(all);
    return 0;
}
