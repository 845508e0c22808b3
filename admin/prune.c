/* freshet prune: deletes old events in batches that let other writers through. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "admin/command.h"
#include "base/clock.h"
#include "sql/store.h"

/* A batch holds the write lock for about 50 ms. Others that wait for it look again after 1, 2, 5,
 * 10 … ms, so a pause of 10 ms between batches gives them a chance.
 *
 * An application whose database this is may not wait at all: Rails and PHP set no busy timeout. So
 * there a batch takes 2 ms, and the lock is free nine tenths of the time. */
enum { BATCH_ROWS = 5000, PAUSE_MS = 10, GUEST_BATCH_ROWS = 200, GUEST_PAUSE_MS = 20 };

struct settings {
    char *db;
    int64_t keep_rows, older_than_ms, through; /* 0 = not given */
    bool dry_run;
};

static const struct option_row rows[] = {
    OPTION(TEXT, db, "db", NULL, 0, 0, "FILE", "the database"),
    OPTION(COUNT, keep_rows, "keep-rows", NULL, 1, UINT32_MAX, "N", "keep the newest N events"),
    OPTION(DURATION, older_than_ms, "older-than", NULL, 1, INT64_MAX, "TIME",
           "delete events created longer ago than this (10m, 36h, 30d)"),
    OPTION(COUNT, through, "through", NULL, 1, INT64_MAX, "ID",
           "delete events up to and including this id"),
    OPTION(FLAG, dry_run, "dry-run", "off", 0, 0, NULL,
           "only print how many events would be deleted"),
};

static const struct option_set set = {
    .program = "freshet prune",
    .usage = "--db FILE {--keep-rows N | --older-than TIME | --through ID} [--dry-run]",
    .summary =
        "Deletes old events. Ids are not reused, and clients with a position among the deleted\n"
        "events are told. The file keeps its size; its free space is reused.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
};

/* The id up to which events are to go. */
static enum err
find_end(const struct settings *settings, struct store *store, int64_t *through, struct errbuf *eb)
{
    uint32_t found;
    bool done;

    if (settings->keep_rows)
        return store_last(store, NULL, 0, (uint32_t)settings->keep_rows, &store_step_all, through,
                          &found, &done, eb);
    if (settings->older_than_ms)
        return store_since(store, clock_wall_ms() - settings->older_than_ms, through, eb);
    *through = settings->through;
    return ERR_OK;
}

static void
show_progress(int64_t deleted, int64_t total)
{
    fprintf(stderr, "\r%" PRId64 " of %" PRId64 " events deleted (%d %%)", deleted, total,
            total > 0 ? (int)(100 * (double)deleted / (double)total) : 100);
}

static enum err
delete_through(struct store *store, int64_t through, int64_t total, int64_t *deleted,
               struct errbuf *eb)
{
    bool progress = isatty(STDERR_FILENO), guest = store_is_guest(store);
    uint32_t batch = 0, rows_max = guest ? GUEST_BATCH_ROWS : BATCH_ROWS;
    struct timespec pause = {0, (guest ? GUEST_PAUSE_MS : PAUSE_MS) * 1000000};
    enum err err;

    while ((err = store_prune(store, through, rows_max, &batch, eb)) == ERR_OK && batch > 0) {
        *deleted += batch;
        if (progress)
            show_progress(*deleted, total);
        if (batch < rows_max)
            break;
        nanosleep(&pause, NULL);
    }
    if (progress && *deleted > 0)
        fputc('\n', stderr);
    return err;
}

static enum err
prune(const struct settings *settings, struct store *store, struct errbuf *eb)
{
    int64_t through, total, deleted = 0;
    struct marks marks;
    enum err err = find_end(settings, store, &through, eb);

    if (err == ERR_OK)
        err = store_count(store, through, &total, eb);
    if (err == ERR_OK && settings->dry_run) {
        printf("%" PRId64 " events would be deleted\n", total);
        return ERR_OK;
    }
    if (err == ERR_OK)
        err = delete_through(store, through, total, &deleted, eb);
    if (err == ERR_OK)
        err = store_marks(store, &marks, eb);
    if (err == ERR_OK)
        printf("%" PRId64 " events deleted; pruned through %" PRId64 "\n", deleted,
               marks.pruned_through);
    return err;
}

static int
open_and_prune(const struct settings *settings)
{
    int ways = !!settings->keep_rows + !!settings->older_than_ms + !!settings->through;
    struct errbuf eb = {""};
    struct store *store;
    enum err err;

    if (!settings->db)
        return command_misuse(&set, "--db FILE is missing");
    if (ways != 1)
        return command_misuse(&set, "give one of --keep-rows, --older-than and --through");
    /* A batch that a power cut undoes is deleted by the next run, so nothing waits for the disk. */
    err = store_open(&store, settings->db, settings->dry_run ? STORE_READ : STORE_WRITE,
                     STORE_SYNC_NORMAL, &eb);
    if (err == ERR_OK)
        err = prune(settings, store, &eb);
    if (err != ERR_OK) {
        int status = command_fail(&set, err, &eb);

        store_close(store);
        return status;
    }
    store_close(store);
    return EXIT_OK;
}

int
command_prune(int argc, char **argv)
{
    struct settings settings = {0};
    int status;

    if (!command_options(&set, &settings, argc, argv, &status))
        return status;
    status = open_and_prune(&settings);
    option_finish(&set, &settings);
    return status;
}
