/* store_filter: a subscription's topics and types, asked inside SQLite: before it reads the data of
 * a row. */
#ifndef SQL_STORE_FILTER_H
#define SQL_STORE_FILTER_H

#include <sqlite3.h>

#include "stream/subscription.h"

/* What wanted(scan, topic, type) works with: bound to a statement as a pointer named SCAN_POINTER.
 */
#define SCAN_POINTER "freshet-scan"
struct scan {
    const struct subscription *filter;
    bool topics_too; /* false when an index has chosen the topics already */
    uint32_t left;   /* this many rows may still be looked at */
    size_t bytes;    /* and this much of their data */
    int64_t ends_us; /* clock_mono_us(); INT64_MAX = never */
    bool stopped;    /* the row that the statement gives was not looked at: none was left */
};

/* A row of n bytes is being looked at; what is used up lets no further one through. */
void scan_spend(struct scan *scan, size_t n);

/* Makes wanted() known to a connection; a sqlite3 result code. */
int store_add_filter(sqlite3 *db);

#endif
