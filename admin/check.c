/* freshet check: checks a database against what freshet promises. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admin/command.h"
#include "admin/progress.h"
#include "admin/findings.h"
#include "admin/show.h"
#include "ingest/bookmark.h"
#include "sql/check.h"

struct settings {
    char *db;
    bool quick, json;
};

static const struct option_row rows[] = {
    OPTION(TEXT, db, "db", NULL, 0, 0, "FILE", "the database"),
    OPTION(FLAG, quick, "quick", "off", 0, 0, NULL,
           "do not compare the indexes with the table; faster"),
    OPTION(FLAG, json, "json", "off", 0, 0, NULL, "print one JSON object"),
};

static const struct option_set set = {
    .program = "freshet check",
    .usage = "--db FILE [--quick] [--json]",
    .summary = "Verifies a database: its structure, its rules, and what it records about itself.\n"
               "Nothing is written, and other programs may continue to use it.",
    .epilogue = "Exit status: 0 all promises hold, 1 something is broken or could not be checked,\n"
                "75 try again.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
};

/* ---- ingest positions ---- */

static enum err
judge_mark(const struct mark *m, struct errbuf *eb)
{
    if (m->line < 1 || m->line - 1 > m->offset)
        return err_set(eb, ERR_CORRUPT, "line %" PRId64 " cannot begin at byte %" PRId64, m->line,
                       m->offset);
    return m->inode ? ERR_OK : err_set(eb, ERR_CORRUPT, "no file has inode 0");
}

/* What freshet-ingest would refuse, and what it cannot have written. */
static enum err
judge_position(const char *text, struct errbuf *eb)
{
    struct bookmark p;
    enum err err = bookmark_read(&p, text, eb);

    if (err != ERR_OK)
        return err;
    if (p.in_file)
        err = judge_mark(&p.at, eb);
    for (size_t i = 0; err == ERR_OK && i < p.n_behind; i++)
        err = judge_mark(&p.behind[i], eb);
    bookmark_finish(&p);
    return err;
}

/* ---- progress ---- */

/* All that this process has read so far: SQLite reports nothing during its integrity check. */
static int64_t
bytes_read(void)
{
    int64_t bytes = 0;
    FILE *f = fopen("/proc/self/io", "re");

    /* NOLINTNEXTLINE(cert-err34-c): the kernel writes no number that is out of range */
    if (f && fscanf(f, "rchar: %" SCNd64, &bytes) != 1)
        bytes = 0;
    if (f)
        fclose(f);
    return bytes;
}

static void
tell_progress(void *context, int64_t elapsed_ms, char line[PROGRESS_LINE])
{
    struct check_watch *w = context;
    int64_t done = atomic_load(&w->done), total = atomic_load(&w->total);
    const char *part = atomic_load(&w->part);

    if (!part)
        return;
    if (total > 0 && done > 0)
        snprintf(line, PROGRESS_LINE,
                 "%s: %s, id %" PRId64 " of %" PRId64 " (%d %%), %" PRId64 " s", set.program, part,
                 done, total, (int)(100.0 * (double)done / (double)total), elapsed_ms / 1000);
    else
        snprintf(line, PROGRESS_LINE, "%s: %s, %" PRId64 " MB read, %" PRId64 " s", set.program,
                 part, bytes_read() >> 20, elapsed_ms / 1000);
}

/* ---- the command ---- */

static void
add_finding(void *context, enum check_level level, const char *part, const char *what,
            const char *cure)
{
    static const enum finding_level levels[] = {
        [CHECK_GOOD] = FINDING_OK,
        [CHECK_ODD] = FINDING_WARN,
        [CHECK_BROKEN] = FINDING_FAIL,
    };

    findings_add(context, levels[level], part, what, cure);
}

static int
check(const struct settings *settings)
{
    struct check_watch watch = {NULL, 0, 0};
    struct progress progress;
    struct findings findings;
    struct check_order order = {.path = settings->db,
                                .quick = settings->quick,
                                .position = judge_position,
                                .sink = add_finding,
                                .context = &findings,
                                .watch = &watch};
    struct errbuf eb = {""};
    enum err err;
    int status;

    if (!settings->db)
        return command_misuse(&set, "--db FILE is missing");
    show_init();
    findings_init(&findings, "db", settings->db, settings->json);
    progress_begin(&progress, tell_progress, &watch);
    findings.progress = &progress;
    err = check_database(&order, &eb);
    findings.progress = NULL;
    progress_end(&progress);
    if (err != ERR_OK)
        findings_add(&findings, FINDING_FAIL, "file", eb.text, NULL);
    status = findings_finish(&findings, "The database is sound", "The database needs attention");
    return err != ERR_OK ? err_exit_status(err) : status;
}

int
command_check(int argc, char **argv)
{
    struct settings settings = {0};
    int status;

    if (!command_options(&set, &settings, argc, argv, &status))
        return status;
    status = check(&settings);
    option_finish(&set, &settings);
    return status;
}
