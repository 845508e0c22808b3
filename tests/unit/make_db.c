/* make_db FILE: an empty database, for tests and benches that need one before `freshet init`. */
#include <stdio.h>

#include "sql/store.h"

int
main(int argc, char **argv)
{
    struct errbuf eb = {{0}};
    bool existed;
    enum err err = argc == 2 ? store_create(argv[1], &existed, &eb) : ERR_INVALID;

    if (err != ERR_OK)
        fprintf(stderr, "make_db: %s\n", eb.text);
    return err_exit_status(err);
}
