#include "fcgi/settings.h"

#include <string.h>

static const struct option_row rows[] = {
#define OPTION(kind, member, name, standard, min, max, argument, help)                             \
    {name, OPTION_##kind, offsetof(struct settings, member), standard, min, max, argument, help},
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
settings_check(const struct settings *s, struct errbuf *eb)
{
    if (!s->db)
        return err_set(eb, ERR_INVALID, "--db is missing: name the database with the events");
    if (s->retry_min_ms > s->retry_max_ms)
        return err_set(eb, ERR_INVALID, "--retry-min is above --retry-max");
    if (s->record_bytes > s->turn_bytes)
        return err_set(eb, ERR_INVALID, "--record-bytes is above --turn-bytes");
    return ERR_OK;
}

static bool
same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

const char *
settings_reload(struct settings *s, const struct settings *fresh)
{
    struct settings old = *s;
    const char *differs = NULL;

    if (!same_text(s->db, fresh->db))
        differs = "db";
    else if (!same_text(s->listen, fresh->listen))
        differs = "listen";
    else if (!same_text(s->socket_mode, fresh->socket_mode))
        differs = "socket-mode";
    else if (s->workers != fresh->workers)
        differs = "workers";
    else if (s->publish != fresh->publish)
        differs = "publish";
    else if (s->event_max != fresh->event_max)
        differs = "event-bytes";
    else if (s->publish_queue != fresh->publish_queue)
        differs = "publish-queue";
    else if (s->window_bytes != fresh->window_bytes)
        differs = "window-bytes";
    else if (s->window_events != fresh->window_events)
        differs = "window-events";
    else if (s->page_cache != fresh->page_cache)
        differs = "page-cache";
    *s = *fresh;
    s->db = old.db;
    s->listen = old.listen;
    s->socket_mode = old.socket_mode;
    s->workers = old.workers;
    s->publish = old.publish;
    s->event_max = old.event_max;
    s->publish_queue = old.publish_queue;
    s->window_bytes = old.window_bytes;
    s->window_events = old.window_events;
    s->page_cache = old.page_cache;
    return differs;
}
