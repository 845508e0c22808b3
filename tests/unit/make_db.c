/* make_db [--guest] FILE: an empty database, for tests and benches that need one before `freshet
 * init`; with --guest, freshet's tables in the database of an application that is there already. */
#include <stdio.h>
#include <string.h>

#include "sql/store.h"

int
main(int argc, char **argv)
{
    bool guest = argc == 3 && strcmp(argv[1], "--guest") == 0, existed;
    struct errbuf eb = {{0}};
    enum err err = ERR_INVALID;

    if (guest)
        err = store_create_guest(argv[2], &existed, &eb);
    else if (argc == 2)
        err = store_create(argv[1], &existed, &eb);
    if (err != ERR_OK)
        fprintf(stderr, "make_db: %s\n", eb.text);
    return err_exit_status(err);
}
