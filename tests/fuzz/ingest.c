/* The inputs of freshet-ingest: NDJSON, SSE and lines, from bytes to events.
 *
 * Input: a byte of switches, a seed for the pieces in which the file comes, then the file, in which
 * the byte 0x01 stands for 40,000 bytes, so that lines too long are within reach. */
#include <stdlib.h>

#include "base/mem.h"
#include "ingest/decode.h"
#include "ingest/split.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/plain_json.h"

const char fuzz_name[] = "ingest";

enum { EVENT_MAX = 3000, EXPANDED = 40000, EXPANSIONS_MAX = 2, ITEMS_MAX = 4096 };

/* What came out of one item, to compare two ways of reading: the outcome and all texts. */
struct seen {
    int64_t offset, line; /* after it: where another run would go on */
    int64_t first_line;
    uint64_t hash;
    size_t data_n;
    enum split_kind kind;
};

struct seen_list {
    struct seen *items;
    size_t n;
};

static uint64_t
mix(uint64_t hash, struct text s)
{
    hash = (hash ^ (s.p ? s.n : SIZE_MAX)) * 0x100000001b3;
    for (size_t i = 0; i < s.n;) {
        size_t n = s.n - i < sizeof(uint64_t) ? s.n - i : sizeof(uint64_t);
        uint64_t eight = 0;

        memcpy(&eight, s.p + i, n);
        hash = (hash ^ eight) * 0x100000001b3;
        hash ^= hash >> 29;
        i += n;
    }
    return hash;
}

/* ---- one item ---- */

static const struct plain *
pointed(const struct plain *v, const char *pointer)
{
    return pointer ? plain_get(v, text_of(pointer)) : NULL;
}

static const struct plain *
given(const struct plain *v, const char *name)
{
    const struct plain *member = plain_member(v, name);

    return member && member->kind == 'n' ? NULL : member;
}

static bool
is_name(const struct plain *v, struct text name, const char *otherwise)
{
    return v ? plain_is_name(v, name) : text_equal(name, text_of(otherwise));
}

/* What a second reader finds in a JSON item is what the event has. */
static void
check_json(const struct settings *s, struct text item, const struct event *e)
{
    struct plain *v = plain_read(item);
    bool pointers = settings_have_pointers(s);
    const struct plain *topic, *type, *key, *data;

    FUZZ_CHECK(v, "no JSON");
    data = pointers ? pointed(v, s->data_from) : plain_member(v, "data");
    topic = pointers ? pointed(v, s->topic_from) : data ? given(v, "topic") : NULL;
    type = pointers ? pointed(v, s->type_from) : data ? given(v, "type") : NULL;
    key = pointers ? pointed(v, s->key_from) : data ? given(v, "key") : NULL;
    FUZZ_CHECK(is_name(topic, e->topic, s->topic), "topic %.*s", (int)e->topic.n, e->topic.p);
    if (s->format == FORMAT_NDJSON || type)
        FUZZ_CHECK(is_name(type, e->type, s->type), "type %.*s", (int)e->type.n, e->type.p);
    if (s->format == FORMAT_NDJSON || key)
        FUZZ_CHECK(is_name(key, e->key, NULL), "key %.*s", (int)e->key.n, e->key.p);
    FUZZ_CHECK(data ? plain_is_data(data, e->data) : text_equal(e->data, item), "data %.*s",
               (int)e->data.n, e->data.p);
    plain_free(v);
}

static void
check_event(const struct settings *s, const struct split_item *item, const struct event *e)
{
    FUZZ_CHECK(event_check(e, EVENT_MAX, NULL) == ERR_OK, "a bad event");
    if (s->format == FORMAT_NDJSON || (s->format == FORMAT_SSE && settings_have_pointers(s)))
        check_json(s, item->data, e);
    else
        FUZZ_CHECK(text_equal(e->data, item->data), "the data changed");
    FUZZ_CHECK(!e->key.p || s->key_from || (s->format == FORMAT_SSE && s->key_id) ||
                   s->format == FORMAT_NDJSON,
               "a key from nowhere");
}

static struct seen
decode(struct decode *d, const struct settings *s, const struct split *split,
       const struct split_item *item)
{
    struct seen seen = {.offset = split_offset(split),
                        .line = split_line(split),
                        .first_line = item->line,
                        .data_n = item->data.n,
                        .kind = item->kind};
    struct event e;
    struct errbuf why = {""};
    enum decode_outcome outcome;

    seen.hash = (uint64_t)item->kind;
    if (item->kind != SPLIT_WHOLE)
        return seen; /* how much is left of what was too long depends on the pieces */
    seen.hash = mix(seen.hash, item->data);
    outcome = decode_item(d, item, &e, &why);
    FUZZ_CHECK((outcome == DECODE_REJECT) == (why.text[0] != '\0'), "outcome %d: \"%s\"",
               (int)outcome, why.text);
    if (outcome == DECODE_EVENT)
        check_event(s, item, &e);
    seen.hash = mix(seen.hash + (uint64_t)outcome, outcome == DECODE_EVENT ? e.topic : TEXT_NONE);
    if (outcome == DECODE_EVENT)
        seen.hash = mix(mix(mix(seen.hash, e.type), e.data), e.key);
    return seen;
}

/* ---- a file ---- */

struct run {
    const struct settings *settings;
    struct split split;
    struct decode *decode;
    struct seen_list seen;
};

static void
add(struct run *r, const struct split_item *item)
{
    if (r->seen.n == ITEMS_MAX || item->kind == SPLIT_HOLE)
        return; /* how many items a hole is depends on the pieces */
    r->seen.items[r->seen.n] = decode(r->decode, r->settings, &r->split, item);
    /* The pieces of a line that is too long depend on how it came. */
    r->seen.n += r->seen.items[r->seen.n].kind != SPLIT_PIECE;
}

/* Reads the file from the offset to its end, in pieces of a random size. */
static struct seen_list
read_file(const struct settings *s, struct text file, int64_t offset, int64_t line, uint32_t seed)
{
    struct run r = {.settings = s};
    bool holes = s->follow && memchr(file.p, '\0', file.n);
    struct fuzz_random random = {seed};
    struct text rest = {file.p + offset, file.n - (size_t)offset}, room = TEXT_NONE;
    struct split_item item;

    r.seen.items = mem_alloc(ITEMS_MAX * sizeof *r.seen.items);
    r.decode = decode_create(s);
    split_init(&r.split, (enum format)s->format, (size_t)s->event_max);
    split_restart(&r.split, offset, line);
    if (holes)
        split_skip_holes(&r.split);
    while (rest.n > 0) {
        struct text piece = fuzz_piece(&rest, &random, &room);
        size_t space_n;
        char *space = split_space(&r.split, &space_n);

        FUZZ_CHECK(space && space_n >= SPLIT_READ_BYTES, "no space");
        memcpy(space, piece.p, piece.n);
        split_fill(&r.split, piece.n);
        while (split_next(&r.split, &item))
            add(&r, &item);
    }
    fuzz_free(room);
    if (split_last(&r.split, &item))
        add(&r, &item);
    FUZZ_CHECK(holes || split_offset(&r.split) == (int64_t)file.n, "at %lld of %zu",
               (long long)split_offset(&r.split), file.n);
    split_finish(&r.split);
    decode_destroy(r.decode);
    return r.seen;
}

/* From `first` on, the items of one list are all of the other. Line ends of two bytes may be cut in
 * two by a restart, and then count as two: the lines are compared where there is no CR. */
static void
check_same(const struct seen_list *all, size_t first, const struct seen_list *rest, bool lines)
{
    FUZZ_CHECK(all->n - first == rest->n, "%zu items from the %zuth on, not %zu", rest->n, first,
               all->n - first);
    for (size_t i = 0; i < rest->n; i++) {
        const struct seen *a = &all->items[first + i], *b = &rest->items[i];

        FUZZ_CHECK(a->hash == b->hash, "item %zu", first + i);
        FUZZ_CHECK(a->offset == b->offset, "item %zu ends at %lld and at %lld", first + i,
                   (long long)a->offset, (long long)b->offset);
        FUZZ_CHECK(!lines || (a->line == b->line && a->first_line == b->first_line),
                   "item %zu is in line %lld and %lld", first + i, (long long)a->first_line,
                   (long long)b->first_line);
    }
}

/* The lines of a file, counted and measured in the plainest way. */
static void
check_lines(const struct seen_list *seen, struct text file)
{
    int64_t offset = 0;
    struct fuzz rest = {file.p, file.n};

    for (size_t i = 0; i < seen->n && i < ITEMS_MAX - 1; i++) {
        struct text line = fuzz_field(&rest, '\n');

        offset = (int64_t)(file.n - rest.n);
        FUZZ_CHECK(seen->items[i].offset == offset, "line %zu ends at %lld, not at %lld", i + 1,
                   (long long)seen->items[i].offset, (long long)offset);
        FUZZ_CHECK(seen->items[i].first_line == (int64_t)i + 1, "line %zu has %zu bytes", i + 1,
                   line.n);
        line.n -= line.n > 0 && line.p[line.n - 1] == '\r';
        line.n -= i == 0 && text_starts(line, TEXT_LIT("\xef\xbb\xbf")) ? 3 : 0;
        FUZZ_CHECK(seen->items[i].kind != SPLIT_WHOLE || seen->items[i].data_n == line.n,
                   "line %zu has %zu bytes, not %zu", i + 1, seen->items[i].data_n, line.n);
    }
    FUZZ_CHECK(rest.n == 0 || seen->n == ITEMS_MAX, "%zu bytes make no line", rest.n);
}

/* However the file comes, the same events come out; and a run that ends anywhere is continued by
 * another one as if nothing had happened. */
static void
check_file(const struct settings *s, struct text file, uint32_t seed)
{
    bool lines = !memchr(file.p, '\r', file.n);
    struct seen_list all = read_file(s, file, 0, 1, seed);
    struct seen_list other = read_file(s, file, 0, 1, seed * 31 + 7);
    struct fuzz_random random = {seed};

    check_same(&all, 0, &other, true);
    mem_free(other.items);
    if (s->format != FORMAT_SSE && !(s->follow && memchr(file.p, '\0', file.n)))
        check_lines(&all, file);
    for (int i = 0; i < 2 && all.n > 0 && all.n < ITEMS_MAX; i++) {
        size_t last = fuzz_random(&random, (uint32_t)all.n);

        other = read_file(s, file, all.items[last].offset, all.items[last].line, seed + 1);
        check_same(&all, last + 1, &other, lines || s->format != FORMAT_SSE);
        mem_free(other.items);
    }
    mem_free(all.items);
}

static struct text
expand(struct text s)
{
    struct buf b;
    size_t n = 0;
    struct text file;

    buf_init(&b, SIZE_MAX / 2);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == 1 && n < EXPANSIONS_MAX) {
            memset(buf_reserve(&b, EXPANDED), 'x', EXPANDED);
            buf_commit(&b, EXPANDED);
            n++;
        } else {
            buf_byte(&b, s.p[i]);
        }
    }
    file = fuzz_copy(buf_view(&b));
    buf_finish(&b);
    return file;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct fuzz f = fuzz_begin(bytes, n);
    unsigned switches = fuzz_byte(&f), seed = fuzz_byte(&f);
    struct settings s = {
        .format = switches % 3, .event_max = EVENT_MAX, .follow = seed & 1 ? "file" : NULL};
    struct text file = expand(fuzz_rest(&f));

    if (switches & 4 || s.format == FORMAT_LINES)
        s.topic = "fallback";
    if (switches & 8)
        s.type = "typed";
    if (switches & 16 && s.format != FORMAT_LINES) {
        s.topic_from = "/topic";
        s.type_from = switches & 32 ? "/a/b" : NULL;
        s.key_from = switches & 64 ? "/key/0" : NULL;
        s.data_from = switches & 128 ? "/data" : NULL;
    }
    s.key_id = s.format == FORMAT_SSE && !s.key_from && switches & 32;
    check_file(&s, file, seed);
    fuzz_free(file);
    return 0;
}
