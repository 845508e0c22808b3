/* doctor: what the files of `freshet doctor` share that needs no libcurl. */
#ifndef ADMIN_DOCTOR_H
#define ADMIN_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/option.h"

struct settings {
    char *db, *publish_to, *topic, *token, *cookie, *origin, *ca;
    struct option_list headers;
    int64_t wait_ms, timeout_ms;
    bool expect_down, json;
};

/* Examines the deployment behind url and prints the report; the value is the exit status. argv is
 * the command line. There are two: doctor_run.c, in freshet-doctor, does it; doctor_exec.c, in
 * freshet, becomes that program. */
int doctor_run(const struct settings *settings, const char *url, char **argv);

#endif
