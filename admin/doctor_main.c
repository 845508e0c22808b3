/* freshet-doctor: what `freshet doctor` becomes; argv[0] is "doctor". */
#include <stdio.h>

#include "admin/command.h"

int
main(int argc, char **argv)
{
    int status = command_doctor(argc, argv);

    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    perror("freshet doctor: standard output");
    return status == EXIT_OK ? EXIT_FAILED : status;
}
