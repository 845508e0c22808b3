/* Configuration files and values of options.
 *
 * Input: the file. What is taken must be within its bounds; written down and read
 * again it must be the same; and a refusal must say where. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "fcgi/settings.h"
#include "tests/fuzz/fuzz.h"

const char fuzz_name[] = "config";

static char path[64];
static int file = -1;

static void
write_file(struct text s)
{
    if (file < 0) {
        file = memfd_create("config", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    if (file < 0 || ftruncate(file, 0) < 0 || pwrite(file, s.p, s.n, 0) != (ssize_t)s.n)
        abort();
}

static enum err
load(struct text s, struct settings *settings, struct errbuf *eb)
{
    char *argv[] = {"freshet-fcgi", "--config", path, "--workers=3", NULL};
    enum option_outcome outcome;
    int rest;
    enum err err;

    write_file(s);
    *settings = (struct settings){0};
    eb->text[0] = '\0';
    err = option_parse(&settings_options, settings, 4, argv, &rest, &outcome, eb);
    FUZZ_CHECK(err != ERR_OK || (outcome == OPTION_RUN && rest == 4), "outcome %d", (int)outcome);
    return err;
}

static int64_t
number(const struct settings *s, const struct option_row *row)
{
    const char *member = (const char *)s + row->offset;

    return row->kind == OPTION_FLAG ? *(const bool *)member : *(const int64_t *)member;
}

static const char *
string(const struct settings *s, const struct option_row *row)
{
    return *(char *const *)((const char *)s + row->offset);
}

static const struct option_list *
list(const struct settings *s, const struct option_row *row)
{
    return (const struct option_list *)((const char *)s + row->offset);
}

static bool
is_number(const struct option_row *row)
{
    return row->kind != OPTION_TEXT && row->kind != OPTION_LIST;
}

/* The n-th of the words in "a|b|c". */
static struct text
word(const char *words, int64_t n)
{
    while (n-- > 0)
        words = strchr(words, '|') + 1;
    return (struct text){words, strcspn(words, "|")};
}

static void
check_bounds(const struct settings *s)
{
    for (size_t i = 0; i < settings_options.n_rows; i++) {
        const struct option_row *row = &settings_options.rows[i];
        int64_t value = is_number(row) ? number(s, row) : 0;

        if (row->kind == OPTION_COUNT || row->kind == OPTION_SIZE || row->kind == OPTION_DURATION)
            FUZZ_CHECK(value >= row->min && value <= row->max, "%s is %lld", row->name,
                       (long long)value);
        else if (row->kind == OPTION_CHOICE)
            FUZZ_CHECK(value >= 0 && word(row->argument, value).n > 0, "%s is %lld", row->name,
                       (long long)value);
    }
    FUZZ_CHECK(s->workers == 3, "the command line does not win");
}

/* What the file format can carry: it drops blanks around a value and takes " ;" for a comment. */
static bool
is_plain(const char *s)
{
    size_t n = strlen(s);

    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] <= ' ' || s[i] == ';')
            return false;
    return n > 0;
}

/* True when the text can be written down as one line that is not too long. */
static bool
fits(const char *s)
{
    return s && is_plain(s) && strlen(s) < 150;
}

/* The same of all texts that the setting has. */
static bool
all_fit(const struct settings *s, const struct option_row *row)
{
    bool fit = row->kind != OPTION_TEXT || fits(string(s, row));

    for (size_t i = 0; row->kind == OPTION_LIST && i < list(s, row)->n; i++)
        fit = fit && fits(list(s, row)->values[i]);
    return fit;
}

static void
check_same(const struct settings *a, const struct settings *b, const struct option_row *row,
           const char *what)
{
    if (is_number(row))
        FUZZ_CHECK(number(a, row) == number(b, row), "%s", what);
    if (row->kind == OPTION_TEXT)
        FUZZ_CHECK(strcmp(string(a, row), string(b, row)) == 0, "%s is \"%s\"", what,
                   string(b, row));
    if (row->kind != OPTION_LIST)
        return;
    FUZZ_CHECK(list(a, row)->n == list(b, row)->n, "%s has %zu", what, list(b, row)->n);
    for (size_t i = 0; i < list(a, row)->n; i++)
        FUZZ_CHECK(strcmp(list(a, row)->values[i], list(b, row)->values[i]) == 0, "%s is \"%s\"",
                   what, list(b, row)->values[i]);
}

/* Of a list a line for each. */
static void
put_setting(struct buf *b, const struct settings *s, const struct option_row *row)
{
    for (size_t i = 0; row->kind == OPTION_LIST && i < list(s, row)->n; i++)
        buf_format(b, "%s = %s\n", row->name, list(s, row)->values[i]);
    if (row->kind == OPTION_LIST)
        return;
    buf_format(b, "%s = ", row->name);
    switch (row->kind) {
    case OPTION_FLAG:
        buf_string(b, number(s, row) ? "on" : "off");
        break;
    case OPTION_COUNT:
    case OPTION_SIZE:
        buf_int(b, number(s, row));
        break;
    case OPTION_DURATION:
        buf_format(b, "%lldms", (long long)number(s, row));
        break;
    case OPTION_CHOICE:
        buf_text(b, word(row->argument, number(s, row)));
        break;
    case OPTION_LIST:
        break;
    case OPTION_TEXT:
        buf_string(b, string(s, row));
        break;
    }
    buf_byte(b, '\n');
}

static void
check_again(const struct settings *s)
{
    struct settings again;
    struct errbuf eb;
    struct buf b;

    buf_init(&b, SIZE_MAX / 2);
    buf_string(&b, "[freshet-fcgi]\n");
    for (size_t i = 0; i < settings_options.n_rows; i++) {
        const struct option_row *row = &settings_options.rows[i];

        if (all_fit(s, row))
            put_setting(&b, s, row);
    }
    FUZZ_CHECK(load(buf_view(&b), &again, &eb) == ERR_OK, "%s", eb.text);
    for (size_t i = 0; i < settings_options.n_rows; i++) {
        const struct option_row *row = &settings_options.rows[i];

        if (all_fit(s, row))
            check_same(s, &again, row, row->name);
    }
    option_finish(&settings_options, &again);
    buf_finish(&b);
}

/* The reason names the file and the line, and the line exists. */
static void
check_refusal(struct text s, const char *why)
{
    size_t n = strlen(path), lines = 1;
    long line = strncmp(why, path, n) == 0 && why[n] == ':' ? strtol(why + n + 1, NULL, 10) : 0;

    for (size_t i = 0; i < s.n; i++)
        lines += s.p[i] == '\n';
    FUZZ_CHECK(line >= 1 && (size_t)line <= lines, "of %zu lines: %s", lines, why);
}

/* Exchanged settings are whole, whichever side frees them. */
static void
check_reload(struct settings *s)
{
    struct settings fresh;
    struct errbuf eb;
    const char *differs;

    if (load(TEXT_LIT("[all]\nlisten = tcp:x:1\ncors-origin = https://a.example\n"), &fresh, &eb) !=
        ERR_OK)
        FUZZ_CHECK(false, "%s", eb.text);
    differs = settings_reload(s, &fresh);
    FUZZ_CHECK(s->cors_origin && strcmp(s->cors_origin, "https://a.example") == 0, "not reloaded");
    FUZZ_CHECK(s->listen == NULL || differs || strcmp(s->listen, "tcp:x:1") == 0, "listen");
    option_finish(&settings_options, &fresh);
}

/* A text of any length is read as it is, or refused; never in part. */
static void
check_long(const char *s)
{
    char *value = mem_copy((struct text){s, strcspn(s, "\n")});
    struct settings settings;
    struct errbuf eb;
    struct buf b;

    buf_init(&b, SIZE_MAX / 2);
    buf_format(&b, "[all]\ndb = %s\n", value);
    if (is_plain(value) && load(buf_view(&b), &settings, &eb) == ERR_OK) {
        FUZZ_CHECK(strcmp(settings.db, value) == 0, "\"%s\" became \"%s\"", value, settings.db);
        option_finish(&settings_options, &settings);
    }
    mem_free(value);
    buf_finish(&b);
}

/* A value as the command line has it says the same in a file. */
static void
check_on_command_line(const struct settings *s)
{
    for (size_t i = 0; i < settings_options.n_rows; i++) {
        const struct option_row *row = &settings_options.rows[i];
        struct settings again = {0};
        char *argv[] = {"freshet-fcgi", NULL, NULL};
        enum option_outcome outcome;
        struct errbuf eb;
        struct buf b;
        int rest;

        if ((row->kind == OPTION_TEXT && !string(s, row)) ||
            (row->kind == OPTION_LIST && list(s, row)->n != 1))
            continue;
        buf_init(&b, SIZE_MAX / 2);
        buf_format(&b, "--%s=", row->name);
        if (row->kind == OPTION_TEXT) {
            buf_string(&b, string(s, row));
        } else if (row->kind == OPTION_LIST) {
            buf_string(&b, list(s, row)->values[0]);
        } else {
            struct buf line;

            buf_init(&line, SIZE_MAX / 2);
            put_setting(&line, s, row);
            buf_append(&b, line.data + strlen(row->name) + 3, line.length - strlen(row->name) - 4);
            buf_finish(&line);
        }
        argv[1] = buf_take(&b);
        FUZZ_CHECK(option_parse(&settings_options, &again, 2, argv, &rest, &outcome, &eb) == ERR_OK,
                   "%s: %s", argv[1], eb.text);
        check_same(s, &again, row, argv[1]);
        option_finish(&settings_options, &again);
        mem_free(argv[1]);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct fuzz f = fuzz_begin(bytes, n);
    struct text s = fuzz_rest(&f);
    struct settings settings;
    struct errbuf eb;
    char *first = mem_copy(s);
    enum err err;

    check_long(first);
    mem_free(first);
    err = load(s, &settings, &eb);
    FUZZ_CHECK(err == ERR_OK || err == ERR_INVALID, "%d: %s", (int)err, eb.text);
    if (err == ERR_INVALID) {
        check_refusal(s, eb.text);
        return 0;
    }
    check_bounds(&settings);
    check_again(&settings);
    check_on_command_line(&settings);
    settings_check(&settings, NULL);
    check_reload(&settings);
    option_finish(&settings_options, &settings);
    return 0;
}
