/* freshet publish: appends the events of its command line or of standard input, all or none. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/command.h"
#include "admin/show.h"
#include "base/buf.h"
#include "base/mem.h"
#include "sql/store.h"
#include "stream/event_json.h"

/* All of it is in memory before the first row is written, so that a slow input does not keep other
 * writers out. */
enum { INPUT_BYTES_MAX = 64 * 1024 * 1024, READ_BYTES = 64 * 1024, EVENTS_FIRST = 16 };

struct settings {
    char *db, *topic, *type, *key;
    int64_t event_max;
    bool json;
};

static const struct option_row rows[] = {
    OPTION(TEXT, db, "db", NULL, 0, 0, "FILE", "the database"),
    OPTION(TEXT, topic, "topic", NULL, 0, 0, "TOPIC", "the topic of events that name none"),
    OPTION(TEXT, type, "type", NULL, 0, 0, "TYPE", "the type of events that name none"),
    OPTION(TEXT, key, "key", NULL, 0, 0, "KEY",
           "idempotency key of events that have none of their own"),
    OPTION(FLAG, json, "json", "off", 0, 0, NULL,
           "each argument, or line of standard input, is an event as JSON"),
    OPTION(SIZE, event_max, "event-bytes", "1M", 1, 268435456, "BYTES", "longest data of an event"),
};

static const struct option_set set = {
    .program = "freshet publish",
    .usage = "--db FILE --topic TOPIC [options] [DATA...]",
    .summary = "Appends events, one for each argument, and prints their ids. Without arguments\n"
               "standard input is the data of one event; with --json it has one event per line.",
    .epilogue = "Either all events are written, or none.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
};

/* What is to be written. The texts point into arguments, input and what was decoded of them. */
struct publication {
    const struct settings *settings;
    struct event *events;
    char **decoded; /* of the events that are JSON */
    size_t n, room;
    struct buf input;
};

static bool
make_room(struct publication *p)
{
    size_t room = p->room; /* both grow, or the one that did does so again */

    return mem_grow(&p->events, p->n, &room, sizeof *p->events, EVENTS_FIRST) &&
           mem_grow(&p->decoded, p->n, &p->room, sizeof *p->decoded, EVENTS_FIRST);
}

static void
publication_finish(struct publication *p)
{
    for (size_t i = 0; i < p->n; i++)
        mem_free(p->decoded[i]);
    mem_free(p->events);
    mem_free(p->decoded);
    buf_finish(&p->input);
}

static enum err
read_json(struct text s, char **decoded, struct event *e, struct errbuf *eb)
{
    struct event_json members;
    struct text value;
    char *room;
    enum err err = event_json_check(s, &value, eb);

    if (err == ERR_OK)
        err = event_json_members(value, &members, eb);
    if (err != ERR_OK)
        return err;
    room = *decoded = mem_alloc(event_json_room(&members));
    return room ? event_json_read(&members, &room, e, eb) : err_nomem(eb);
}

/* One more event, of a whole data text or of JSON. */
static enum err
add(struct publication *p, struct text s, struct errbuf *eb)
{
    const struct settings *settings = p->settings;
    struct event *e;
    enum err err = make_room(p) ? ERR_OK : err_nomem(eb);

    if (err != ERR_OK)
        return err;
    e = &p->events[p->n];
    p->decoded[p->n] = NULL;
    *e = (struct event){.data = s};
    p->n++;
    if (settings->json)
        err = read_json(s, &p->decoded[p->n - 1], e, eb);
    if (!e->topic.p)
        e->topic = text_of(settings->topic);
    if (!e->type.p)
        e->type = text_of(settings->type);
    return err;
}

/* ---- where they come from ---- */

/* where: "argument" or "line". */
static enum err
say_where(const char *where, size_t number, enum err err, struct errbuf *eb)
{
    struct errbuf why = *eb;

    return err_set(eb, err, "%s %zu: %s", where, number, why.text);
}

static enum err
read_arguments(struct publication *p, char **arguments, size_t n, struct errbuf *eb)
{
    for (size_t i = 0; i < n; i++) {
        enum err err = add(p, text_of(arguments[i]), eb);

        if (err != ERR_OK)
            return say_where("argument", i + 1, err, eb);
    }
    return ERR_OK;
}

static enum err
read_input(struct buf *input, struct errbuf *eb)
{
    for (;;) {
        char *room = buf_reserve(input, READ_BYTES);
        ssize_t n = room ? read(STDIN_FILENO, room, READ_BYTES) : 0;

        if (!room)
            return err_set(eb, ERR_FULL,
                           "standard input has more than %d MB; use freshet-ingest for more",
                           INPUT_BYTES_MAX >> 20);
        if (n < 0 && errno != EINTR)
            return err_set(eb, ERR_IO, "standard input: %s", strerror(errno));
        if (n == 0)
            return ERR_OK;
        if (n > 0)
            buf_commit(input, (size_t)n);
    }
}

static enum err
read_lines(struct publication *p, struct text rest, struct errbuf *eb)
{
    for (size_t number = 1; rest.n > 0; number++) {
        struct text line;
        enum err err;

        text_cut(&rest, '\n', &line);
        err = text_is_blank(line) ? ERR_OK : add(p, line, eb);
        if (err != ERR_OK)
            return say_where("line", number, err, eb);
    }
    return ERR_OK;
}

static enum err
gather(struct publication *p, char **arguments, size_t n, struct errbuf *eb)
{
    enum err err;

    if (n > 0)
        return read_arguments(p, arguments, n, eb);
    err = read_input(&p->input, eb);
    if (err != ERR_OK)
        return err;
    return p->settings->json ? read_lines(p, buf_view(&p->input), eb)
                             : add(p, text_without_line_end(buf_view(&p->input)), eb);
}

static enum err
check(const struct publication *p, struct errbuf *eb)
{
    enum err err = event_check_request(text_of(p->settings->key), p->events, p->n, eb);

    for (size_t i = 0; err == ERR_OK && i < p->n; i++) {
        const struct event *e = &p->events[i];

        err = event_check(e, (size_t)p->settings->event_max, eb);
        if (err == ERR_INVALID && !e->topic.p)
            err_set(eb, err, "there is no topic; name it with --topic");
        if (err != ERR_OK)
            return p->n > 1 ? say_where("event", i + 1, err, eb) : err;
    }
    if (err == ERR_OK && p->n == 0)
        err = err_set(eb, ERR_INVALID, "there is no event in the input");
    return err;
}

/* ---- writing ---- */

static void
say_repeated(const struct publication *p, size_t i, const char *epoch)
{
    const struct event *e = &p->events[i];
    char room[EVENT_KEY_MAX + 1];
    struct buf b;

    buf_init(&b, SIZE_MAX / 4);
    show_text(&b, event_key(e, text_of(p->settings->key), i, p->n, room), SHOW_ALL);
    fprintf(stderr, "%s: key \"%.*s\" is known, nothing was written: it is event %" PRId64 "-%s\n",
            set.program, (int)b.length, b.data, e->id, epoch);
    buf_finish(&b);
}

/* --key is that of this very input: with another one it was a mistake to use it again. */
static enum err
check_key(const struct publication *p, struct store *store, struct errbuf *eb)
{
    enum store_request request = STORE_REQUEST_NEW;
    struct text key = text_of(p->settings->key);
    struct store_holder holder;
    enum err err =
        key.p ? store_request(store, key, p->events, p->n, &request, &holder, eb) : ERR_OK;

    if (err != ERR_OK || request != STORE_REQUEST_OTHER)
        return err;
    store_rollback(store);
    return err_set(eb, ERR_EXISTS,
                   "--key belongs to other events, or some of its events have been deleted; "
                   "nothing was written");
}

static enum err
append_events(struct publication *p, struct store *store, bool *repeated, struct errbuf *eb)
{
    enum err err = ERR_OK;

    for (size_t i = 0; err == ERR_OK && i < p->n; i++) {
        struct event e = p->events[i];
        char room[EVENT_KEY_MAX + 1];

        e.key = event_key(&e, text_of(p->settings->key), i, p->n, room);
        err = store_append(store, &e, &p->events[i].id, &repeated[i], eb);
    }
    return err;
}

static enum err
write_events(struct publication *p, struct store *store, bool *repeated, struct errbuf *eb)
{
    enum err err = store_begin(store, eb);

    if (err == ERR_OK)
        err = check_key(p, store, eb);
    if (err == ERR_OK)
        err = append_events(p, store, repeated, eb);
    if (err == ERR_OK)
        err = store_commit(store, eb);
    if (err != ERR_OK)
        return err;
    for (size_t i = 0; i < p->n; i++) {
        printf("%" PRId64 "-%s\n", p->events[i].id, store_epoch(store));
        if (repeated[i])
            say_repeated(p, i, store_epoch(store));
    }
    return ERR_OK;
}

static enum err
open_and_write(struct publication *p, struct errbuf *eb)
{
    bool *repeated = mem_zalloc(p->n * sizeof *repeated);
    struct store *store = NULL;
    enum err err;

    if (!repeated)
        return err_nomem(eb);
    err = store_open(&store, p->settings->db, STORE_WRITE, STORE_SYNC_FULL, eb);
    if (err == ERR_OK)
        err = write_events(p, store, repeated, eb);
    store_close(store);
    mem_free(repeated);
    return err;
}

static int
publish(const struct settings *settings, char **arguments, size_t n)
{
    struct publication p = {.settings = settings};
    struct errbuf eb = {""};
    int status = EXIT_OK;
    enum err err;

    if (!settings->db)
        return command_misuse(&set, "--db FILE is missing");
    if (!settings->topic && !settings->json)
        return command_misuse(&set, "--topic TOPIC is missing");
    show_init();
    buf_init(&p.input, INPUT_BYTES_MAX + READ_BYTES);
    err = gather(&p, arguments, n, &eb);
    if (err == ERR_OK)
        err = check(&p, &eb);
    if (err == ERR_OK)
        err = open_and_write(&p, &eb);
    if (err != ERR_OK)
        status = command_fail(&set, err, &eb);
    publication_finish(&p);
    return status;
}

int
command_publish(int argc, char **argv)
{
    struct settings settings = {0};
    int rest, status;

    if (!command_arguments(&set, &settings, argc, argv, &rest, &status))
        return status;
    status = publish(&settings, argv + rest, (size_t)(argc - rest));
    option_finish(&set, &settings);
    return status;
}
