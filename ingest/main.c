/* freshet-ingest: reads events and appends them to the table in batched transactions. */
#include "config.h"

#include <limits.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/thread.h"
#include "ingest/committer.h"
#include "ingest/intake.h"
#include "ingest/rotation.h"

/* How long one try to write waits inside SQLite: the committer tries for ever, but looks in between
 * whether it is to stop. */
enum { BUSY_TRY_MS = 500 };

/* Everything that run() opens and must close again, in this order. */
struct job {
    struct settings *settings;
    struct console *console;
    struct store *store;
    struct bookmark bookmark;
    bool has_bookmark;
    struct source *source;
    struct rejects rejects;
    struct queue *queue;
};

static enum err
load_bookmark(struct job *job, struct errbuf *eb)
{
    char *text = NULL;
    struct errbuf why;
    enum err err;

    if (!job->settings->source)
        return ERR_OK;
    err = store_get_cursor(job->store, job->settings->source, &text, eb);
    if (err != ERR_OK || !text)
        return err;
    err = bookmark_read(&job->bookmark, text, &why);
    mem_free(text);
    if (err != ERR_OK)
        return err_set(eb, err, "--source %s: %s", job->settings->source, why.text);
    job->has_bookmark = true;
    return ERR_OK;
}

/* A pipe cannot be asked for its bytes again, so its position says nothing; but a sender of SSE can
 * be asked to go on after an id. */
static enum err
check_source(const struct job *job, struct errbuf *eb)
{
    if (!job->settings->source || source_has_positions(job->source) ||
        job->settings->format == FORMAT_SSE)
        return ERR_OK;
    return err_set(
        eb, ERR_INVALID,
        "--source: %s is a pipe, which cannot be read again from where it was left; give a "
        "file, or use --key-from to recognise repeated events",
        source_name(job->source));
}

/* What is rejected must go neither into the database nor into what is being read: a file that is
 * read on would be fed by itself without end. */
static enum err
check_rejects(const struct settings *s, struct errbuf *eb)
{
    static const char *const parts[] = {"", "-wal", "-shm", "-journal"};
    char path[PATH_MAX];

    if (!s->rejects)
        return ERR_OK;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        snprintf(path, sizeof path, "%s%s", s->db, parts[i]);
        if (rejects_would_be(s->rejects, path))
            return err_set(eb, ERR_INVALID, "--rejects %s is the database", s->rejects);
    }
    if (rejects_would_be(s->rejects, s->input) ||
        (s->input && (s->follow || s->source) && rotation_has(s->input, s->rejects)))
        return err_set(eb, ERR_INVALID,
                       "--rejects %s is the input, or one of the files that it may be rotated to",
                       s->rejects);
    return ERR_OK;
}

static enum err
check_job(const struct job *job, struct errbuf *eb)
{
    enum err err = check_source(job, eb);

    return err == ERR_OK ? check_rejects(job->settings, eb) : err;
}

static enum err
job_open(struct job *job, struct errbuf *eb)
{
    struct settings *s = job->settings;
    enum store_sync sync = s->sync == SYNC_FULL ? STORE_SYNC_FULL : STORE_SYNC_NORMAL;
    struct errbuf old;
    enum err err;

    job->console = console_create(s->quiet);
    if (!job->console)
        return err_nomem(eb);
    err = store_open(&job->store, s->db, STORE_WRITE, sync, eb);
    if (err == ERR_OK && store_is_old(job->store, &old))
        console_line(job->console, LOG_INFO, "%s", old.text);
    if (err == ERR_OK) {
        store_set_busy_timeout(job->store, BUSY_TRY_MS);
        err = load_bookmark(job, eb);
    }
    if (err == ERR_OK && !s->last_id)
        err = source_open(&job->source, s->input, s->follow != NULL, s->rotate_wait_ms,
                          job->has_bookmark ? &job->bookmark : NULL, eb);
    return err;
}

/* What only a run that reads needs. */
static enum err
job_prepare(struct job *job, struct errbuf *eb)
{
    const struct settings *s = job->settings;
    enum err err = rejects_open(&job->rejects, s->rejects, eb);

    return err == ERR_OK
               ? queue_create(&job->queue, (size_t)s->batch_events, (size_t)s->event_max, eb)
               : err;
}

static void
job_close(struct job *job)
{
    queue_destroy(job->queue);
    rejects_close(&job->rejects);
    source_close(job->source);
    bookmark_finish(&job->bookmark);
    store_close(job->store);
    console_destroy(job->console);
}

static enum err
job_run(struct job *job, struct errbuf *eb)
{
    struct intake intake = {.settings = job->settings,
                            .source = job->source,
                            .queue = job->queue,
                            .console = job->console,
                            .rejects = &job->rejects,
                            .last_id = text_of(job->bookmark.id)};
    struct committer committer = {.store = job->store,
                                  .queue = job->queue,
                                  .console = job->console,
                                  .source = job->settings->source};
    pthread_t thread;
    enum err err = thread_start(&thread, committer_run, &committer, eb), failure;

    if (err != ERR_OK)
        return err;
    err = intake_run(&intake, eb);
    pthread_join(thread, NULL);
    failure = queue_failure(job->queue, eb);
    console_summary(job->console, intake.bytes);
    return failure != ERR_OK ? failure : err;
}

static int
fail(enum err err, const struct errbuf *eb)
{
    log_line(LOG_ERROR, "%s", eb->text);
    return err_exit_status(err);
}

static int
run(struct settings *settings)
{
    struct job job = {.settings = settings, .rejects = {.fd = -1}};
    struct errbuf eb = {{0}};
    enum err err = stop_install(&eb);
    int status;

    if (err == ERR_OK)
        err = job_open(&job, &eb);
    if (err == ERR_OK && settings->last_id) {
        if (job.bookmark.id)
            puts(job.bookmark.id);
        status = EXIT_OK;
    } else if (err == ERR_OK && check_job(&job, &eb) != ERR_OK) {
        log_line(LOG_ERROR, "%s", eb.text);
        status = EXIT_USAGE;
    } else {
        if (err == ERR_OK)
            err = job_prepare(&job, &eb);
        if (err == ERR_OK)
            err = job_run(&job, &eb);
        status = err == ERR_OK ? EXIT_OK : fail(err, &eb);
    }
    job_close(&job);
    return status;
}

int
main(int argc, char **argv)
{
    struct settings settings = {0};
    struct errbuf eb = {{0}};
    enum option_outcome outcome;
    int rest, status;
    enum err err = option_parse(&settings_options, &settings, argc, argv, &rest, &outcome, &eb);

    log_open("freshet-ingest");
    if (err == ERR_OK && outcome == OPTION_HELP) {
        option_help(&settings_options, stdout);
        return EXIT_OK;
    }
    if (err == ERR_OK && outcome == OPTION_VERSION) {
        puts("freshet-ingest " PACKAGE_VERSION);
        return EXIT_OK;
    }
    if (err == ERR_OK)
        err = settings_check(&settings, argc, argv, rest, &eb);
    if (err != ERR_OK) {
        fprintf(stderr, "freshet-ingest: %s\n", eb.text);
        option_finish(&settings_options, &settings);
        return err == ERR_INVALID ? EXIT_USAGE : err_exit_status(err);
    }
    status = run(&settings);
    option_finish(&settings_options, &settings);
    return status;
}
