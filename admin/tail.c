/* freshet tail: follows the table on a terminal, or line by line into another program. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "admin/command.h"
#include "admin/show.h"
#include "admin/wake.h"
#include "base/buf.h"
#include "base/stop.h"
#include "sql/locate.h"
#include "sql/store.h"
#include "stream/dialect.h"
#include "stream/event_json.h"

enum {
    PAGE_ROWS = 1000,
    SCAN_ROWS = 20000,
    OUTPUT_BYTES = 1024 * 1024, /* of one page; a single event may have more */
    POLL_MS = 250,              /* in case nothing announces a commit */
    RETRY_FIRST_MS = 1,         /* after an announcement; doubled up to POLL_MS */
    COLUMNS_STANDARD = 80,
    DATA_COLUMNS_MIN = 20, /* the names before the data leave it this much */
};

struct settings {
    char *db;
    struct option_list topics, types;
    int64_t last;
    bool json, no_follow;
};

static const struct option_row rows[] = {
    OPTION(TEXT, db, "db", NULL, 0, 0, "FILE", "the database"),
    OPTION(LIST, topics, "topic", NULL, 0, 0, "PATTERN",
           "a topic, or a prefix of topics (news/*); may be repeated"),
    OPTION(LIST, types, "type", NULL, 0, 0, "TYPE", "a type of events; may be repeated"),
    OPTION(COUNT, last, "last", "10", 0, UINT32_MAX, "N",
           "begin with the newest N matching events"),
    OPTION(FLAG, json, "json", "off", 0, 0, NULL, "print each event as a JSON object, uncut"),
    OPTION(FLAG, no_follow, "no-follow", "off", 0, 0, NULL, "end after the newest event"),
};

static const struct option_set set = {
    .program = "freshet tail",
    .usage = "--db FILE [--topic PATTERN]... [options]",
    .summary =
        "Prints the newest events, then each new one when it is committed: time, id, topic,\n"
        "type and data; cut to the width on a terminal, otherwise separated by tabs.",
    .epilogue = "Colours are used on a terminal unless NO_COLOR is set.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
};

struct tail {
    const struct settings *settings;
    struct store *store;
    struct dialect dialect;
    struct subscription what;
    struct buf out; /* what a page gave, not written yet */
    struct position at;
    int columns;                     /* of the terminal; 0 = standard output is not one */
    int topic_columns, type_columns; /* the widest so far */
    bool colour;
    bool reader_gone; /* nobody reads standard output any more */
};

/* ---- one event ---- */

static void
find_terminal(struct tail *t)
{
    struct winsize size = {0};

    if (!isatty(STDOUT_FILENO))
        return;
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    t->columns = size.ws_col > 0 ? size.ws_col : COLUMNS_STANDARD;
}

static void
choose_colour(struct tail *t)
{
    const char *terminal = getenv("TERM"), *no_color = getenv("NO_COLOR");

    t->colour = t->columns && !(no_color && *no_color) && terminal && strcmp(terminal, "dumb") != 0;
}

/* A field in colour (an SGR code), padded to `width` columns; returns how many it took. */
static int
field(struct tail *t, const char *sgr, struct text s, int columns_max, int width)
{
    int columns;

    if (t->colour && *sgr)
        buf_format(&t->out, "\033[%sm", sgr);
    columns = show_text(&t->out, s, columns_max);
    if (t->colour && *sgr)
        buf_string(&t->out, "\033[0m");
    for (; columns < width; columns++)
        buf_byte(&t->out, ' ');
    return columns;
}

static int
widen(int *widest, int columns)
{
    if (columns > *widest)
        *widest = columns;
    return columns;
}

static void
when_and_id(const struct tail *t, const struct event *e, char *when, size_t size,
            char id[CURSOR_SIZE])
{
    time_t seconds = (time_t)(e->created_ms / 1000);
    struct tm tm;

    cursor_text(id, e->id, t->dialect.epoch);
    if (!localtime_r(&seconds, &tm) || strftime(when, size, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        snprintf(when, size, "%" PRId64, e->created_ms);
}

static void
for_people(struct tail *t, const struct event *e)
{
    struct text type = e->type.p ? e->type : TEXT_LIT("message");
    int names_max = t->columns / 4, left;
    char when[32], id[CURSOR_SIZE];

    when_and_id(t, e, when, sizeof when, id);
    left = t->columns;
    left -= 1 + field(t, "2", text_of(when), SHOW_ALL, 0);
    buf_byte(&t->out, ' ');
    left -= 1 + field(t, "36", text_of(id), SHOW_ALL, 0);
    buf_byte(&t->out, ' ');
    if (names_max > (left - DATA_COLUMNS_MIN) / 2)
        names_max = (left - DATA_COLUMNS_MIN) / 2;
    if (names_max < 1)
        names_max = 1;
    if (t->topic_columns > names_max)
        t->topic_columns = names_max;
    if (t->type_columns > names_max)
        t->type_columns = names_max;
    left -= 1 + widen(&t->topic_columns, field(t, "32", e->topic, names_max, t->topic_columns));
    buf_byte(&t->out, ' ');
    left -= 1 + widen(&t->type_columns, field(t, "33", type, names_max, t->type_columns));
    buf_byte(&t->out, ' ');
    field(t, "", e->data, left > 0 ? left : 1, 0);
    buf_byte(&t->out, '\n');
}

static void
for_programs(struct tail *t, const struct event *e)
{
    struct text type = e->type.p ? e->type : TEXT_LIT("message");
    char when[32], id[CURSOR_SIZE];

    when_and_id(t, e, when, sizeof when, id);
    buf_format(&t->out, "%s\t%s\t", when, id);
    show_text(&t->out, e->topic, SHOW_ALL);
    buf_byte(&t->out, '\t');
    show_text(&t->out, type, SHOW_ALL);
    buf_byte(&t->out, '\t');
    show_text(&t->out, e->data, SHOW_ALL);
    buf_byte(&t->out, '\n');
}

static void
as_json(struct tail *t, const struct event *e)
{
    struct buf json;

    buf_init(&json, SIZE_MAX / 4);
    dialect_json(&t->dialect, &json, e);
    show_json(&t->out, buf_view(&json));
    buf_byte(&t->out, '\n');
    t->out.failed = t->out.failed || buf_failed(&json);
    buf_finish(&json);
}

static bool
print_event(void *context, const struct event *e)
{
    struct tail *t = context;

    if (t->out.length > OUTPUT_BYTES)
        return false;
    if (t->settings->json)
        as_json(t, e);
    else if (t->columns)
        for_people(t, e);
    else
        for_programs(t, e);
    return true;
}

/* ---- following ---- */

/* Straight to the descriptor: an output whose reader has left is an end, not an error. */
static enum err
write_out(struct tail *t, struct errbuf *eb)
{
    struct text rest = buf_view(&t->out);

    if (buf_failed(&t->out))
        return err_nomem(eb);
    while (rest.n > 0 && !t->reader_gone) {
        ssize_t n = write(STDOUT_FILENO, rest.p, rest.n);

        if (n >= 0)
            rest = (struct text){rest.p + n, rest.n - (size_t)n};
        else if (errno == EPIPE)
            t->reader_gone = true;
        else if (errno != EINTR)
            return err_set(eb, ERR_IO, "standard output: %s", strerror(errno));
    }
    buf_clear(&t->out);
    return ERR_OK;
}

/* What was deleted before it could be read cannot be shown, but it can be said. */
static void
tell_pruned(struct tail *t, const struct marks *marks)
{
    if (!position_missed(&t->at, marks->pruned_through))
        return;
    fprintf(stderr,
            "%s: events were pruned before they could be shown: after id %" PRId64
            ", up to %" PRId64 "\n",
            set.program, t->at.cursor, marks->pruned_through);
    position_told(&t->at, marks, false);
}

/* Prints all that is there. *some says whether there was anything. */
static enum err
catch_up(struct tail *t, bool *some, struct errbuf *eb)
{
    struct store_page page = {.end = false};

    *some = false;
    while (!page.end && !t->reader_gone && !stop_asked()) {
        struct store_query q = {&t->what, t->at.cursor, PAGE_ROWS, {SCAN_ROWS, SIZE_MAX, 0}};
        enum err err;

        if (t->columns)
            find_terminal(t);
        err = store_read(t->store, &q, print_event, t, &page, eb);
        if (err != ERR_OK)
            return err;
        tell_pruned(t, &page.marks);
        *some = *some || page.through > t->at.cursor;
        t->at.cursor = page.through;
        err = write_out(t, eb);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

static enum err
follow(struct tail *t, struct errbuf *eb)
{
    struct wake wake;
    int wait_ms = POLL_MS;
    enum wake_reason woken = WAKE_TIME;
    enum err err = wake_open(&wake, store_wal_path(t->store), eb);

    while (err == ERR_OK && woken != WAKE_STOP) {
        bool some;

        err = catch_up(t, &some, eb);
        if (err != ERR_OK || t->reader_gone || t->settings->no_follow)
            break;
        if (some)
            wait_ms = POLL_MS;
        else if (woken == WAKE_CHANGE)
            wait_ms = RETRY_FIRST_MS;
        else
            wait_ms = wait_ms * 2 < POLL_MS ? wait_ms * 2 : POLL_MS;
        woken = wake_wait(&wake, wait_ms);
    }
    wake_close(&wake);
    return err;
}

static enum err
choose(struct tail *t, struct errbuf *eb)
{
    const struct settings *s = t->settings;
    enum err err = ERR_OK;

    for (size_t i = 0; err == ERR_OK && i < s->topics.n; i++)
        err = subscription_add_topic(&t->what, text_of(s->topics.values[i]), eb);
    for (size_t i = 0; err == ERR_OK && i < s->types.n; i++)
        err = subscription_add_type(&t->what, text_of(s->types.values[i]), eb);
    if (err == ERR_OK)
        err = subscription_seal(&t->what);
    return err == ERR_NOMEM ? err_nomem(eb) : err;
}

/* Before the newest `last` that match. */
static enum err
find_start(struct tail *t, struct errbuf *eb)
{
    struct locate l = {.start = {.kind = START_LAST, .count = (uint32_t)t->settings->last},
                       .filter = &t->what};
    bool done;
    enum err err;

    if (t->settings->last == 0)
        l.start.kind = START_NOW;
    err = locate_step(&l, t->store, &store_step_all, &done, eb);
    if (err == ERR_OK)
        t->at = l.at;
    return err;
}

static int
tail(const struct settings *settings)
{
    struct tail t = {.settings = settings};
    struct errbuf eb = {""};
    int status = EXIT_OK;
    enum err err;

    if (!settings->db)
        return command_misuse(&set, "--db FILE is missing");
    show_init();
    buf_init(&t.out, SIZE_MAX / 4);
    subscription_init(&t.what);
    find_terminal(&t);
    choose_colour(&t);
    err = choose(&t, &eb);
    if (err == ERR_INVALID) {
        status = command_misuse(&set, eb.text);
        err = ERR_OK;
    } else if (err == ERR_OK) {
        err = store_open(&t.store, settings->db, STORE_READ, STORE_SYNC_FULL, &eb);
        if (err == ERR_OK) {
            dialect_init(&t.dialect, DIALECT_PLAIN, store_epoch(t.store));
            err = find_start(&t, &eb);
        }
        if (err == ERR_OK)
            err = follow(&t, &eb);
    }
    if (err != ERR_OK)
        status = command_fail(&set, err, &eb);
    store_close(t.store);
    subscription_finish(&t.what);
    buf_finish(&t.out);
    return status;
}

int
command_tail(int argc, char **argv)
{
    struct settings settings = {0};
    int status;

    if (!command_options(&set, &settings, argc, argv, &status))
        return status;
    status = tail(&settings);
    option_finish(&set, &settings);
    return status;
}
