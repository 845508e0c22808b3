/* ingest: how a place in a file is known again, and which files belong to a log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

#include "ingest/bookmark.h"
#include "ingest/mark.h"
#include "ingest/rotation.h"

enum { OUT_MAX = 64 * 1024 };

/* ---- mark and bookmark ---- */

static FILE *
temporary(const char *content)
{
    FILE *file = tmpfile();

    assert_non_null(file);
    assert_int_equal(write(fileno(file), content, strlen(content)), strlen(content));
    return file;
}

static void
a_bookmark_survives_as_text(void **state)
{
    struct mark mark = {1LL << 40, 7, 1, UINT64_MAX, 0xfedcba9876543210};
    struct bookmark b = {
        .in_file = true, .at = mark, .behind = {{.line = 3, .inode = 8}, mark}, .n_behind = 2};
    struct bookmark c;
    struct errbuf eb;
    struct buf out;

    (void)state;
    buf_init(&out, BOOKMARK_TEXT_MAX);
    bookmark_write(&out, &b, TEXT_LIT("[\"id\"]\n"));
    buf_byte(&out, '\0');
    assert_int_equal(bookmark_read(&c, out.data, &eb), ERR_OK);
    assert_true(c.in_file && c.n_behind == 2 && c.behind[0].line == 3 && c.behind[0].inode == 8);
    assert_memory_equal(&c.at, &mark, sizeof mark);
    assert_memory_equal(&c.behind[1], &mark, sizeof mark);
    assert_string_equal(c.id, "[\"id\"]\n");
    bookmark_finish(&c);
    buf_clear(&out);
    bookmark_write(&out, &(struct bookmark){0}, TEXT_LIT("5"));
    buf_byte(&out, '\0');
    assert_string_equal(out.data, "{\"id\":\"5\"}");
    assert_int_equal(bookmark_read(&c, out.data, &eb), ERR_OK);
    assert_true(!c.in_file);
    bookmark_finish(&c);
    buf_finish(&out);
}

#define PLACE "\"offset\":1,\"line\":1,\"device\":1,\"inode\":1,\"print\":\"0\""

static void
a_bookmark_that_ingest_cannot_have_written_is_refused(void **state)
{
    static const char *const bad[] = {
        "x",
        "5",
        "{\"offset\":1}",
        "{\"offset\":-1,\"line\":1,\"device\":1,\"inode\":1,\"print\":\"0\"}",
        "{" PLACE ",\"behind\":5}",
        "{" PLACE ",\"behind\":[5]}",
        "{" PLACE ",\"behind\":[{}]}",
    };
    struct bookmark b;
    struct errbuf eb;
    struct buf out;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(bookmark_read(&b, bad[i], &eb), ERR_CORRUPT);
    buf_init(&out, OUT_MAX);
    for (int n = BOOKMARK_BEHIND_MAX; n <= BOOKMARK_BEHIND_MAX + 1; n++) {
        buf_clear(&out);
        buf_string(&out, "{" PLACE ",\"behind\":");
        for (int i = 0; i < n; i++)
            buf_string(&out, i ? ",{" PLACE "}" : "[{" PLACE "}");
        buf_append(&out, "]}", 3);
        assert_int_equal(bookmark_read(&b, out.data, &eb),
                         n == BOOKMARK_BEHIND_MAX ? ERR_OK : ERR_CORRUPT);
    }
    buf_finish(&out);
}

static void
a_mark_fits_the_content_it_was_taken_of(void **state)
{
    FILE *file = temporary("one\ntwo\n");
    int fd = fileno(file);
    struct mark m = {0};
    bool fits;

    (void)state;
    assert_int_equal(mark_take(&m, fd, 9), ERR_MISSING);
    assert_int_equal(mark_take(&m, fd, 4), ERR_OK);
    assert_int_equal(mark_fits(&m, fd, &fits), ERR_OK);
    assert_true(fits);
    assert_int_equal(pwrite(fd, "TWO\nthree\n", 10, 4), 10); /* what comes after it may change */
    assert_int_equal(mark_fits(&m, fd, &fits), ERR_OK);
    assert_true(fits);
    assert_int_equal(pwrite(fd, "O", 1, 0), 1);
    assert_int_equal(mark_fits(&m, fd, &fits), ERR_OK);
    assert_false(fits);
    assert_int_equal(ftruncate(fd, 3), 0);
    assert_int_equal(mark_fits(&m, fd, &fits), ERR_OK);
    assert_false(fits);
    fclose(file);
    /* A file that cannot be read is not one that does not fit. */
    assert_int_equal(mark_fits(&m, fd, &fits), ERR_IO);
    assert_int_equal(mark_take(&m, fd, 3), ERR_IO);
}

/* ---- rotation ---- */

static void
names_tell_what_belongs_to_a_log(void **state)
{
    static const struct {
        const char *file, *name, *suffix; /* NULL = it does not */
        bool packed;
    } rows[] = {
        {"log", "log.1", ".1", false},
        {"log", "log-20260101", "-20260101", false},
        {"log", "log-20260101_0400", "-20260101_0400", false},
        {"log", "log.2026-01-03", ".2026-01-03", false},
        {"log", "log.1.gz", ".1", true},
        {"log", "log-20260101.zst", "-20260101", true},
        {"0.log", "0.log.20260102-150405", ".20260102-150405", false},
        {"0.log", "0.log.20260102-150405.gz", ".20260102-150405", true},
        {"app.log", "app-20260101.log", "-20260101", false},
        {"app.log", "app.2.log", ".2", false},
        {"app.log", "app.2.log.gz", ".2", true},
        {"app.log", "app-2026-01-02T15-04-05.000.log", "-2026-01-02T15-04-05.000", false},
        {"app.log", "app.log.2026-01-02_10-00-00", ".2026-01-02_10-00-00", false},
        {"log", "log", NULL, false},
        {"log", "log.gz", NULL, false},
        {"log", "log.", NULL, false},
        {"log", "log-", NULL, false},
        {"log", "log.old", NULL, false},
        {"log", "xlog.1", NULL, false},
        {"log", "log1", NULL, false},
        {"log", "log.1~", NULL, false},
        {"log", "log--", NULL, false},
        {"log", "log.-1", NULL, false},
        {"app.log", "app.log", NULL, false},
        {"app.log", "app-ssl.log", NULL, false},
        {"app.log", "app-1-ssl.log", NULL, false},
        {"app.log", "app", NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool packed;
        struct text suffix = rotation_suffix(text_of(rows[i].file), text_of(rows[i].name), &packed);

        if (!text_equal(suffix, text_of(rows[i].suffix)) ||
            (rows[i].suffix && packed != rows[i].packed))
            fail_msg("%s of %s: \"%.*s\"", rows[i].name, rows[i].file, (int)suffix.n, suffix.p);
    }
}

static void
rotated_files_are_ordered_by_their_names(void **state)
{
    static const char *const ordered[] = {"-20251231",
                                          "-20260101",
                                          "-20260101-1200",
                                          "-20260101-1200.2",
                                          "-20260101-1200.10",
                                          ".10",
                                          ".9",
                                          ".2",
                                          ".1"};

    (void)state;
    for (size_t i = 0; i < sizeof ordered / sizeof *ordered; i++)
        for (size_t j = 0; j < sizeof ordered / sizeof *ordered; j++) {
            int order = rotation_compare(text_of(ordered[i]), text_of(ordered[j]));

            if (i < j ? order >= 0 : i > j ? order <= 0 : order != 0)
                fail_msg("%s and %s: %d", ordered[i], ordered[j], order);
        }
}

static void
a_rotated_file_tells_what_it_was_called(void **state)
{
    static const char *const rows[][2] = {
        {"/a/log.1", "/a/log"},
        {"log-20260101_0400.gz", "log"},
        {"/a/app-20260101.log", "/a/app.log"},
        {"/a/0.log.20260102-150405", "/a/0.log"},
        {"/a.1/log", NULL},
        {"0.log", NULL},
        {".1", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[100];
        bool found = rotation_original(rows[i][0], name, sizeof name);

        if (found != (rows[i][1] != NULL) || (found && strcmp(name, rows[i][1]) != 0))
            fail_msg("%s: %s", rows[i][0], found ? name : "none");
    }
    assert_false(rotation_original("log.1", (char[3]){0}, 3));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bookmark_survives_as_text),
        cmocka_unit_test(a_bookmark_that_ingest_cannot_have_written_is_refused),
        cmocka_unit_test(a_mark_fits_the_content_it_was_taken_of),
        cmocka_unit_test(names_tell_what_belongs_to_a_log),
        cmocka_unit_test(rotated_files_are_ordered_by_their_names),
        cmocka_unit_test(a_rotated_file_tells_what_it_was_called),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
