#include "admin/command.h"

#include <stdio.h>

#include "config.h"

int
command_fail(const struct option_set *set, enum err err, const struct errbuf *eb)
{
    fprintf(stderr, "%s: %s\n", set->program, eb->text);
    return err_exit_status(err);
}

int
command_misuse(const struct option_set *set, const char *why)
{
    fprintf(stderr, "%s: %s; see %s --help\n", set->program, why, set->program);
    return EXIT_USAGE;
}

bool
command_arguments(const struct option_set *set, void *settings, int argc, char **argv, int *rest,
                  int *status)
{
    enum option_outcome outcome;
    struct errbuf eb = {""};
    enum err err = option_parse(set, settings, argc, argv, rest, &outcome, &eb);

    if (err == ERR_INVALID) {
        *status = command_misuse(set, eb.text);
        return false;
    }
    if (err != ERR_OK) {
        *status = command_fail(set, err, &eb);
        return false;
    }
    *status = EXIT_OK;
    switch (outcome) {
    case OPTION_RUN:
        return true;
    case OPTION_HELP:
        option_help(set, stdout);
        return false;
    case OPTION_VERSION:
        printf("freshet %s\n", PACKAGE_VERSION);
        return false;
    }
    return false;
}

bool
command_options(const struct option_set *set, void *settings, int argc, char **argv, int *status)
{
    struct errbuf eb;
    int rest;

    if (!command_arguments(set, settings, argc, argv, &rest, status))
        return false;
    if (rest == argc)
        return true;
    err_set(&eb, ERR_INVALID, "\"%s\" is one argument too many", argv[rest]);
    *status = command_misuse(set, eb.text);
    option_finish(set, settings);
    return false;
}
