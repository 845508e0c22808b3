/* command: what the subcommands of freshet have in common.
 *
 * A subcommand is one file that defines `int command_NAME(int argc, char **argv)` and one row in
 * commands.def. argv[0] is the subcommand's name; the value is the exit status. Its options are
 * rows of a static table, made with OPTION from its own `struct settings`. */
#ifndef ADMIN_COMMAND_H
#define ADMIN_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/option.h"

#define OPTION OPTION_ROW

#define COMMAND(name, help) int command_##name(int argc, char **argv);
#include "admin/commands.def"
#undef COMMAND

/* Reads the options. True: go on, and option_finish() at the end. False: end with *status, all has
 * been said, and nothing needs freeing. Arguments that are not options are refused. */
bool command_options(const struct option_set *set, void *settings, int argc, char **argv,
                     int *status);
/* The same, but arguments are welcome: *rest is the index in argv of the first one. */
bool command_arguments(const struct option_set *set, void *settings, int argc, char **argv,
                       int *rest, int *status);

/* Says why on standard error; the value is the exit status. */
int command_fail(const struct option_set *set, enum err err, const struct errbuf *eb);
/* The same for a command line that makes no sense: points to --help, gives EXIT_USAGE. */
int command_misuse(const struct option_set *set, const char *why);

#endif
