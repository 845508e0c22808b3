/* freshet upgrade: brings a database that an older version made to the current format. */
#include <stdio.h>

#include "admin/command.h"
#include "sql/store.h"

struct settings {
    char *db;
};

static const struct option_row rows[] = {
    OPTION(TEXT, db, "db", NULL, 0, 0, "FILE", "the database"),
};

static const struct option_set set = {
    .program = "freshet upgrade",
    .usage = "--db FILE",
    .summary = "Brings a database made by an older version to the current format. Programs may\n"
               "continue to use it meanwhile, and clients keep their positions.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
};

static int
upgrade(const struct settings *settings)
{
    struct errbuf eb = {""};
    int from = 0, to = 0;
    enum err err;

    if (!settings->db)
        return command_misuse(&set, "--db FILE is missing");
    err = store_upgrade(settings->db, &from, &to, &eb);
    if (err != ERR_OK)
        return command_fail(&set, err, &eb);
    if (from == to)
        printf("%s: already has format %d, left as it is\n", settings->db, to);
    else
        printf("%s: upgraded from format %d to %d; epoch and positions stay as they are\n",
               settings->db, from, to);
    return EXIT_OK;
}

int
command_upgrade(int argc, char **argv)
{
    struct settings settings = {0};
    int status;

    if (!command_options(&set, &settings, argc, argv, &status))
        return status;
    status = upgrade(&settings);
    option_finish(&set, &settings);
    return status;
}
