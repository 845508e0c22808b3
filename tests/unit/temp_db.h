/* temp_db: a directory of its own below $TMPDIR with an empty database in it, for one test. */
#ifndef TESTS_UNIT_TEMP_DB_H
#define TESTS_UNIT_TEMP_DB_H

struct temp_db {
    char dir[200];
    char path[220]; /* of the database: events.db in dir */
};

/* Fails the test when it cannot. */
void temp_db_make(struct temp_db *t);

/* Removes the directory with the files in it, whoever made them. */
void temp_db_remove(const struct temp_db *t);

#endif
