/* Query strings: what a client asks for, with what the web server lets it read.
 *
 * Input: a byte for the kind of answer, then query string, Last-Event-ID, FRESHET_TOPICS (absent
 * when it begins with '!') and a text for a link, separated by NUL, which none of them can have. */
#include <stdlib.h>

#include "base/mem.h"
#include "http/form.h"
#include "http/grants.h"
#include "http/query.h"
#include "stream/topic.h"
#include "tests/fuzz/fuzz.h"
#include "stream/dialect.h"

static const struct dialect dialect = {DIALECT_PLAIN, "k3f9"};

const char fuzz_name[] = "query";

enum { OUT_MAX = 1024 * 1024, TOPICS_MAX = 20 };

static const char epoch[] = "k3f9";

/* ---- %-escapes ---- */

static int
hex(unsigned char c)
{
    const char *digits = "0123456789abcdef", *at;

    c = c >= 'A' && c <= 'F' ? (unsigned char)(c + 32) : c;
    at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

static bool
decode(struct text s, bool plus_is_blank, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        int c = (unsigned char)s.p[i];

        if (c == '%') {
            if (s.n - i < 3 || hex((unsigned char)s.p[i + 1]) < 0 ||
                hex((unsigned char)s.p[i + 2]) < 0)
                return false;
            c = hex((unsigned char)s.p[i + 1]) * 16 + hex((unsigned char)s.p[i + 2]);
            i += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        if (c == 0)
            return false;
        buf_byte(out, (char)c);
    }
    return true;
}

static void
check_decode(struct text s, bool plus_is_blank)
{
    struct text exact = fuzz_copy(s);
    struct buf should;
    char *is;
    size_t n;
    enum err err = form_decode(exact, plus_is_blank, &is, &n, NULL);
    bool good;

    buf_init(&should, OUT_MAX);
    good = decode(s, plus_is_blank, &should);
    FUZZ_CHECK(err == (good ? ERR_OK : ERR_INVALID), "\"%.*s\"", (int)s.n, s.p);
    FUZZ_CHECK(!good || text_equal((struct text){is, n}, buf_view(&should)), "\"%.*s\" is \"%s\"",
               (int)s.n, s.p, is);
    mem_free(is);
    fuzz_free(exact);
    buf_finish(&should);
}

/* ---- what is asked for ---- */

/* True when the pattern list (none = all) has one that matches. */
static bool
any_matches(const struct text *patterns, size_t n, struct text topic)
{
    for (size_t i = 0; i < n; i++)
        if (topic_matches(patterns[i], topic))
            return true;
    return false;
}

/* The topics asked for, read once more, without grants. */
struct wish {
    struct text topics[TOPICS_MAX];
    size_t n;
};

static void
read_wish(struct text query_string, struct wish *w)
{
    struct text name, raw;

    w->n = 0;
    while (form_next(&query_string, &name, &raw)) {
        char *value;
        size_t n;

        if (!text_equal(name, TEXT_LIT("topic")) || w->n == TOPICS_MAX ||
            form_decode(raw, true, &value, &n, NULL) != ERR_OK)
            continue;
        w->topics[w->n++] = (struct text){value, n};
    }
}

static void
finish_wish(struct wish *w)
{
    for (size_t i = 0; i < w->n; i++)
        mem_free((char *)w->topics[i].p);
}

static void
check_topic(const struct query *q, const struct wish *w, const struct grants *granted,
            struct text topic)
{
    bool wanted = w->n == 0 || any_matches(w->topics, w->n, topic);
    bool allowed = !granted || grants_cover(granted, topic);
    bool matches = subscription_matches(&q->what, &(struct label){topic, TEXT_NONE});

    if (q->what.n_types > 0)
        matches = q->what.n_topics == 0 || any_matches(q->what.topics, q->what.n_topics, topic);
    FUZZ_CHECK(matches == (wanted && allowed), "topic \"%.*s\": wanted %d, allowed %d, got %d",
               (int)topic.n, topic.p, wanted, allowed, matches);
}

/* Topics where it matters: each pattern that was named, its prefix, and a little more. */
static void
check_near(const struct query *q, const struct wish *w, const struct grants *granted,
           struct text pattern)
{
    struct buf longer;
    struct text prefix = pattern;

    topic_is_prefix(pattern, &prefix);
    buf_init(&longer, OUT_MAX);
    buf_text(&longer, prefix);
    buf_byte(&longer, 'x');
    check_topic(q, w, granted, pattern);
    check_topic(q, w, granted, prefix);
    check_topic(q, w, granted, buf_view(&longer));
    if (prefix.n > 0)
        check_topic(q, w, granted, (struct text){prefix.p, prefix.n - 1});
    buf_finish(&longer);
}

/* A client reads what it asked for as far as it may, neither more nor less. */
static void
check_narrowed(const struct query *q, struct text query_string, const struct grants *granted)
{
    struct wish wish;

    read_wish(query_string, &wish);
    for (size_t i = 0; i < wish.n; i++)
        check_near(q, &wish, granted, wish.topics[i]);
    for (size_t i = 0; granted && i < granted->list.n_topics; i++)
        check_near(q, &wish, granted, granted->list.topics[i]);
    check_topic(q, &wish, granted, TEXT_LIT("news/sport"));
    finish_wish(&wish);
}

/* The key is a query string that asks for the same. */
static void
check_key(const struct query *q, const struct query_limits *limits)
{
    struct query_limits free_limits = {.topics_max = SIZE_MAX,
                                       .where_max = SIZE_MAX,
                                       .dialect = &dialect,
                                       .now_ms = limits->now_ms,
                                       .kind = QUERY_STREAM};
    struct query again;
    struct errbuf eb;
    enum err err = query_parse(text_of(q->what.key), TEXT_NONE, &free_limits, &again, &eb);

    FUZZ_CHECK(err == ERR_OK, "\"%s\": %s", q->what.key, eb.text);
    FUZZ_CHECK(strcmp(again.what.key, q->what.key) == 0, "\"%s\" became \"%s\"", q->what.key,
               again.what.key);
    query_finish(&again);
}

static void
check_start(const struct query *q, struct text header, const struct query_limits *limits)
{
    FUZZ_CHECK((q->start.kind == START_RESET) <= (q->start.reset != CURSOR_EXACT),
               "a reset without reason");
    FUZZ_CHECK(q->start.kind != START_AFTER || q->start.id >= 0, "after %lld",
               (long long)q->start.id);
    FUZZ_CHECK(q->start.kind != START_BEFORE || (limits->kind == QUERY_PAGE && q->start.id >= 1),
               "before %lld", (long long)q->start.id);
    FUZZ_CHECK(q->wait_ms >= 0, "wait %lld", (long long)q->wait_ms);
    FUZZ_CHECK(!q->limit || limits->kind != QUERY_STREAM, "a limit");
    FUZZ_CHECK(!q->topics || limits->kind == QUERY_TOPICS, "topics=");
    if (header.n > 0 && limits->kind == QUERY_STREAM) {
        int64_t id;
        bool exact = cursor_parse(header, epoch, &id) == CURSOR_EXACT;

        FUZZ_CHECK(q->start.kind == (exact ? START_AFTER : START_RESET), "start %d",
                   (int)q->start.kind);
        FUZZ_CHECK(!exact || q->start.id == id, "after %lld", (long long)q->start.id);
        FUZZ_CHECK(text_equal(text_of(q->requested), header), "\"%s\" was requested", q->requested);
    }
}

/* ---- links ---- */

/* As it may stand in a URI: what is encoded already stays so. */
static bool
is_encoded(struct text is, struct text raw)
{
    struct fuzz rest = {is.p, is.n};

    for (size_t i = 0; i < raw.n; i++) {
        unsigned char c = (unsigned char)raw.p[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     (c && strchr("-._~!$&'()*+,;=:@/?%", c));
        unsigned first = fuzz_byte(&rest);

        if (first != (plain ? c : '%'))
            return false;
        if (!plain && (hex((unsigned char)fuzz_byte(&rest)) != c >> 4 ||
                       hex((unsigned char)fuzz_byte(&rest)) != (c & 15)))
            return false;
    }
    return rest.n == 0;
}

/* A link has all parameters but those that say where to begin, and the new one. */
static void
check_link(struct text query_string, const char *name, struct text value)
{
    static const char *const starts[] = {"last_event_id", "lastEventId", "lastEventID", "since",
                                         "last",          "before",      "topics"};
    struct text old = query_string, link, a_name, a_value, b_name, b_value;
    struct buf b;
    char *decoded;
    size_t n;

    buf_init(&b, OUT_MAX);
    query_link(&b, query_string, name, value);
    link = (struct text){b.data + 1, b.length - 1};
    FUZZ_CHECK(b.data[0] == '?' && query_has(link, name), "%.*s", (int)b.length, b.data);
    while (form_next(&old, &a_name, &a_value)) {
        bool start = false;

        for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
            start = start || form_name_is(a_name, starts[i], false);
        if (start)
            continue;
        FUZZ_CHECK(form_next(&link, &b_name, &b_value), "a parameter is missing");
        FUZZ_CHECK(is_encoded(b_name, a_name) && is_encoded(b_value, a_value), "\"%.*s\" changed",
                   (int)a_name.n, a_name.p);
    }
    FUZZ_CHECK(form_next(&link, &b_name, &b_value) && text_equal(b_name, text_of(name)), "no %s",
               name);
    FUZZ_CHECK(form_decode(b_value, true, &decoded, &n, NULL) == ERR_OK &&
                   text_equal((struct text){decoded, n}, value),
               "\"%.*s\" is \"%s\"", (int)value.n, value.p, decoded);
    FUZZ_CHECK(!form_next(&link, &b_name, &b_value), "something follows");
    mem_free(decoded);
    buf_finish(&b);
}

static void
check_event(struct text path_info, struct text script_name)
{
    struct text event = query_event(path_info, script_name);
    struct text endpoint = query_endpoint(path_info, script_name);

    FUZZ_CHECK(!event.p || (event.p == path_info.p + 1 && event.n == path_info.n - 1), "outside");
    FUZZ_CHECK(!event.p || endpoint.p == script_name.p, "both name the same");
}

static void
run(struct text query_string, struct text header, const struct grants *grants, struct text value,
    enum query_kind kind)
{
    struct query_limits limits = {.topics_max = TOPICS_MAX,
                                  .where_max = 20,
                                  .dialect = &dialect,
                                  .grants = grants,
                                  .now_ms = 1763895600000,
                                  .kind = kind};
    struct query q;
    struct errbuf eb = {""};
    enum err err = query_parse(query_string, header, &limits, &q, &eb);

    FUZZ_CHECK(err == ERR_OK || err == ERR_INVALID || (err == ERR_DENIED && grants), "%d",
               (int)err);
    FUZZ_CHECK((err == ERR_OK) == (eb.text[0] == '\0'), "%d \"%s\"", (int)err, eb.text);
    if (err == ERR_OK) {
        check_narrowed(&q, query_string, grants);
        check_key(&q, &limits);
        check_start(&q, header, &limits);
        query_finish(&q);
    }
    check_link(query_string, kind == QUERY_TOPICS ? "topics" : "last_event_id", value);
    check_event(header, value);
    check_event(TEXT_NONE, value);
    check_decode(value, kind == QUERY_STREAM);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct fuzz f = fuzz_begin(bytes, n);
    enum query_kind kind = (enum query_kind)(fuzz_byte(&f) % 4);
    struct text field[4];
    struct grants granted;
    bool limited;

    for (int i = 0; i < 4; i++)
        field[i] = fuzz_copy(fuzz_field(&f, '\0'));
    grants_init(&granted);
    limited = !text_starts(field[2], TEXT_LIT("!"));
    /* What is no list of patterns lets nobody in: such a request has no query. */
    if (!limited || grants_parse(&granted, field[2], NULL) == ERR_OK)
        run(field[0], field[1], limited ? &granted : NULL, field[3], kind);
    grants_finish(&granted);
    for (int i = 0; i < 4; i++)
        fuzz_free(field[i]);
    return 0;
}
