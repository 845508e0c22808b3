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
#include "fcgi/request.h"
#include "fcgi/server.h"

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
fail(const char *what, enum err err, const struct errbuf *eb, int status)
{
    log_line(LOG_ERROR, "%s%s", what, eb->text);
    return status ? status : err_exit_status(err);
}

static enum err
serve_cgi(struct server *s, struct settings *settings, struct store *store, struct errbuf *eb)
{
    struct request request;
    enum err err = request_from_environment(&request, eb);

    if (err != ERR_OK) {
        store_close(store);
        return err;
    }
    err = server_run_cgi(s, settings, store, &request, eb);
    request_finish(&request);
    return err;
}

static int
serve(struct settings *settings, int argc, char **argv)
{
    static struct server server; /* large, and zero */
    struct store *store;
    struct errbuf eb;
    int sockets[SERVER_SOCKETS_MAX], n;
    enum err err = store_open(&store, settings->db, STORE_READ, STORE_SYNC_FULL, &eb);

    if (err != ERR_OK)
        return fail("", err, &eb, 0);
    err = listen_sockets(settings->listen, settings->socket_mode, sockets, SERVER_SOCKETS_MAX, &n,
                         &eb);
    if (err != ERR_OK) {
        store_close(store);
        return fail("", err, &eb, err == ERR_INVALID ? EXIT_USAGE : 0);
    }
    server.argc = argc;
    server.argv = argv;
    if (n == 0) {
        err = serve_cgi(&server, settings, store, &eb);
        return err == ERR_OK ? EXIT_OK : fail("", err, &eb, err == ERR_INVALID ? EXIT_USAGE : 0);
    }
    log_line(LOG_INFO, "freshet-fcgi %s serves %s on %s", PACKAGE_VERSION, settings->db,
             settings->listen ? settings->listen : "an inherited socket");
    err = server_run(&server, settings, store, sockets, n, &eb);
    listen_cleanup(settings->listen);
    return err == ERR_OK ? EXIT_OK : fail("", err, &eb, 0);
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
    srandom((unsigned)time(NULL) ^ (unsigned)getpid() << 16);
    raise_descriptor_limit();
    err = option_parse(&settings_options, &settings, argc, argv, &rest, &outcome, &eb);
    if (err == ERR_OK && outcome == OPTION_HELP) {
        option_help(&settings_options, stdout);
        return EXIT_OK;
    }
    if (err == ERR_OK && outcome == OPTION_VERSION) {
        puts("freshet-fcgi " PACKAGE_VERSION);
        return EXIT_OK;
    }
    if (err == ERR_OK && rest < argc)
        err = err_set(&eb, ERR_INVALID, "\"%s\" is not understood; see --help", argv[rest]);
    if (err == ERR_OK)
        err = settings_check(&settings, &eb);
    if (err != ERR_OK)
        return fail("", err, &eb, EXIT_USAGE);
    log_set_level((enum log_level)settings.log_level);
    status = serve(&settings, argc, argv);
    option_finish(&settings_options, &settings);
    return status;
}
