/* base: texts, buffers, options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/watch.h"

static void
a_buffer_that_reached_its_bound_stays_failed(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 5);
    buf_string(&b, "hello");
    assert_false(buf_failed(&b));
    buf_byte(&b, '!');
    assert_true(buf_failed(&b));
    buf_drop(&b, 5);
    buf_byte(&b, 'x');
    assert_int_equal(b.length, 0);
    buf_finish(&b);
}

static void
json_strings_escape_what_the_format_demands(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    buf_json(&b, TEXT_LIT("a\"\\\n\x01\xc3\xa9"));
    assert_true(text_equal(buf_view(&b), TEXT_LIT("\"a\\\"\\\\\\n\\u0001\xc3\xa9\"")));
    buf_clear(&b);
    buf_json(&b, TEXT_LIT(""));
    assert_true(text_equal(buf_view(&b), TEXT_LIT("\"\"")));
    /* A path may have any bytes, and still what is written is JSON. */
    buf_clear(&b);
    buf_json(&b, TEXT_LIT("\xff\"\xc3\xa9\xed\xa0\x80\n\xc3"));
    assert_true(text_equal(
        buf_view(&b),
        TEXT_LIT(
            "\"\xef\xbf\xbd\\\"\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\\n\xef\xbf\xbd\"")));
    buf_finish(&b);
}

static void
bytes_that_are_no_utf8_are_replaced_one_by_one(void **state)
{
    static const struct {
        struct text in, out;
    } rows[] = {
        {TEXT_LIT(""), TEXT_LIT("")},
        {TEXT_LIT("a\xc3\xa9"), TEXT_LIT("a\xc3\xa9")},
        {TEXT_LIT("\xff"), TEXT_LIT("\xef\xbf\xbd")},
        {TEXT_LIT("a\xe3\x81"
                  "b\xff"),
         TEXT_LIT("a\xef\xbf\xbd\xef\xbf\xbd"
                  "b\xef\xbf\xbd")},
        {TEXT_LIT("\xed\xa0\x80"), TEXT_LIT("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd")},
        {TEXT_LIT("\xf0\x9f\x98\x80\xc3"), TEXT_LIT("\xf0\x9f\x98\x80\xef\xbf\xbd")},
    };
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf_clear(&b);
        buf_utf8(&b, rows[i].in);
        assert_true(text_equal(buf_view(&b), rows[i].out));
    }
    buf_finish(&b);
}

static void
percent_encoding_leaves_nothing_that_means_something(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 200);
    buf_percent(&b, (struct text){"aZ09-/\0\r\n\"<>%\xc3\xa9", 15}, "-/");
    assert_true(text_equal(buf_view(&b), TEXT_LIT("aZ09-/%00%0D%0A%22%3C%3E%25%C3%A9")));
    buf_finish(&b);
}

enum log_end { LOG_FILE, LOG_JOURNAL, LOG_BESIDE_JOURNAL };

/* Writes a line while standard error is a file, as systemd would have told of it or not; gives back
 * what is in the file. */
static struct text
logged(enum log_level level, const char *text, enum log_end end, char *room, size_t size)
{
    char path[] = "test_base.XXXXXX", where[80];
    int file = mkstemp(path), before = dup(STDERR_FILENO);
    struct stat st;
    ssize_t n;

    assert_true(file >= 0 && before >= 0 && fstat(file, &st) == 0);
    unlink(path);
    snprintf(where, sizeof where, "%ju:%ju", (uintmax_t)st.st_dev,
             (uintmax_t)st.st_ino + (end == LOG_BESIDE_JOURNAL));
    if (end == LOG_FILE)
        unsetenv("JOURNAL_STREAM");
    else
        setenv("JOURNAL_STREAM", where, 1);
    dup2(file, STDERR_FILENO);
    log_open("test");
    log_line(level, "%s", text);
    dup2(before, STDERR_FILENO);
    n = pread(file, room, size - 1, 0);
    close(file);
    close(before);
    assert_true(n > 0);
    room[n] = '\0';
    return text_of(room);
}

static void
a_log_line_tells_time_program_process_and_level(void **state)
{
    static const enum log_end ends[] = {LOG_FILE, LOG_BESIDE_JOURNAL};
    char room[400], rest[80];

    (void)state;
    snprintf(rest, sizeof rest, "Z test[%ld] warning: full\n", (long)getpid());
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct text line = logged(LOG_WARN, "full", ends[i], room, sizeof room);

        assert_true(line.n > 23 && line.p[10] == 'T' && line.p[19] == '.');
        assert_string_equal(line.p + 23, rest);
    }
}

/* It adds the rest itself, and takes the priority from the line: sd-daemon(3). */
static void
the_journal_of_systemd_gets_level_and_text(void **state)
{
    char room[400];

    (void)state;
    assert_string_equal(logged(LOG_ERROR, "gone", LOG_JOURNAL, room, sizeof room).p,
                        "<3>error: gone\n");
    assert_string_equal(logged(LOG_WARN, "full", LOG_JOURNAL, room, sizeof room).p,
                        "<4>warning: full\n");
    assert_string_equal(logged(LOG_INFO, "a\nb", LOG_JOURNAL, room, sizeof room).p,
                        "<6>info: a?b\n");
    log_set_level(LOG_DEBUG);
    assert_string_equal(logged(LOG_DEBUG, "x", LOG_JOURNAL, room, sizeof room).p, "<7>debug: x\n");
    log_set_level(LOG_INFO);
}

static void
a_log_line_is_one_line_whatever_it_holds(void **state)
{
    static const struct {
        const char *text, *line;
    } rows[] = {
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
         "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\n"},
        {"a\nb\rc\x1b[2Jd\x7f", "a?b?c?[2Jd?\n"},
        {"\xc2\x9b"
         "31m\xc2\x85\xc2\xa0",
         "??31m??\xc2\xa0\n"},
        {"\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaex\xe2\x81\xa6", "?????????x???\n"},
        {"\xe2\x80\xa7\xe2\x80\xaf", "\xe2\x80\xa7\xe2\x80\xaf\n"},
        {"\xff\xc0\x8a\xed\xa0\x80\xe2\x80", "????????\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char room[400];
        struct text line = logged(LOG_INFO, rows[i].text, LOG_FILE, room, sizeof room);
        const char *text = strstr(line.p, "] info: ");

        assert_non_null(text);
        assert_string_equal(text + 8, rows[i].line);
    }
}

static void
integers_are_written_in_full_range(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    buf_int(&b, INT64_MIN);
    buf_byte(&b, ' ');
    buf_int(&b, 0);
    assert_true(text_equal(buf_view(&b), TEXT_LIT("-9223372036854775808 0")));
    buf_finish(&b);
}

static void
utf8_is_checked_strictly(void **state)
{
    (void)state;
    assert_true(text_is_utf8(TEXT_LIT("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")));
    assert_false(text_is_utf8(TEXT_LIT("\xc0\xaf")));         /* overlong */
    assert_false(text_is_utf8(TEXT_LIT("\xed\xa0\x80")));     /* surrogate */
    assert_false(text_is_utf8(TEXT_LIT("\xf4\x90\x80\x80"))); /* above U+10FFFF */
    assert_false(text_is_utf8(TEXT_LIT("\xe2\x82")));         /* cut */
    for (size_t i = 0; i < 40; i++) {                         /* wherever it is */
        char s[40];

        memset(s, 'a', sizeof s);
        assert_true(text_is_utf8((struct text){s, i}));
        s[i] = '\xa9';
        assert_false(text_is_utf8((struct text){s, sizeof s}));
        assert_true(text_is_utf8((struct text){s, i}));
        if (i > 0) {
            s[i - 1] = '\xc3';
            assert_true(text_is_utf8((struct text){s, sizeof s}));
        }
    }
}

struct settings {
    bool quiet;
    int64_t count, size, wait_ms, mode;
    char *name;
    struct option_list topics;
};

#define ROW(n, k, m, d, lo, hi, a)                                                                 \
    {                                                                                              \
        n, k, offsetof(struct settings, m), d, lo, hi, a, "help"                                   \
    }
static const struct option_row rows[] = {
    ROW("quiet", OPTION_FLAG, quiet, "off", 0, 0, NULL),
    ROW("count", OPTION_COUNT, count, "3", 1, 10, "N"),
    ROW("size", OPTION_SIZE, size, "4K", 1, 1 << 20, "BYTES"),
    ROW("wait", OPTION_DURATION, wait_ms, "15s", 1, 3600000, "TIME"),
    ROW("mode", OPTION_CHOICE, mode, "slow", 0, 0, "fast|slow"),
    ROW("name", OPTION_TEXT, name, NULL, 0, 0, "TEXT"),
    ROW("topic", OPTION_LIST, topics, NULL, 0, 0, "TEXT"),
};
static const struct option_old_name old_names[] = {{"pause", "wait"}, {NULL, NULL}};
static const struct option_set set = {"prog", "[options]", "Tests.", NULL, rows, 7, old_names};

static enum err
parse(struct settings *s, struct errbuf *eb, const char *first, const char *second)
{
    char *argv[] = {"prog", (char *)first, (char *)second, NULL};
    int rest;
    enum option_outcome outcome;

    *s = (struct settings){0};
    return option_parse(&set, s, second ? 3 : first ? 2 : 1, argv, &rest, &outcome, eb);
}

static void
options_have_defaults_units_and_bounds(void **state)
{
    struct settings s;
    struct errbuf eb;

    (void)state;
    assert_int_equal(parse(&s, &eb, NULL, NULL), ERR_OK);
    assert_true(!s.quiet && s.count == 3 && s.size == 4096 && s.wait_ms == 15000 && s.mode == 1 &&
                !s.name);
    assert_int_equal(parse(&s, &eb, "--wait=250ms", "--quiet"), ERR_OK);
    assert_true(s.quiet && s.wait_ms == 250);
    assert_int_equal(parse(&s, &eb, "--count", "11"), ERR_INVALID);
    assert_non_null(strstr(eb.text, "--count"));
    assert_non_null(strstr(eb.text, "1 to 10"));
    assert_int_equal(parse(&s, &eb, "--mode", "fas"), ERR_INVALID);
    assert_int_equal(parse(&s, &eb, "--size", "9999999999G"), ERR_INVALID);
    assert_int_equal(parse(&s, &eb, "--nonsense", NULL), ERR_INVALID);
    assert_non_null(strstr(eb.text, "--nonsense"));
    assert_int_equal(parse(&s, &eb, "--name", NULL), ERR_INVALID);
}

static void
an_option_keeps_its_old_name(void **state)
{
    char path[] = "test_base.XXXXXX", text[] = "[prog]\npause = 2s\n", argument[64];
    int file = mkstemp(path);
    struct settings s;
    struct errbuf eb;

    (void)state;
    assert_int_equal(parse(&s, &eb, "--pause", "250ms"), ERR_OK);
    assert_int_equal(s.wait_ms, 250);
    assert_int_equal(parse(&s, &eb, "--pause=9h", NULL), ERR_INVALID);
    assert_non_null(strstr(eb.text, "--wait"));
    assert_true(file >= 0 && write(file, text, sizeof text - 1) == (ssize_t)sizeof text - 1);
    close(file);
    snprintf(argument, sizeof argument, "--config=%s", path);
    assert_int_equal(parse(&s, &eb, argument, NULL), ERR_OK);
    assert_int_equal(s.wait_ms, 2000);
    assert_int_equal(parse(&s, &eb, argument, "--wait=3s"), ERR_OK);
    assert_int_equal(s.wait_ms, 3000);
    unlink(path);
}

static void
options_may_stand_behind_arguments(void **state)
{
    char *argv[] = {"prog", "input", "--count", "5", "-", "--quiet", "--", "--size", NULL};
    struct settings s = {0};
    enum option_outcome outcome;
    struct errbuf eb;
    int rest;

    (void)state;
    assert_int_equal(option_parse(&set, &s, 8, argv, &rest, &outcome, &eb), ERR_OK);
    assert_true(s.count == 5 && s.quiet && s.size == 4096);
    assert_int_equal(rest, 5);
    assert_string_equal(argv[5], "input");
    assert_string_equal(argv[6], "-");
    assert_string_equal(argv[7], "--size");
}

static void
options_survive_a_failure_at_every_allocation(void **state)
{
    struct settings s;
    struct errbuf eb;
    enum err err = ERR_NOMEM;

    (void)state;
    for (long n = 1; err == ERR_NOMEM; n++) {
        mem_fail_at(n);
        err = parse(&s, &eb, "--name=x", "--topic=y");
        assert_true(n < 100);
    }
    mem_fail_at(0);
    assert_int_equal(err, ERR_OK);
    assert_string_equal(s.name, "x");
    assert_string_equal(s.topics.values[0], "y");
    option_finish(&set, &s);
}

/* Two topics in the file: they count, unless the command line names any. */
static void
lists_collect_and_the_command_line_replaces_the_file(void **state)
{
    char path[] = "test_base.XXXXXX", config[64];
    int fd = mkstemp(path);
    struct settings s;
    struct errbuf eb;

    (void)state;
    assert_true(fd >= 0 && dprintf(fd, "[all]\ntopic = a\ntopic = b\n") > 0);
    close(fd);
    snprintf(config, sizeof config, "--config=%s", path);
    assert_int_equal(parse(&s, &eb, config, NULL), ERR_OK);
    assert_int_equal(s.topics.n, 2);
    assert_string_equal(s.topics.values[1], "b");
    option_finish(&set, &s);
    assert_null(s.topics.values);
    assert_int_equal(parse(&s, &eb, config, "--topic=c"), ERR_OK);
    assert_int_equal(s.topics.n, 1);
    assert_string_equal(s.topics.values[0], "c");
    option_finish(&set, &s);
    unlink(path);
    assert_int_equal(parse(&s, &eb, "--topic=c", "--topic=d"), ERR_OK);
    assert_int_equal(s.topics.n, 2);
    assert_string_equal(s.topics.values[1], "d");
    option_finish(&set, &s);
}

/* Writes a configuration file, with NULs if need be, and reads it. */
static enum err
parse_file(struct settings *s, struct errbuf *eb, struct text file)
{
    char path[] = "test_base.XXXXXX", config[64];
    int fd = mkstemp(path);
    enum err err;

    assert_true(fd >= 0 && write(fd, file.p, file.n) == (ssize_t)file.n);
    close(fd);
    snprintf(config, sizeof config, "--config=%s", path);
    err = parse(s, eb, config, NULL);
    unlink(path);
    return err;
}

#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void
a_file_says_in_which_line_it_is_wrong(void **state)
{
    static const struct {
        struct text file;
        const char *why; /* NULL: it is right */
    } files[] = {
        {TEXT_LIT(""), NULL},
        {TEXT_LIT("[all]\nname = a"), NULL},
        {TEXT_LIT("[all]\r\nname = a\r\n; c\n# d\n\nother's = 1\n[other]\nx = 1\n"), NULL},
        {TEXT_LIT("[all]\n  count = 2\n\tname = a ; c\n"), NULL}, /* no continuation of another */
        {TEXT_LIT("[all]\nname = " X50 X50 X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"),
         NULL},
        {TEXT_LIT("[all]\nname = " X50 X50 X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"),
         ":2: the line is longer"},
        {TEXT_LIT("[all]\nname = " X50 X50 X50 X50 "\n"), ":2: the line is longer"},
        {TEXT_LIT("[all]\nname = " X50 X50 X50 X50), ":2: the line is longer"},
        {TEXT_LIT("[all]\nname = a\0b\n"), ":2: the line has a NUL"},
        {TEXT_LIT("[all]\nnonsense\ncount = 99\n"), ":2: neither"},
        {TEXT_LIT("[all]\ncount = 99\nnonsense\n"), ":2: --count"},
        {TEXT_LIT("[all]\ncount = 99\ncount = 1\n"), ":2: --count"}, /* the first is told */
        {TEXT_LIT("[prog]\nname = a\nother's = 1\n"), ":3: \"other's\" is not a setting"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct settings s;
        struct errbuf eb = {""};
        enum err err = parse_file(&s, &eb, files[i].file);

        if (err != (files[i].why ? ERR_INVALID : ERR_OK) ||
            (files[i].why && !strstr(eb.text, files[i].why)))
            fail_msg("row %zu: %d \"%s\"", i, (int)err, eb.text);
        if (err == ERR_OK)
            option_finish(&set, &s);
    }
}

static void
what_cannot_be_read_is_no_empty_file(void **state)
{
    struct settings s;
    struct errbuf eb;

    (void)state;
    assert_int_equal(parse(&s, &eb, "--config=/nonexistent/file", NULL), ERR_IO);
    assert_int_equal(parse(&s, &eb, "--config=/", NULL), ERR_IO);
    assert_non_null(strstr(eb.text, "/"));
}

/* ---- watch ---- */

static bool
is_woken(const struct watch *w)
{
    struct pollfd p = {.fd = watch_fd(w), .events = POLLIN};

    return poll(&p, 1, 0) == 1; /* inotify queues an event before the call that causes it returns */
}

static void
a_watch_wakes_by_what_it_was_asked_for(void **state)
{
    const char *tmpdir = getenv("TMPDIR");
    char dir[200], a[220], b[220];
    struct watch w;
    int fd, number;

    (void)state;
    snprintf(dir, sizeof dir, "%s/test_base.XXXXXX", tmpdir ? tmpdir : "/tmp");
    assert_non_null(mkdtemp(dir));
    snprintf(a, sizeof a, "%s/a", dir);
    snprintf(b, sizeof b, "%s/b", dir);
    fd = open(a, O_CREAT | O_WRONLY, 0600);
    watch_open(&w);
    number = watch_directory(&w, dir, WATCH_WRITES);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_true(is_woken(&w));
    assert_false(watch_clear(&w, "b"));
    assert_int_equal(write(fd, "x", 1), 1);
    assert_true(watch_clear(&w, "a"));
    assert_false(is_woken(&w));
    watch_drop(&w, number);
    watch_clear(&w, NULL); /* that it is not watched any more */
    watch_directory(&w, dir, WATCH_NAMES);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_false(is_woken(&w));
    assert_int_equal(rename(a, b), 0);
    assert_true(is_woken(&w));
    assert_true(watch_clear(&w, NULL));
    watch_file(&w, fd); /* under its new name */
    assert_int_equal(write(fd, "x", 1), 1);
    assert_true(watch_clear(&w, NULL));
    watch_close(&w);
    assert_int_equal(watch_file(&w, fd), -1);
    assert_false(watch_clear(&w, NULL));
    close(fd);
    unlink(b);
    rmdir(dir);
}

static void
a_text_is_cut_at_each_separator(void **state)
{
    struct text rest = TEXT_LIT("a=b=c"), part;

    (void)state;
    assert_true(text_cut(&rest, '=', &part));
    assert_true(text_equal(part, TEXT_LIT("a")));
    assert_true(text_cut(&rest, '=', &part));
    assert_true(text_equal(part, TEXT_LIT("b")));
    assert_true(text_equal(rest, TEXT_LIT("c")));
    assert_false(text_cut(&rest, '=', &part));
    assert_true(text_equal(part, TEXT_LIT("c")));
    assert_true(text_equal(rest, TEXT_LIT("")));
    rest = TEXT_LIT("end=");
    assert_true(text_cut(&rest, '=', &part)); /* what follows is empty, but it was there */
    assert_true(text_equal(rest, TEXT_LIT("")));
    rest = TEXT_NONE;
    assert_false(text_cut(&rest, '=', &part));
    assert_true(text_equal(part, TEXT_NONE) && text_equal(rest, TEXT_NONE));
}

static void
only_blanks_at_the_ends_are_trimmed(void **state)
{
    (void)state;
    assert_true(text_equal(text_trim(TEXT_LIT(" \ta b\r "), " \t\r"), TEXT_LIT("a b")));
    assert_true(text_equal(text_trim(TEXT_LIT("\ra "), " \t"), TEXT_LIT("\ra")));
    assert_true(text_equal(text_trim(TEXT_LIT(" \0 "), " "), TEXT_LIT("\0")));
    assert_true(text_equal(text_trim(TEXT_LIT("  "), " "), TEXT_LIT("")));
    assert_true(text_equal(text_without_line_end(TEXT_LIT("a\n\r\n")), TEXT_LIT("a\n")));
    assert_true(text_equal(text_without_line_end(TEXT_LIT("a\n")), TEXT_LIT("a")));
}

static void
an_array_grows_by_doubling_and_keeps_what_it_has(void **state)
{
    size_t n = 0, capacity = 0, moves = 0, before;
    int *numbers = NULL;

    (void)state;
    for (; n < 1000; n++) {
        before = capacity;
        assert_true(mem_grow(&numbers, n, &capacity, sizeof *numbers, 3));
        moves += capacity != before;
        numbers[n] = (int)n;
    }
    assert_int_equal(capacity, 3 << 9);
    assert_int_equal(moves, 10);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(numbers[i], (int)i);
    n = capacity;
    mem_fail_at(1);
    assert_false(mem_grow(&numbers, n, &capacity, sizeof *numbers, 3));
    mem_fail_at(0);
    assert_int_equal(capacity, n);
    assert_int_equal(numbers[999], 999);
    mem_free(numbers);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_that_reached_its_bound_stays_failed),
        cmocka_unit_test(json_strings_escape_what_the_format_demands),
        cmocka_unit_test(bytes_that_are_no_utf8_are_replaced_one_by_one),
        cmocka_unit_test(percent_encoding_leaves_nothing_that_means_something),
        cmocka_unit_test(a_log_line_is_one_line_whatever_it_holds),
        cmocka_unit_test(a_log_line_tells_time_program_process_and_level),
        cmocka_unit_test(the_journal_of_systemd_gets_level_and_text),
        cmocka_unit_test(integers_are_written_in_full_range),
        cmocka_unit_test(a_text_is_cut_at_each_separator),
        cmocka_unit_test(only_blanks_at_the_ends_are_trimmed),
        cmocka_unit_test(an_array_grows_by_doubling_and_keeps_what_it_has),
        cmocka_unit_test(utf8_is_checked_strictly),
        cmocka_unit_test(options_have_defaults_units_and_bounds),
        cmocka_unit_test(an_option_keeps_its_old_name),
        cmocka_unit_test(options_may_stand_behind_arguments),
        cmocka_unit_test(options_survive_a_failure_at_every_allocation),
        cmocka_unit_test(lists_collect_and_the_command_line_replaces_the_file),
        cmocka_unit_test(a_file_says_in_which_line_it_is_wrong),
        cmocka_unit_test(what_cannot_be_read_is_no_empty_file),
        cmocka_unit_test(a_watch_wakes_by_what_it_was_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
