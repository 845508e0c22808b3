#include "sql/store_filter.h"

#include "base/clock.h"

/* Asking for the time costs about as much as comparing a topic. */
enum { ROWS_BETWEEN_LOOKS = 64, DATA_BETWEEN_LOOKS = 4096 };

void
scan_spend(struct scan *scan, size_t n)
{
    bool look = n >= DATA_BETWEEN_LOOKS || scan->left % ROWS_BETWEEN_LOOKS == 0;

    scan->bytes -= n < scan->bytes ? n : scan->bytes;
    if (scan->bytes == 0 ||
        (look && scan->ends_us != INT64_MAX && clock_mono_us() >= scan->ends_us))
        scan->left = 0;
}

/* True for a row that matches, and for the first row beyond the allowance, so that the statement
 * comes back. */
static void
wanted(sqlite3_context *context, int n_args, sqlite3_value **args)
{
    struct scan *scan = sqlite3_value_pointer(args[0], SCAN_POINTER);
    struct text topic = {(const char *)sqlite3_value_text(args[1]), 0};
    struct text type = {(const char *)sqlite3_value_text(args[2]), 0};
    bool yes;

    (void)n_args;
    if (scan->left == 0) {
        scan->stopped = true;
        sqlite3_result_int(context, 1);
        return;
    }
    if (!topic.p) { /* NOT NULL, so this is the only cause */
        sqlite3_result_error_nomem(context);
        return;
    }
    scan->left--;
    scan_spend(scan, 0);
    topic.n = (size_t)sqlite3_value_bytes(args[1]);
    type.n = type.p ? (size_t)sqlite3_value_bytes(args[2]) : 0;
    yes = scan->topics_too ? subscription_matches(scan->filter, &(struct label){topic, type})
                           : subscription_matches_type(scan->filter, type);
    sqlite3_result_int(context, yes);
}

int
store_add_filter(sqlite3 *db)
{
    return sqlite3_create_function(db, "wanted", 3, SQLITE_UTF8 | SQLITE_DIRECTONLY, NULL, wanted,
                                   NULL, NULL);
}
