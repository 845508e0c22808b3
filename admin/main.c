/* freshet: the operator's tool. Finds the subcommand and lets it run. */
#include <stdio.h>
#include <string.h>

#include "admin/command.h"
#include "config.h"

static const struct command {
    const char *name;
    const char *help;
    int (*run)(int argc, char **argv);
} commands[] = {
#define COMMAND(name, help) {#name, help, command_##name},
#include "admin/commands.def"
#undef COMMAND
};

static void
print_help(FILE *out)
{
    fputs("Usage: freshet SUBCOMMAND [options]\n"
          "Manages a database of events that freshet streams to browsers.\n\nSubcommands:\n",
          out);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
    fputs("\nfreshet help SUBCOMMAND, or freshet SUBCOMMAND --help, prints its options;\n"
          "freshet --help and freshet --version work, too.\n",
          out);
}

static int
run_command(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, argv[0]) == 0)
            return commands[i].run(argc, argv);
    fprintf(stderr, "freshet: \"%s\" is not a subcommand; see freshet --help\n", argv[0]);
    return EXIT_USAGE;
}

/* freshet help [SUBCOMMAND] */
static int
help(const char *about)
{
    char name[64], option[] = "--help";
    char *argv[] = {name, option, NULL};

    if (!about) {
        print_help(stdout);
        return EXIT_OK;
    }
    snprintf(name, sizeof name, "%s", about);
    return run_command(2, argv);
}

/* Output that could not be written, to a full disk for example, is a failure. */
static int
finish(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    perror("freshet: standard output");
    return status == EXIT_OK ? EXIT_FAILED : status;
}

int
main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;

    if (!name) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return finish(help(NULL));
    if (strcmp(name, "help") == 0)
        return finish(help(argv[2]));
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        printf("freshet %s\n", PACKAGE_VERSION);
        return finish(EXIT_OK);
    }
    return finish(run_command(argc - 1, argv + 1));
}
