/* freshet init: makes a new database, or says that it is there already. */
#include <stdio.h>

#include "admin/command.h"
#include "sql/store.h"

struct settings {
    char *db;
};

static const struct option_row rows[] = {
    OPTION(TEXT, db, "db", NULL, 0, 0, "FILE", "the file to make"),
};

static const struct option_set set = {
    .program = "freshet init",
    .usage = "--db FILE",
    .summary = "Makes a new database; one that exists already is left as it is.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
};

static int
init(const struct settings *settings)
{
    struct errbuf eb = {""};
    struct store *store;
    bool existed;
    enum err err;

    if (!settings->db)
        return command_misuse(&set, "--db FILE is missing");
    err = store_create(settings->db, &existed, &eb);
    if (err == ERR_OK)
        err = store_open(&store, settings->db, STORE_READ, STORE_SYNC_FULL, &eb);
    if (err != ERR_OK)
        return command_fail(&set, err, &eb);
    printf("%s: %s, epoch %s\n", settings->db, existed ? "exists already, left as it is" : "made",
           store_epoch(store));
    store_close(store);
    return EXIT_OK;
}

int
command_init(int argc, char **argv)
{
    struct settings settings = {0};
    int status;

    if (!command_options(&set, &settings, argc, argv, &status))
        return status;
    status = init(&settings);
    option_finish(&set, &settings);
    return status;
}
