#include "base/option.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

/* getopt_long gives back these values for the three rows that every program has; those of a
 * program's own rows start at ROW_BASE. */
enum { VALUE_CONFIG = 256, VALUE_HELP, VALUE_VERSION, ROW_BASE };

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

struct unit {
    const char *suffix;
    int64_t factor;
};

static const struct unit sizes[] = {
    {"", 1},
    {"K", 1024},
    {"M", 1024 * 1024},
    {"G", 1024 * 1024 * 1024},
};
static const struct unit durations[] = {
    {"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 86400 * 1000},
};
static const struct unit plain[] = {{"", 1}};

static bool
parse_number(const char *s, const struct unit *units, size_t n_units, int64_t *value)
{
    size_t digits = strspn(s, "0123456789");
    long long number;

    if (!text_to_int64((struct text){s, digits}, &number))
        return false;
    for (size_t i = 0; i < n_units; i++)
        if (strcmp(s + digits, units[i].suffix) == 0)
            return !__builtin_mul_overflow(number, units[i].factor, value);
    return false;
}

bool
option_duration(const char *s, int64_t *ms)
{
    return parse_number(s, durations, COUNT_OF(durations), ms);
}

static bool
parse_choice(const char *words, const char *s, int64_t *index)
{
    size_t n = strlen(s);

    for (*index = 0; words; (*index)++) {
        const char *bar = strchr(words, '|');

        if (n > 0 && (bar ? (size_t)(bar - words) : strlen(words)) == n &&
            strncmp(words, s, n) == 0)
            return true;
        words = bar ? bar + 1 : NULL;
    }
    return false;
}

static enum err
bad_value(const struct option_row *row, const char *s, struct errbuf *eb)
{
    switch (row->kind) {
    case OPTION_FLAG:
        return err_set(eb, ERR_INVALID, "--%s: \"%s\" is neither on nor off", row->name, s);
    case OPTION_CHOICE:
        return err_set(eb, ERR_INVALID, "--%s: \"%s\" is not one of %s", row->name, s,
                       row->argument);
    case OPTION_COUNT:
        return err_set(eb, ERR_INVALID, "--%s: \"%s\" is not a whole number from %lld to %lld",
                       row->name, s, (long long)row->min, (long long)row->max);
    case OPTION_SIZE:
        return err_set(eb, ERR_INVALID,
                       "--%s: \"%s\" is not a number of bytes from %lld to %lld (suffixes K, M, G)",
                       row->name, s, (long long)row->min, (long long)row->max);
    case OPTION_DURATION:
        return err_set(eb, ERR_INVALID,
                       "--%s: \"%s\" is not a duration from %lld ms to %lld ms (suffixes ms, s, m, "
                       "h, d)",
                       row->name, s, (long long)row->min, (long long)row->max);
    case OPTION_TEXT:
    case OPTION_LIST:
        break;
    }
    return err_set(eb, ERR_INVALID, "--%s: \"%s\" cannot be read", row->name, s);
}

static bool
parse_value(const struct option_row *row, const char *s, int64_t *value)
{
    switch (row->kind) {
    case OPTION_COUNT:
        return parse_number(s, plain, COUNT_OF(plain), value);
    case OPTION_SIZE:
        return parse_number(s, sizes, COUNT_OF(sizes), value);
    case OPTION_DURATION:
        return parse_number(s, durations, COUNT_OF(durations), value);
    case OPTION_CHOICE:
        return parse_choice(row->argument, s, value);
    case OPTION_FLAG:
        return parse_choice("off|on", s, value);
    case OPTION_TEXT:
    case OPTION_LIST:
        break;
    }
    return false;
}

static void
clear_list(struct option_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        mem_free(list->values[i]);
    mem_free(list->values);
    *list = (struct option_list){0};
}

/* Takes the copy over. */
static enum err
add_to_list(struct option_list *list, char *copy, struct errbuf *eb)
{
    char **values;

    if (list->from_file)
        clear_list(list);
    values = mem_realloc(list->values, (list->n + 1) * sizeof *values);
    if (!values) {
        mem_free(copy);
        return err_nomem(eb);
    }
    list->values = values;
    list->values[list->n++] = copy;
    return ERR_OK;
}

static enum err
set_text(const struct option_row *row, void *member, const char *s, struct errbuf *eb)
{
    char *copy = mem_copy(text_of(s));

    if (!copy)
        return err_nomem(eb);
    if (row->kind == OPTION_LIST)
        return add_to_list(member, copy, eb);
    mem_free(*(char **)member);
    *(char **)member = copy;
    return ERR_OK;
}

static enum err
set_value(const struct option_row *row, void *settings, const char *s, struct errbuf *eb)
{
    char *member = (char *)settings + row->offset;
    int64_t value;

    if (row->kind == OPTION_TEXT || row->kind == OPTION_LIST)
        return set_text(row, member, s, eb);
    if (!parse_value(row, s, &value))
        return bad_value(row, s, eb);
    if (row->kind == OPTION_FLAG) {
        *(bool *)member = value != 0;
        return ERR_OK;
    }
    if (row->kind != OPTION_CHOICE && (value < row->min || value > row->max))
        return bad_value(row, s, eb);
    *(int64_t *)member = value;
    return ERR_OK;
}

static enum err
set_defaults(const struct option_set *set, void *settings, struct errbuf *eb)
{
    for (size_t i = 0; i < set->n_rows; i++) {
        const char *standard = set->rows[i].standard;

        if (standard) {
            enum err err = set_value(&set->rows[i], settings, standard, eb);

            if (err != ERR_OK)
                return err;
        }
    }
    return ERR_OK;
}

/* What the INI reader's callbacks need. */
struct file_load {
    const struct option_set *set;
    void *settings;
    FILE *file;
    int line;     /* the number of the last one that was read */
    enum err err; /* of that line; nothing is read after it */
    struct errbuf why;
};

/* One line for libinih, without indentation. By itself libinih would take what does not fit into
 * `room` for a line of its own, drop what follows a NUL, and take an indented line for another
 * value of the setting above. */
static char *
read_line(char *line, int room, void *user)
{
    struct file_load *load = user;
    int n = 0, c;

    if (load->err != ERR_OK)
        return NULL;
    load->line++;
    do
        c = getc(load->file);
    while (c == ' ' || c == '\t');
    for (; c != EOF && c != '\n'; c = getc(load->file)) {
        if (c == '\0')
            load->err = err_set(&load->why, ERR_INVALID, "the line has a NUL byte");
        else if (n == room - 2)
            load->err = err_set(&load->why, ERR_INVALID,
                                "the line is longer than %d bytes; give this setting on the "
                                "command line",
                                room - 2);
        if (load->err != ERR_OK)
            return NULL;
        line[n++] = (char)c;
    }
    line[n] = '\n';
    line[n + 1] = '\0';
    return c == EOF && n == 0 ? NULL : line;
}

/* The index of the row that has, or once had, this name; n_rows = none. */
static size_t
find_row(const struct option_set *set, const char *name)
{
    size_t i = 0;

    for (const struct option_old_name *old = set->old_names; old && old->name; old++)
        if (strcmp(old->name, name) == 0)
            name = old->row;
    while (i < set->n_rows && strcmp(set->rows[i].name, name) != 0)
        i++;
    return i;
}

static int
take_pair(void *user, const char *section, const char *name, const char *value)
{
    struct file_load *load = user;
    size_t i;

    if (strcmp(section, "all") != 0 && strcmp(section, load->set->program) != 0)
        return 1;
    i = find_row(load->set, name);
    if (i < load->set->n_rows) {
        load->err = set_value(&load->set->rows[i], load->settings, value, &load->why);
        return load->err == ERR_OK;
    }
    if (strcmp(section, "all") == 0) /* another program's setting */
        return 1;
    load->err =
        err_set(&load->why, ERR_INVALID, "\"%s\" is not a setting of %s", name, load->set->program);
    return 0;
}

static enum err
load_file(const struct option_set *set, void *settings, const char *path, struct errbuf *eb)
{
    struct file_load load = {.set = set, .settings = settings, .file = fopen(path, "re")};
    int line, error = errno;

    if (!load.file)
        return err_set(eb, ERR_IO, "--config %s: %s", path, strerror(error));
    line = ini_parse_stream(read_line, &load, take_pair, &load);
    error = ferror(load.file) ? errno : 0;
    fclose(load.file);
    if (error)
        return err_set(eb, ERR_IO, "--config %s: %s", path, strerror(error));
    if (line > 0 && (load.err == ERR_OK || line < load.line))
        return err_set(eb, ERR_INVALID, "%s:%d: neither [section] nor name = value", path, line);
    if (load.err != ERR_OK)
        return err_set(eb, load.err, "%s:%d: %s", path, load.line, load.why.text);
    for (size_t i = 0; i < set->n_rows; i++)
        if (set->rows[i].kind == OPTION_LIST)
            ((struct option_list *)((char *)settings + set->rows[i].offset))->from_file = true;
    return ERR_OK;
}

/* getopt leaves a short option's letter in optopt; where several stand together, optind is still at
 * the argument that has them. */
static enum err
unknown_option(const struct option_set *set, char **argv, struct errbuf *eb)
{
    char letter[] = {'-', (char)optopt, '\0'};
    bool is_short = optopt > 0 && optopt < VALUE_CONFIG;

    return err_set(eb, ERR_INVALID,
                   "%s is not an option of %s, or takes no value; arguments after -- are not "
                   "options",
                   is_short ? letter : argv[optind - 1], set->program);
}

/* One walk over argv, which getopt_long sorts: options first, then the other arguments. Given
 * only_config, it looks for --config, --help and --version and sets nothing else, because the file
 * has to be read before the command line overrides it. */
static enum err
walk(const struct option_set *set, const struct option *table, void *settings, int argc,
     char **argv, bool only_config, const char **config, enum option_outcome *outcome,
     struct errbuf *eb)
{
    enum err err = ERR_OK;
    int value;

    optind = 0; /* glibc: start over, also with its own state */
    opterr = 0;
    while (err == ERR_OK && (value = getopt_long(argc, argv, ":hV", table, NULL)) != -1) {
        if (value == 'h' || value == VALUE_HELP)
            *outcome = OPTION_HELP;
        else if (value == 'V' || value == VALUE_VERSION)
            *outcome = OPTION_VERSION;
        else if (value == VALUE_CONFIG)
            *config = optarg;
        else if (value == ':')
            err = err_set(eb, ERR_INVALID, "%s needs a value", argv[optind - 1]);
        else if (value == '?')
            err = unknown_option(set, argv, eb);
        else if (!only_config)
            err = set_value(&set->rows[value - ROW_BASE], settings, optarg ? optarg : "on", eb);
    }
    return err;
}

static struct option
long_option(const struct option_set *set, const char *name)
{
    size_t i = find_row(set, name);
    bool is_flag = set->rows[i].kind == OPTION_FLAG;

    return (struct option){name, is_flag ? optional_argument : required_argument, NULL,
                           ROW_BASE + (int)i};
}

static struct option *
make_table(const struct option_set *set)
{
    const struct option_old_name *old = set->old_names;
    size_t n = 0, n_old = 0;
    struct option *table;

    while (old && old[n_old].name)
        n_old++;
    table = mem_zalloc((set->n_rows + n_old + 4) * sizeof *table);
    if (!table)
        return NULL;
    while (n < set->n_rows) {
        table[n] = long_option(set, set->rows[n].name);
        n++;
    }
    for (size_t i = 0; i < n_old; i++)
        table[n++] = long_option(set, old[i].name);
    table[n++] = (struct option){"config", required_argument, NULL, VALUE_CONFIG};
    table[n++] = (struct option){"help", no_argument, NULL, VALUE_HELP};
    table[n] = (struct option){"version", no_argument, NULL, VALUE_VERSION};
    return table;
}

enum err
option_parse(const struct option_set *set, void *settings, int argc, char **argv, int *rest,
             enum option_outcome *outcome, struct errbuf *eb)
{
    struct option *table = make_table(set);
    const char *config = NULL;
    enum err err;

    *outcome = OPTION_RUN;
    if (!table)
        return err_nomem(eb);
    err = walk(set, table, settings, argc, argv, true, &config, outcome, eb);
    if (err == ERR_OK && *outcome == OPTION_RUN)
        err = set_defaults(set, settings, eb);
    if (err == ERR_OK && *outcome == OPTION_RUN && config)
        err = load_file(set, settings, config, eb);
    if (err == ERR_OK && *outcome == OPTION_RUN)
        err = walk(set, table, settings, argc, argv, false, &config, outcome, eb);
    *rest = optind;
    mem_free(table);
    if (err != ERR_OK)
        option_finish(set, settings);
    return err;
}

void
option_finish(const struct option_set *set, void *settings)
{
    for (size_t i = 0; i < set->n_rows; i++) {
        void *member = (char *)settings + set->rows[i].offset;

        if (set->rows[i].kind == OPTION_TEXT) {
            mem_free(*(char **)member);
            *(char **)member = NULL;
        } else if (set->rows[i].kind == OPTION_LIST) {
            clear_list(member);
        }
    }
}

static void
print_row(FILE *out, const char *name, const char *argument, const char *help, const char *standard)
{
    char left[64];

    snprintf(left, sizeof left, "--%s%s%s", name, argument ? " " : "", argument ? argument : "");
    fprintf(out, "  %-32s %s%s", left,
            strlen(left) > 32 ? "\n                                   " : "", help);
    if (standard)
        fprintf(out, " (default: %s)", standard);
    fputc('\n', out);
}

void
option_help(const struct option_set *set, FILE *out)
{
    fprintf(out, "Usage: %s %s\n%s\n\nOptions:\n", set->program, set->usage, set->summary);
    for (size_t i = 0; i < set->n_rows; i++) {
        const struct option_row *row = &set->rows[i];

        print_row(out, row->name, row->kind == OPTION_FLAG ? NULL : row->argument, row->help,
                  row->kind == OPTION_FLAG ? NULL : row->standard);
    }
    print_row(out, "config", "FILE",
              "read settings from this INI file, sections [all] and this "
              "program's name; the command line wins",
              NULL);
    print_row(out, "help", NULL, "print this and exit", NULL);
    print_row(out, "version", NULL, "print the version and exit", NULL);
    if (set->epilogue)
        fprintf(out, "\n%s\n", set->epilogue);
}
