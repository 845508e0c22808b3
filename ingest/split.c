#include "ingest/split.h"

#include <assert.h>
#include <string.h>

enum { HOLE_MIN = 4 };

/* JSON may spell data in more bytes than it has: "\n" for one, and members around it. Twice the
 * data and some is more than serious writers need; \u escapes throughout would take six times. */
static size_t
longest_line(enum format format, size_t event_max)
{
    return format == FORMAT_LINES ? event_max : 2 * event_max + 64 * 1024;
}

void
split_init(struct split *s, enum format format, size_t event_max)
{
    *s = (struct split){.format = format, .line = 1};
    s->line_max = longest_line(format, event_max);
    buf_init(&s->input, s->line_max + 2 * SPLIT_READ_BYTES);
    sse_decode_init(&s->sse, longest_line(format, event_max));
}

void
split_finish(struct split *s)
{
    buf_finish(&s->input);
    sse_decode_finish(&s->sse);
}

void
split_restart(struct split *s, int64_t offset, int64_t line)
{
    buf_clear(&s->input);
    s->at = s->scanned = 0;
    s->discarding = s->in_hole = false;
    s->base = offset;
    s->line = line;
    if (offset == 0)
        sse_decode_restart(&s->sse, line);
    else
        sse_decode_resume(&s->sse, line);
}

void
split_skip_holes(struct split *s)
{
    s->skips_holes = true;
}

void
split_skip(struct split *s, int64_t n)
{
    assert(s->at == s->input.length);
    s->base += n;
}

bool
split_is_discarding(const struct split *s)
{
    return s->discarding;
}

char *
split_space(struct split *s, size_t *n)
{
    buf_drop(&s->input, s->at);
    s->base += (int64_t)s->at;
    s->scanned -= s->scanned > s->at ? s->at : s->scanned;
    s->at = 0;
    *n = SPLIT_READ_BYTES;
    return buf_reserve(&s->input, *n);
}

void
split_fill(struct split *s, size_t n)
{
    buf_commit(&s->input, n);
}

static struct text
without_mark(struct text line)
{
    struct text mark = TEXT_LIT("\xef\xbb\xbf");

    return text_starts(line, mark) ? (struct text){line.p + mark.n, line.n - mark.n} : line;
}

/* Takes n bytes of the current line, and its LF when `ended`. */
static void
take(struct split *s, struct split_item *item, enum split_kind kind, size_t n, bool ended)
{
    *item = (struct split_item){.kind = kind, .line = s->line, .data = {s->input.data + s->at, n}};
    if (kind == SPLIT_WHOLE) {
        item->has_cr = n && item->data.p[n - 1] == '\r';
        item->data.n -= item->has_cr;
        if (s->base + (int64_t)s->at == 0)
            item->data = without_mark(item->data);
    }
    s->at += n + ended;
    s->scanned = s->at;
    s->line += ended;
}

static bool
next_line(struct split *s, struct split_item *item)
{
    size_t n = s->input.length - s->at;
    const char *lf = NULL;

    if (n == 0)
        return false;
    if (s->scanned < s->input.length)
        lf = memchr(s->input.data + s->scanned, '\n', s->input.length - s->scanned);
    s->scanned = s->input.length;
    if (lf)
        n = (size_t)(lf - (s->input.data + s->at));
    if (!lf && n <= s->line_max && !s->discarding)
        return false;
    if (lf && (s->discarding || n > s->line_max)) {
        s->discarding = false;
        take(s, item, SPLIT_TOO_LONG, n, true);
    } else if (lf) {
        take(s, item, SPLIT_WHOLE, n, true);
    } else {
        s->discarding = true;
        take(s, item, SPLIT_PIECE, n, false);
    }
    return true;
}

/* Where the next hole can begin at the earliest: after a line end. The decoder, which does not stop
 * at blocks without data, gets what stands before it. */
static size_t
next_candidate(struct split *s)
{
    const char *p = s->input.data;
    size_t at = s->scanned > s->at ? s->scanned : s->at + 1;

    while (at < s->input.length) {
        const char *nul = memchr(p + at, '\0', s->input.length - at);

        at = nul ? (size_t)(nul - p) : s->input.length;
        if (!nul || p[at - 1] == '\n' || p[at - 1] == '\r')
            break;
        at++;
    }
    s->scanned = at;
    return at;
}

static bool
next_message(struct split *s, struct split_item *item)
{
    size_t end = s->skips_holes && s->at < s->input.length ? next_candidate(s) : s->input.length;
    struct text rest = {s->input.data + s->at, end - s->at};
    struct sse_message m;
    bool found = rest.n > 0 && sse_decode_next(&s->sse, &rest, &m);

    s->at = end - rest.n;
    if (found)
        *item = (struct split_item){.kind = m.broken ? SPLIT_TOO_LONG : SPLIT_WHOLE,
                                    .data = m.data,
                                    .type = m.type,
                                    .id = m.id,
                                    .line = m.line};
    return found;
}

/* How many NUL bytes of a hole come next. What is not taken begins with a line, unless that is too
 * long. *more: too few to know yet whether they are one; a few are not a hole but a line in another
 * encoding, such as UTF-16. */
static size_t
hole_length(struct split *s, bool *more)
{
    size_t n = 0, rest = s->input.length - s->at;

    *more = false;
    if (!s->skips_holes || s->discarding ||
        (s->format == FORMAT_SSE && !sse_decode_between(&s->sse)))
        return 0;
    while (n < rest && s->input.data[s->at + n] == '\0')
        n++;
    if (n == rest)
        *more = n > 0 && n < HOLE_MIN && !s->in_hole;
    else if (n < HOLE_MIN && !s->in_hole)
        n = 0;
    s->in_hole = n == rest && (s->in_hole || n >= HOLE_MIN);
    return *more ? 0 : n;
}

bool
split_next(struct split *s, struct split_item *item)
{
    do {
        bool more;
        size_t hole = hole_length(s, &more);

        if (more)
            return false;
        if (hole) {
            take(s, item, SPLIT_HOLE, hole, false);
            item->line = split_line(s);
            return true;
        }
        if (s->format != FORMAT_SSE)
            return next_line(s, item);
        if (next_message(s, item))
            return true;
    } while (s->at < s->input.length);
    return false;
}

bool
split_last(struct split *s, struct split_item *item)
{
    size_t n = s->input.length - s->at;

    if (s->format == FORMAT_SSE || (n == 0 && !s->discarding))
        return false;
    take(s, item, s->discarding ? SPLIT_TOO_LONG : SPLIT_WHOLE, n, false);
    s->discarding = false;
    item->open = true;
    return true;
}

int64_t
split_offset(const struct split *s)
{
    return s->base + (int64_t)s->at;
}

int64_t
split_line(const struct split *s)
{
    return s->format == FORMAT_SSE ? sse_decode_line(&s->sse) : s->line;
}
