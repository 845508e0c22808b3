#include "config.h"

#include "fcgi/settings.h"

#include <string.h>

#include "http/cors.h"
#include "fcgi/sandbox.h"

static const struct option_row rows[] = {
#define OPTION(...) OPTION_ROW(__VA_ARGS__),
#include "fcgi/options.def"
#undef OPTION
};

const struct option_set settings_options = {
    .program = "freshet-fcgi",
    .usage = "--db FILE [--listen ADDRESS] [options]",
    .summary = "Streams the events of an SQLite table to browsers, as a FastCGI responder.",
    .epilogue = "SIGTERM ends the streams and the program, SIGHUP reads the settings again,\n"
                "SIGUSR1 logs the counters. See freshet-fcgi(8) and freshet-events(7).",
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
};

enum err
settings_public(const struct settings *s, struct grants *g, struct errbuf *eb)
{
    struct errbuf why;
    enum err err;

    grants_init(g);
    err = grants_parse(g, text_of(s->public_topics), &why);
    if (err != ERR_OK)
        grants_finish(g);
    return err == ERR_INVALID ? err_set(eb, err, "--public-topics: %s", why.text)
           : err != ERR_OK    ? err_nomem(eb)
                              : ERR_OK;
}

enum err
settings_check(const struct settings *s, struct errbuf *eb)
{
    struct grants open;
    enum err err;

    if (!s->db)
        return err_set(eb, ERR_INVALID, "--db is missing: name the database with the events");
    if (s->retry_min_ms > s->retry_max_ms)
        return err_set(eb, ERR_INVALID, "--retry-min is above --retry-max");
    if (s->record_bytes > s->turn_bytes)
        return err_set(eb, ERR_INVALID, "--record-bytes is above --turn-bytes");
    if (s->body_max > s->publish_bytes)
        return err_set(eb, ERR_INVALID, "--body-bytes is above --publish-bytes");
    if (s->token_keys.n == 0 && (s->token_cookie || s->token_audience || s->token_issuer))
        return err_set(eb, ERR_INVALID,
                       "--token-cookie, --token-audience and --token-issuer need --token-key");
    err = settings_public(s, &open, eb);
    if (err != ERR_OK)
        return err;
    grants_finish(&open);
    return cors_check_list(s->cors_origin, eb);
}

/* What was handed to a thread, an allocation or a socket at the start. */
static const char *const fixed[] = {
    "db",          "listen",        "socket-mode", "workers",      "request-bytes",   "publish",
    "event-bytes", "publish-queue", "poll",        "window-bytes", "window-events",   "page-bytes",
    "page-rows",   "page-cache",    "feed-bytes",  "token-key",    "token-algorithm", "sandbox",
};

static bool
is_fixed(const char *name)
{
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (strcmp(fixed[i], name) == 0)
            return true;
    return false;
}

static size_t
size_of(enum option_kind kind)
{
    switch (kind) {
    case OPTION_FLAG:
        return sizeof(bool);
    case OPTION_TEXT:
        return sizeof(char *);
    case OPTION_LIST:
        return sizeof(struct option_list);
    case OPTION_COUNT:
    case OPTION_SIZE:
    case OPTION_DURATION:
    case OPTION_CHOICE:
        break;
    }
    return sizeof(int64_t);
}

static bool
same_list(const struct option_list *a, const struct option_list *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->values[i], b->values[i]) != 0)
            return false;
    return true;
}

static bool
same(enum option_kind kind, const void *a, const void *b)
{
    const char *x, *y;

    if (kind == OPTION_LIST)
        return same_list(a, b);
    if (kind != OPTION_TEXT)
        return memcmp(a, b, size_of(kind)) == 0;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x == y || (x && y && strcmp(x, y) == 0);
}

static void
exchange(void *a, void *b, size_t n)
{
    char kept[sizeof(struct option_list)];

    memcpy(kept, a, n);
    memcpy(a, b, n);
    memcpy(b, kept, n);
}

const char *
settings_reload(struct settings *s, struct settings *fresh)
{
    const char *differs = NULL;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct option_row *row = &rows[i];
        char *old = (char *)s + row->offset;
        char *wanted = (char *)fresh + row->offset;

        if (!is_fixed(row->name))
            exchange(old, wanted, size_of(row->kind));
        else if (!differs && !same(row->kind, old, wanted))
            differs = row->name;
    }
    return differs;
}

struct store_step
settings_step(const struct settings *s)
{
    return (struct store_step){(uint32_t)s->scan_rows, (size_t)s->scan_bytes, s->scan_ms * 1000};
}
