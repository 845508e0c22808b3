/* freshet epoch: shows the epoch of a log, or gives it a new one after a backup was restored. */
#include <stdio.h>

#include "admin/command.h"
#include "sql/store.h"

struct settings {
    char *db;
    bool renew;
};

static const struct option_row rows[] = {
    OPTION(TEXT, db, "db", NULL, 0, 0, "FILE", "the database"),
    OPTION(FLAG, renew, "new", "off", 0, 0, NULL,
           "give the log a new epoch: all earlier positions become void, and clients are told so"),
};

static const struct option_set set = {
    .program = "freshet epoch",
    .usage = "--db FILE [--new]",
    .summary = "Prints the epoch, which is part of every position and distinguishes this log from\n"
               "others. With --new the log gets another one first: needed after restoring a\n"
               "backup, because ids that clients have already seen are used again.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
};

static int
epoch(const struct settings *settings)
{
    struct errbuf eb = {""};
    struct store *store;
    enum err err;

    if (!settings->db)
        return command_misuse(&set, "--db FILE is missing");
    err = store_open(&store, settings->db, settings->renew ? STORE_WRITE : STORE_READ,
                     STORE_SYNC_FULL, &eb);
    if (err != ERR_OK)
        return command_fail(&set, err, &eb);
    if (settings->renew)
        err = store_renew_epoch(store, &eb);
    if (err == ERR_OK)
        puts(store_epoch(store));
    store_close(store);
    return err == ERR_OK ? EXIT_OK : command_fail(&set, err, &eb);
}

int
command_epoch(int argc, char **argv)
{
    struct settings settings = {0};
    int status;

    if (!command_options(&set, &settings, argc, argv, &status))
        return status;
    status = epoch(&settings);
    option_finish(&set, &settings);
    return status;
}
