/* powercut: plays a power cut at many moments of a record (powerlog.h) and judges what is left.
 *
 *   powercut --log FILE --scratch DIR --truth DB [--cuts N] [--seed N] [--resume-every N]
 *            --lines FILE --ingest PROGRAM --responder PROGRAM --init PROGRAM
 *            [--ignore-syncs all|NAME] [--rows-only] [--relaxed]
 *
 * What survives is said in disk.h. The database is then opened, as after a reboot, and must
 *   - be intact (PRAGMA integrity_check),
 *   - hold rows 1 to k as they are in --truth, which is the database when the record ended,
 *   - with k no less than any id that had gone out in an answer or a stream, or been remarked.
 * Each --resume-every'th cut also runs the programs: freshet-ingest --source goes on in what is
 * left of the file --lines, and every line of it that is whole must be in the table once and in
 * order; a responder that is asked for what comes after the last id that had gone out must know the
 * position. Before the remark "init" there may be nothing, but `freshet init` must succeed.
 *
 * --rows-only leaves the programs out; --relaxed takes the third demand away: what is promised with
 * synchronous=NORMAL. --ignore-syncs treats syncs as if they had not been called, to show that this
 * program can see a loss.
 *
 * Standard output: complaints, then figures; exit status 0 when there was no complaint. */
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/crash/disk.h"

enum { COMPLAINTS_SHOWN = 10, PATH_MAX_BYTES = 4096, COMMAND_MAX = 32768 };

static const char *log_path, *scratch, *truth_path, *lines_path, *ingest, *responder, *init;
static const char *ignored = "";
static uint64_t seed = 1;
static long cuts = 200, resume_every = 4;
static bool relaxed, rows_only;
static long complaints;

/* What there was to see, so that a run that tested nothing does not look like a good one. */
static struct {
    long cuts, before_init, checkpoints, lost, resumed, asked;
} figures;

/* ---- what was promised to somebody ---- */

static int64_t promised; /* the highest id that had gone out */
static bool made;        /* `freshet init` had said so */

/* ---- what goes out ---- */

static void
promise(int64_t id)
{
    if (id > promised)
        promised = id;
}

/* The number of an id such as 12-k3f9 that `end` follows; 0 when there is none, or not all of it.
 */
static int64_t
id_at(const char *p, const char *limit, char end, const char **rest)
{
    enum { EPOCH = 4 };
    char *stop;
    int64_t id;

    if (p == limit || *p < '1' || *p > '9')
        return 0;
    id = strtoll(p, &stop, 10);
    *rest = stop + 1 + EPOCH;
    return *rest < limit && *stop == '-' && **rest == end ? id : 0;
}

/* Ids of an answer to POST: {"ids":["12-k3f9","13-k3f9"]}; and of events: id: 12-k3f9. */
static void
promise_out(const char *p, size_t n)
{
    static const char answer[] = "{\"ids\":[", event[] = "id: ";
    const char *end = p + n, *at, *rest;
    int64_t id;

    if ((at = memmem(p, n, answer, sizeof answer - 1)))
        for (at += sizeof answer; at < end && (id = id_at(at, end, '"', &rest)); at = rest + 3)
            promise(id); /* at the next one, after "," */
    for (at = p; (at = memmem(at, (size_t)(end - at), event, sizeof event - 1));) {
        at += sizeof event - 1;
        if ((id = id_at(at, end, '\n', &rest)))
            promise(id);
    }
}

static void
remark(const char *p, size_t n)
{
    if (n == 4 && memcmp(p, "init", 4) == 0)
        made = true;
    else
        promise(strtoll(p, NULL, 10));
}

static void
follow(const struct powerlog *r)
{
    if (r->kind == POWERLOG_OUT)
        promise_out(powerlog_payload(r), r->length);
    else if (r->kind == POWERLOG_MARK)
        remark(powerlog_payload(r), r->length);
    else if (r->kind == POWERLOG_SYNC && made && strcmp(disk_name(r), "events.db") == 0)
        figures.checkpoints++;
    disk_follow(r);
}

/* ---- the judgement ---- */

struct row {
    uint64_t hash;
};
static struct row *truth;
static int64_t n_truth;

__attribute__((format(printf, 2, 3))) static void
complain(long cut, const char *format, ...)
{
    va_list list;

    if (complaints++ >= COMPLAINTS_SHOWN)
        return;
    printf("cut %ld: ", cut);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
}

static uint64_t
row_hash(sqlite3_stmt *st)
{
    uint64_t h = 0xcbf29ce484222325;

    for (int column = 1; column < sqlite3_column_count(st); column++) {
        const unsigned char *p = sqlite3_column_text(st, column);
        int n = sqlite3_column_bytes(st, column);

        for (int i = 0; i < n; i++)
            h = (h ^ p[i]) * 0x100000001b3;
        h = (h ^ (p ? 0x100 : 0x200)) * 0x100000001b3;
    }
    return h;
}

static sqlite3_stmt *
query(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st = NULL;

    sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    return st;
}

static const char all_rows[] = "SELECT id, topic, type, data, key, created FROM events ORDER BY id";

static void
read_truth(void)
{
    sqlite3 *db;
    sqlite3_stmt *st;

    if (sqlite3_open_v2(truth_path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
        disk_die(truth_path);
    for (st = query(db, all_rows); sqlite3_step(st) == SQLITE_ROW;) {
        if (sqlite3_column_int64(st, 0) != ++n_truth) {
            fprintf(stderr, "powercut: the ids in --truth are not consecutive\n");
            exit(2);
        }
        truth = disk_grown(truth, (size_t)(n_truth + 1) * sizeof *truth);
        truth[n_truth].hash = row_hash(st);
    }
    sqlite3_finalize(st);
    sqlite3_close(db);
}

/* How many rows there are, all of them those of the truth; -1 after a complaint. */
static int64_t
judge_rows(long cut, sqlite3 *db)
{
    sqlite3_stmt *st = query(db, "PRAGMA integrity_check");
    int64_t k = 0;
    int code = sqlite3_step(st);

    if (code != SQLITE_ROW || strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0) {
        complain(cut, "damaged: %s",
                 code == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0)
                                    : sqlite3_errmsg(db));
        k = -1;
    }
    sqlite3_finalize(st);
    for (st = query(db, all_rows); k >= 0 && (code = sqlite3_step(st)) == SQLITE_ROW;) {
        int64_t id = sqlite3_column_int64(st, 0);

        if (id == k + 1 && id <= n_truth && truth[id].hash == row_hash(st)) {
            k = id;
        } else {
            complain(cut, "row %" PRId64 " after row %" PRId64 " is not what it was", id, k);
            k = -1;
        }
    }
    if (k >= 0 && code != SQLITE_DONE) {
        complain(cut, "reading: %s", sqlite3_errmsg(db));
        k = -1;
    }
    sqlite3_finalize(st);
    return k;
}

static const char *
database(void)
{
    static char path[PATH_MAX_BYTES];

    snprintf(path, sizeof path, "%s/events.db", scratch);
    return path;
}

/* ---- the programs go on ---- */

__attribute__((format(printf, 1, 2))) static int
run(const char *format, ...)
{
    char command[COMMAND_MAX];
    va_list list;

    va_start(list, format);
    vsnprintf(command, sizeof command, format, list);
    va_end(list);
    fflush(stdout);
    return system(command);
}

/* The responder as a plain CGI program: a page after the position, and no reset. */
static void
judge_responder(long cut, int64_t after, int64_t newest)
{
    static char page[1 << 22];
    char command[COMMAND_MAX];
    FILE *out;
    long events = 0, wanted = newest - after < 100 ? newest - after : 100;
    size_t n;

    snprintf(command, sizeof command,
             "REQUEST_METHOD=GET HTTP_ACCEPT=application/json "
             "QUERY_STRING='last_event_id=%" PRId64 "' '%s' --db '%s' 2>/dev/null </dev/null",
             after, responder, database());
    out = popen(command, "r");
    if (!out)
        disk_die("popen");
    n = fread(page, 1, sizeof page - 1, out);
    page[n] = '\0';
    pclose(out);
    for (const char *p = page; (p = strstr(p, "{\"id\":\"")); p++)
        events++;
    if (!strstr(page, "\"next\":") || strstr(page, "\"reset\":") || events != wanted)
        complain(cut, "after event %" PRId64 " the responder sends %ld of %ld events: %.200s",
                 after, events, wanted, page);
    figures.asked++;
}

static char *whole_lines; /* the file when the record ended */
static size_t whole_lines_size;

/* Line n is in the table if and only if it is whole in the file; they stand in their order. */
static void
judge_lines(long cut)
{
    sqlite3 *db;
    sqlite3_stmt *st;
    const struct image *left = &disk_in_place;
    int status = run("'%s' --db '%s' --source app --quiet '%s' 2>'%s/ingest.err'", ingest,
                     database(), lines_path, scratch);
    long n = 0;
    bool good = true;

    figures.resumed++;
    if (status != 0) {
        complain(cut, "freshet-ingest ends with status %d", status);
        return;
    }
    if (sqlite3_open_v2(database(), &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
        disk_die(database());
    st = query(db, "SELECT data FROM events WHERE topic = 'line' ORDER BY id");
    for (size_t at = 0, end; good && at < whole_lines_size; at = end + 1) {
        const char *line = whole_lines + at;
        size_t size = (size_t)((char *)memchr(line, '\n', whole_lines_size - at) - line);

        end = at + size;
        n++;
        if (left->size < end || memcmp(left->bytes + at, line, size) != 0 ||
            (left->size > end && left->bytes[end] != '\n') ||
            (at > 0 && left->bytes[at - 1] != '\n'))
            continue;
        good = sqlite3_step(st) == SQLITE_ROW && sqlite3_column_int64(st, 0) == n;
        if (!good)
            complain(cut, "line %ld is in the file; in its place the table has \"%.20s\"", n,
                     (const char *)sqlite3_column_text(st, 0));
    }
    if (good && sqlite3_step(st) == SQLITE_ROW)
        complain(cut, "the table has line \"%.20s\", which the file has not, or has once",
                 (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    sqlite3_close(db);
}

static void
judge(long cut)
{
    sqlite3 *db;
    int64_t k;

    figures.cuts++;
    if (!made) {
        figures.before_init++;
        if (run("'%s' init --db '%s' >/dev/null 2>&1", init, database()) != 0)
            complain(cut, "freshet init cannot be repeated");
        return;
    }
    if (sqlite3_open_v2(database(), &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
        complain(cut, "%s", sqlite3_errmsg(db));
        sqlite3_close(db);
        return;
    }
    k = judge_rows(cut, db);
    sqlite3_close(db);
    if (k >= 0 && k < promised && !relaxed)
        complain(cut, "event %" PRId64 " had gone out; the last one that is left is %" PRId64,
                 promised, k);
    figures.lost += k >= 0 && k < promised;
    if (k < 0 || rows_only || cut % resume_every != 0)
        return;
    if (!relaxed && k >= promised)
        judge_responder(cut, promised, k);
    judge_lines(cut);
}

/* ---- the record ---- */

static const struct powerlog **records;
static size_t n_records;

static void
read_log(void)
{
    int fd = open(log_path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    const char *p, *end;

    if (fd < 0 || fstat(fd, &st) != 0)
        disk_die(log_path);
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        disk_die(log_path);
    close(fd);
    for (end = p + st.st_size; p < end; n_records++) {
        const struct powerlog *r = (const void *)p;

        if (r->magic != POWERLOG_MAGIC || p + sizeof *r + r->length > end) {
            fprintf(stderr, "powercut: %s: record %zu is broken\n", log_path, n_records);
            exit(2);
        }
        records = disk_grown(records, (n_records + 1) * sizeof *records);
        records[n_records] = r;
        p += sizeof *r + r->length;
    }
}

static void
read_lines(void)
{
    struct stat st;
    int fd = open(lines_path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) != 0)
        disk_die(lines_path);
    whole_lines_size = (size_t)st.st_size;
    whole_lines = disk_grown(NULL, whole_lines_size + 1);
    if (read(fd, whole_lines, whole_lines_size) != (ssize_t)whole_lines_size)
        disk_die(lines_path);
    close(fd);
}

static int
compare(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;

    return (x > y) - (x < y);
}

/* Moments to cut at, after so many records: a tenth while the database is being made, a third just
 * after something went out, the others anywhere. */
static size_t *
choose_cuts(void)
{
    size_t *at = disk_grown(NULL, (size_t)cuts * sizeof *at), init_end = 1;

    while (init_end < n_records && records[init_end]->kind != POWERLOG_MARK)
        init_end++;
    for (long i = 0; i < cuts; i++) {
        at[i] = 1 + disk_random(i % 10 == 0 ? init_end : n_records);
        while (i % 3 == 1 && at[i] < n_records && records[at[i] - 1]->kind != POWERLOG_OUT)
            at[i]++;
    }
    qsort(at, (size_t)cuts, sizeof *at, compare);
    return at;
}

static bool
parse(int argc, char **argv)
{
    static const struct {
        const char *name;
        const char **text;
        long *number;
    } options[] = {
        {"--log", &log_path, NULL},
        {"--scratch", &scratch, NULL},
        {"--truth", &truth_path, NULL},
        {"--lines", &lines_path, NULL},
        {"--ingest", &ingest, NULL},
        {"--responder", &responder, NULL},
        {"--init", &init, NULL},
        {"--ignore-syncs", &ignored, NULL},
        {"--cuts", NULL, &cuts},
        {"--seed", NULL, (long *)&seed},
        {"--resume-every", NULL, &resume_every},
    };

    for (int i = 1; i < argc; i++) {
        size_t o = 0;

        relaxed = relaxed || strcmp(argv[i], "--relaxed") == 0;
        rows_only = rows_only || strcmp(argv[i], "--rows-only") == 0;
        if (strcmp(argv[i], "--relaxed") == 0 || strcmp(argv[i], "--rows-only") == 0)
            continue;
        while (o < sizeof options / sizeof *options && strcmp(argv[i], options[o].name) != 0)
            o++;
        if (o == sizeof options / sizeof *options || ++i == argc)
            return false;
        if (options[o].text)
            *options[o].text = argv[i];
        else
            *options[o].number = atol(argv[i]);
    }
    return log_path && scratch && truth_path && lines_path && ingest && responder && init &&
           cuts > 0 && resume_every > 0;
}

int
main(int argc, char **argv)
{
    size_t *at, done = 0;

    if (!parse(argc, argv)) {
        fprintf(stderr, "usage: see the head of tests/crash/powercut.c\n");
        return 64;
    }
    printf("seed %" PRIu64 "\n", seed);
    disk_open(&(struct disk_setup){scratch, lines_path, ignored, seed});
    read_log();
    read_truth();
    read_lines();
    at = choose_cuts();
    for (long i = 0; i < cuts; i++) {
        while (done < at[i])
            follow(records[done++]);
        disk_cut();
        judge(i);
    }
    disk_put(lines_path, &(struct image){.bytes = whole_lines, .size = whole_lines_size});
    printf("%zu records, %" PRId64 " events, %ld checkpoints up to the last cut\n", n_records,
           n_truth, figures.checkpoints);
    printf("%ld cuts, %ld of them while the database was made; %ld times a file had writes that "
           "were not synced, %ld times torn; %" PRIu64 " bytes lost\n",
           figures.cuts, figures.before_init, disk_figures.unsynced, disk_figures.torn,
           disk_figures.dropped_bytes);
    printf("events that had gone out were lost at %ld cuts; freshet-ingest went on after %ld, a "
           "responder after %ld\n",
           figures.lost, figures.resumed, figures.asked);
    printf("%ld complaints\n", complaints);
    return complaints ? 1 : 0;
}
