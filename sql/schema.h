/* schema: the SQL text that makes freshet's tables, and the names that they have in a file.
 *
 * In a file of its own they have the names that stand in schema.sql. A guest lives in an
 * application's database, where a table `events` may well be there already: the same names stand
 * behind a prefix there. In SQL text an empty comment is the mark before each such name. It is
 * valid SQL as it stands, so schema.sql can be given to the sqlite3 shell; before C code runs a
 * text, the mark is replaced by the prefix. */
#ifndef SQL_SCHEMA_H
#define SQL_SCHEMA_H

/* The prefix of a guest; that of a file of its own is "". */
#define SCHEMA_GUEST "freshet_"

/* The first two numbers stand in schema.sql too. */
enum { SCHEMA_APPLICATION_ID = 0x66727368, SCHEMA_FORMAT = 2, SCHEMA_FIRST_WITH_GUESTS = 2 };

/* SQL text with the names as they are behind the prefix. A name that is a text, in quotes, gets it
 * inside of them. A copy that the caller frees with mem_free(); NULL when there is no memory. */
char *schema_names(const char *sql, const char *prefix);

/* The script that makes all of it, as such a copy. That of a guest has no transaction of its own,
 * and leaves alone what belongs to the file as a whole. */
char *schema_script(const char *prefix);

/* The script that made files of format 1. */
char *schema_script_1(void);

/* What brings a file from this format to the next one, without a transaction of its own, as such a
 * copy. */
char *schema_upgrade(int from, const char *prefix);

#endif
