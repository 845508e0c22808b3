/* freshet status: where the log stands, for people or as JSON. */
#include <inttypes.h>
#include <stdio.h>

#include "admin/command.h"
#include "base/buf.h"
#include "base/clock.h"
#include "sql/store.h"

struct settings {
    char *db;
    bool json;
};

static const struct option_row rows[] = {
    OPTION(TEXT, db, "db", NULL, 0, 0, "FILE", "the database"),
    OPTION(FLAG, json, "json", "off", 0, 0, NULL, "print one JSON object"),
};

static const struct option_set set = {
    .program = "freshet status",
    .usage = "--db FILE [--json]",
    .summary = "Shows where the log stands and how large it is.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
};

/* Enough for any number of sources that ingest is run with; a bound all the same. */
enum { OUTPUT_MAX = 64 * 1024 * 1024 };

/* ---- JSON ---- */

static void
json_number(struct buf *out, const char *name, int64_t value)
{
    buf_format(out, ",\"%s\":%" PRId64, name, value);
}

static void
json_source(void *context, struct text source, struct text position)
{
    struct buf *out = context;

    if (out->data[out->length - 1] != '{')
        buf_byte(out, ',');
    buf_json(out, source);
    buf_byte(out, ':');
    buf_json(out, position);
}

static enum err
write_json(struct buf *out, const char *path, struct store *store, const struct store_status *st,
           struct errbuf *eb)
{
    enum err err;

    buf_string(out, "{\"db\":");
    buf_json(out, text_of(path));
    buf_format(out, ",\"epoch\":\"%s\",\"format\":%d,\"guest\":%s", store_epoch(store),
               store_format(store), store_is_guest(store) ? "true" : "false");
    json_number(out, "events", st->rows);
    json_number(out, "oldest", st->marks.oldest);
    json_number(out, "newest", st->marks.newest);
    json_number(out, "pruned_through", st->marks.pruned_through);
    json_number(out, "topics", st->topics);
    json_number(out, "made_ms", st->made_ms);
    if (st->newest_created_ms)
        json_number(out, "newest_created_ms", st->newest_created_ms);
    else
        buf_string(out, ",\"newest_created_ms\":null");
    json_number(out, "db_bytes", st->db_bytes);
    json_number(out, "wal_bytes", st->wal_bytes);
    buf_string(out, ",\"sources\":{");
    err = buf_failed(out) ? ERR_OK : store_sources(store, json_source, out, eb);
    buf_string(out, "}}\n");
    return err;
}

/* ---- for people ---- */

static void
write_source(void *context, struct text source, struct text position)
{
    struct buf *out = context;

    buf_string(out, "source          ");
    buf_text(out, source);
    buf_string(out, " at ");
    buf_text(out, position);
    buf_byte(out, '\n');
}

static void
write_age(struct buf *out, int64_t ms)
{
    int64_t s = ms / 1000;

    if (s < 0) /* written by a clock that is ahead of ours */
        buf_string(out, "in the future");
    else if (s < 120)
        buf_format(out, "%" PRId64 ".%03" PRId64 " s ago", s, ms % 1000);
    else if (s < 2 * 3600)
        buf_format(out, "%" PRId64 " min ago", s / 60);
    else if (s < 2 * 86400)
        buf_format(out, "%" PRId64 " h ago", s / 3600);
    else
        buf_format(out, "%" PRId64 " days ago", s / 86400);
}

static void
write_format(struct buf *out, const struct store *store)
{
    struct errbuf old;

    buf_format(out, "format          %d", store_format(store));
    if (store_is_guest(store))
        buf_string(out, ", a guest in an application's database");
    if (store_is_old(store, &old))
        buf_string(out, " (older than the current one; see: freshet upgrade)");
    buf_byte(out, '\n');
}

static enum err
write_lines(struct buf *out, const char *path, struct store *store, const struct store_status *st,
            struct errbuf *eb)
{
    buf_format(out, "database        %s\n", path);
    buf_format(out, "epoch           %s\n", store_epoch(store));
    write_format(out, store);
    buf_format(out, "events          %" PRId64 "\n", st->rows);
    buf_format(out, "oldest          %" PRId64 "%s\n", st->marks.oldest,
               st->rows ? "" : " (will be the next)");
    buf_format(out, "newest          %" PRId64 "\n", st->marks.newest);
    buf_format(out, "pruned through  %" PRId64 "\n", st->marks.pruned_through);
    buf_format(out, "topics          %" PRId64 "\n", st->topics);
    buf_string(out, "last event      ");
    if (st->newest_created_ms)
        write_age(out, clock_wall_ms() - st->newest_created_ms);
    else
        buf_string(out, "none");
    buf_format(out, "\nfile bytes      %" PRId64 "\n", st->db_bytes);
    buf_format(out, "WAL bytes       %" PRId64 "\n", st->wal_bytes);
    return store_sources(store, write_source, out, eb);
}

static int
status(const struct settings *settings)
{
    struct errbuf eb = {""};
    struct store_status st;
    struct store *store;
    struct buf out;
    enum err err;

    if (!settings->db)
        return command_misuse(&set, "--db FILE is missing");
    err = store_open(&store, settings->db, STORE_READ, STORE_SYNC_FULL, &eb);
    if (err != ERR_OK)
        return command_fail(&set, err, &eb);
    buf_init(&out, OUTPUT_MAX);
    err = store_status(store, &st, &eb);
    if (err == ERR_OK)
        err = (settings->json ? write_json : write_lines)(&out, settings->db, store, &st, &eb);
    if (err == ERR_OK && buf_failed(&out))
        err = err_nomem(&eb);
    if (err == ERR_OK)
        fwrite(out.data, 1, out.length, stdout);
    buf_finish(&out);
    store_close(store);
    return err == ERR_OK ? EXIT_OK : command_fail(&set, err, &eb);
}

int
command_status(int argc, char **argv)
{
    struct settings settings = {0};
    int code;

    if (!command_options(&set, &settings, argc, argv, &code))
        return code;
    code = status(&settings);
    option_finish(&set, &settings);
    return code;
}
