/* In place of the other files of the doctor where freshet is built without libcurl. */
#include <stdio.h>

#include "admin/doctor.h"
#include "base/err.h"

int
doctor_run(const struct settings *settings, const char *url)
{
    (void)settings;
    fprintf(stderr,
            "freshet doctor: cannot look at %s: this freshet was built without libcurl "
            "(configure --without-curl)\n",
            url);
    return EXIT_FAILED;
}
