/* freshet-fcgi: settings, sockets, database; then the server takes over. */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "fcgi/listen.h"
#include "fcgi/loop.h"
#include "fcgi/request.h"
#include "fcgi/sandbox.h"
#include "fcgi/server.h"
#include "fcgi/workers.h"

/* A stream is a descriptor; the soft limit is often 1,024 for the sake of select(2), which we do
 * not use. */
static void
raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int
fail(enum err err, const struct errbuf *eb, int status)
{
    log_line(LOG_ERROR, "%s", eb->text);
    return status ? status : err_exit_status(err);
}

/* What a process that serves needs. */
struct service {
    struct settings *settings;
    int argc;
    char **argv;
    int sockets[SERVER_SOCKETS_MAX], n_sockets;
};

/* The workers end, each when its streams have; nobody accepts any more, so a successor may listen
 * in the same place. */
static void
stop_listening(void *context)
{
    struct service *v = context;

    for (int i = 0; i < v->n_sockets; i++)
        close(v->sockets[i]);
    v->n_sockets = 0;
}

static enum err
serve_cgi(struct server *s, const struct service *v, struct store *store, struct errbuf *eb)
{
    struct request request;
    enum err err = request_from_environment(&request, eb);

    if (err != ERR_OK) {
        store_close(store);
        return err;
    }
    err = server_run_cgi(s, v->settings, store, &request, eb);
    request_finish(&request);
    return err;
}

static enum err
serve_database(struct server *s, const struct service *v, struct errbuf *eb)
{
    struct store *store, *writable = NULL;
    enum err err = store_open(&store, v->settings->db, STORE_READ, STORE_SYNC_FULL, eb);

    if (err == ERR_OK && v->settings->publish && v->n_sockets > 0) {
        err = store_open(&writable, v->settings->db, STORE_WRITE, STORE_SYNC_FULL, eb);
        if (err != ERR_OK)
            store_close(store);
    }
    if (err != ERR_OK)
        return err;
    if (v->n_sockets == 0)
        return serve_cgi(s, v, store, eb);
    return server_run(s, v->settings, store, writable, v->sockets, v->n_sockets, eb);
}

/* One responder, from opening the database to the end; again for one that takes its place. */
static int
serve(void *context)
{
    static struct server server; /* large, and zero */
    struct service *v = context;
    struct errbuf eb;
    enum err err;

    srandom((unsigned)time(NULL) ^ (unsigned)getpid() << 16);
    do {
        server = (struct server){.argc = v->argc, .argv = v->argv, .counters = server.counters};
        err = serve_database(&server, v, &eb);
    } while (err == ERR_OK && server.reopening && v->n_sockets > 0);
    return err == ERR_OK ? EXIT_OK : fail(err, &eb, err == ERR_INVALID ? EXIT_USAGE : 0);
}

/* Fails early, and once, if the database cannot be served. *old says so when its format is. */
static enum err
try_database(const struct settings *settings, struct errbuf *old, struct errbuf *eb)
{
    struct store *store;
    enum err err = store_open(&store, settings->db, STORE_READ, STORE_SYNC_FULL, eb);

    *old = (struct errbuf){""};
    if (err != ERR_OK)
        return err;
    store_is_old(store, old);
    store_close(store);
    return ERR_OK;
}

static enum err
try_token_keys(const struct settings *set, struct errbuf *eb)
{
    struct jws_keys keys;
    enum err err = jws_keys_read(&keys, set->token_keys.values, set->token_keys.n,
                                 (enum jws_algorithm)set->token_algorithm, eb);

    if (err == ERR_OK)
        jws_keys_finish(&keys);
    return err;
}

static int
start(struct service *v)
{
    const struct settings *set = v->settings;
    struct errbuf old, eb;
    int status, file;
    enum err err;

    loop_hold_signals();
    err = try_database(set, &old, &eb);
    if (err == ERR_OK)
        err = try_token_keys(set, &eb);
    if (err != ERR_OK)
        return fail(err, &eb, 0);
    err = listen_sockets(set->listen, set->socket_mode, v->sockets, SERVER_SOCKETS_MAX,
                         &v->n_sockets, &eb);
    if (err != ERR_OK)
        return fail(err, &eb, err == ERR_INVALID ? EXIT_USAGE : 0);
    file = listen_file(set->listen);
    if (v->n_sockets > 0)
        log_line(LOG_INFO, "freshet-fcgi %s serves %s on %s", PACKAGE_VERSION, set->db,
                 set->listen ? set->listen : "an inherited socket");
    if (v->n_sockets > 0 && old.text[0])
        log_line(LOG_INFO, "%s", old.text);
    if (set->sandbox == SANDBOX_ON && sandbox_prepare(&eb) != ERR_OK)
        log_line(LOG_WARN, "%s", eb.text);
    if (set->workers == 1 || v->n_sockets == 0)
        status = serve(v);
    else if (workers_run((int)set->workers, serve, stop_listening, v, &status, &eb) != ERR_OK)
        status = fail(ERR_NOMEM, &eb, 0);
    listen_cleanup(set->listen, file);
    return status;
}

int
main(int argc, char **argv)
{
    struct settings settings = {0};
    struct errbuf eb;
    enum option_outcome outcome;
    int rest, status;
    enum err err;

    log_open("freshet-fcgi");
    signal(SIGPIPE, SIG_IGN); /* a client that is gone is an error of its write */
    raise_descriptor_limit();
    err = option_parse(&settings_options, &settings, argc, argv, &rest, &outcome, &eb);
    if (err == ERR_OK && outcome == OPTION_HELP) {
        option_help(&settings_options, stdout);
        return EXIT_OK;
    }
    if (err == ERR_OK && outcome == OPTION_VERSION) {
        puts("freshet-fcgi " PACKAGE_VERSION "\nsandbox: " SANDBOX_BUILD);
        return EXIT_OK;
    }
    if (err == ERR_OK && rest < argc)
        err = err_set(&eb, ERR_INVALID, "\"%s\" is not understood; see --help", argv[rest]);
    if (err == ERR_OK)
        err = settings_check(&settings, &eb);
    if (err != ERR_OK)
        return fail(err, &eb, EXIT_USAGE);
    log_set_level((enum log_level)settings.log_level);
    status = start(&(struct service){.settings = &settings, .argc = argc, .argv = argv});
    option_finish(&settings_options, &settings);
    return status;
}
