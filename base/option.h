/* option: settings as one table of rows per program.
 *
 * A program writes its settings once, in a .def file of OPTION(…) rows; the struct, the defaults,
 * the parser, the range checks, --help and the test that compares the manual page with the code all
 * come from these rows. Adding a setting is adding a row (and its paragraph in the manual page).
 *
 * Where a value comes from, strongest first: the command line, the INI file named with --config
 * (sections [all] and [PROGRAM]; keys are the option names without "--"), the default. */
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum option_kind {
    OPTION_FLAG,     /* bool; on the command line present or =on/=off, in a file on or off */
    OPTION_COUNT,    /* int64_t, a whole number */
    OPTION_SIZE,     /* int64_t, bytes; suffixes K, M, G (powers of 1024) */
    OPTION_DURATION, /* int64_t, milliseconds; suffixes ms, s, m, h, d; a bare number is seconds */
    OPTION_TEXT,     /* char *, owned; NULL when there is no default */
    OPTION_CHOICE,   /* int64_t, the index of one of the words in `argument`, separated by '|' */
    OPTION_LIST,     /* struct option_list; given several times. No default */
};

/* In the order in which they were given. Those of the command line replace those of the file. */
struct option_list {
    char **values; /* owned, like the texts */
    size_t n;
    bool from_file; /* private */
};

struct option_row {
    const char *name; /* without "--" */
    enum option_kind kind;
    size_t offset;        /* of the member in the program's settings struct */
    const char *standard; /* the default as it would be typed; NULL = none */
    int64_t min, max;     /* for COUNT, SIZE, DURATION */
    const char *argument; /* what --help shows after the name; for CHOICE "a|b|c" */
    const char *help;     /* one sentence, no full stop */
};

/* What the OPTION(…) rows of a .def file are defined as: a member of `struct settings`, and the row
 * of the table for it. */
#define OPTION_MEMBER(kind, member, ...) OPTION_TYPE_##kind member;
#define OPTION_ROW(kind, member, name, standard, min, max, argument, help)                         \
    {                                                                                              \
        name, OPTION_##kind, offsetof(struct settings, member), standard, min, max, argument, help \
    }

#define OPTION_TYPE_FLAG bool
#define OPTION_TYPE_COUNT int64_t
#define OPTION_TYPE_SIZE int64_t
#define OPTION_TYPE_DURATION int64_t
#define OPTION_TYPE_CHOICE int64_t
#define OPTION_TYPE_TEXT char *
#define OPTION_TYPE_LIST struct option_list

/* A name that a row had in an earlier version: understood, and not in --help. */
struct option_old_name {
    const char *name, *row;
};

struct option_set {
    const char *program;  /* "freshet-fcgi": INI section and texts */
    const char *usage;    /* "[options] [INPUT]" */
    const char *summary;  /* one line that says what the program does */
    const char *epilogue; /* printed after the options; may be NULL */
    const struct option_row *rows;
    size_t n_rows;
    const struct option_old_name *old_names; /* ends with one whose name is NULL; may be NULL */
};

enum option_outcome { OPTION_RUN, OPTION_HELP, OPTION_VERSION };

/* Sets every member of *settings (zeroed before) from defaults, file and command line. Options may
 * stand before and after arguments, up to "--": argv is sorted, options first, and *rest is the
 * index of the first argument that is not an option. The rows "config", "help" and "version" are
 * understood without being listed. After OPTION_HELP or OPTION_VERSION the caller prints and ends.
 * ERR_INVALID names the option, the value and what is allowed. On error nothing needs freeing. */
enum err option_parse(const struct option_set *set, void *settings, int argc, char **argv,
                      int *rest, enum option_outcome *outcome, struct errbuf *eb);
/* Frees the texts and the lists. */
void option_finish(const struct option_set *set, void *settings);

void option_help(const struct option_set *set, FILE *out);

/* The value of a duration as option_parse reads it ("10m", "250ms", "15"); also used for queries.
 */
bool option_duration(const char *s, int64_t *ms);

#endif
