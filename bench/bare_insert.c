/* bare_insert DB FILE BATCH: what freshet-ingest is measured against: a loop of prepared INSERTs.
 *
 * DB was made by freshet. The events of FILE (NDJSON of freshet's own members) are read and parsed
 * before the clock starts, so that only BEGIN, the INSERTs, and COMMIT with synchronous=FULL are
 * timed. Prints events per second. */
#include <json-c/json.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct row {
    char *topic, *type, *data, *key;
};

static void
must(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "bare_insert: %s\n", what);
        exit(1);
    }
}

static char *
member(struct json_object *o, const char *name)
{
    const char *s = json_object_get_string(json_object_object_get(o, name));

    return s ? strdup(s) : NULL;
}

static struct row *
load(const char *path, size_t *n)
{
    FILE *file = fopen(path, "r");
    struct row *rows = NULL;
    char *line = NULL;
    size_t room = 0;

    must(file != NULL, path);
    for (*n = 0; getline(&line, &room, file) > 0; (*n)++) {
        struct json_object *o = json_tokener_parse(line);

        if (*n % 4096 == 0)
            rows = realloc(rows, (*n + 4096) * sizeof *rows);
        must(o && rows, "not JSON, or out of memory");
        rows[*n] = (struct row){member(o, "topic"), member(o, "type"),
                                strdup(json_object_to_json_string_ext(
                                    json_object_object_get(o, "data"), JSON_C_TO_STRING_PLAIN)),
                                member(o, "key")};
        json_object_put(o);
    }
    free(line);
    fclose(file);
    return rows;
}

static void
run(sqlite3 *db, const struct row *rows, size_t n, size_t batch)
{
    sqlite3_stmt *insert;

    must(sqlite3_prepare_v2(db, "INSERT INTO events(topic, type, data, key) VALUES(?1, ?2, ?3, ?4)",
                            -1, &insert, NULL) == SQLITE_OK,
         sqlite3_errmsg(db));
    for (size_t i = 0; i < n; i++) {
        if (i % batch == 0)
            must(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK, "BEGIN");
        sqlite3_bind_text(insert, 1, rows[i].topic, -1, SQLITE_STATIC);
        sqlite3_bind_text(insert, 2, rows[i].type, -1, SQLITE_STATIC);
        sqlite3_bind_text(insert, 3, rows[i].data, -1, SQLITE_STATIC);
        sqlite3_bind_text(insert, 4, rows[i].key, -1, SQLITE_STATIC);
        must(sqlite3_step(insert) == SQLITE_DONE, sqlite3_errmsg(db));
        sqlite3_reset(insert);
        if (i % batch == batch - 1 || i == n - 1)
            must(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK, "COMMIT");
    }
    sqlite3_finalize(insert);
}

int
main(int argc, char **argv)
{
    struct timespec start, end;
    struct row *rows;
    sqlite3 *db;
    size_t n;
    double seconds;

    must(argc == 4, "usage: bare_insert DB FILE BATCH");
    rows = load(argv[2], &n);
    must(sqlite3_open(argv[1], &db) == SQLITE_OK, "cannot open the database");
    must(sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL", NULL, NULL, NULL) ==
             SQLITE_OK,
         "PRAGMA");
    clock_gettime(CLOCK_MONOTONIC, &start);
    run(db, rows, n, strtoul(argv[3], NULL, 10));
    clock_gettime(CLOCK_MONOTONIC, &end);
    sqlite3_close(db);
    seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    printf("%.0f\n", (double)n / seconds);
    return 0; /* the rows go with the process */
}
