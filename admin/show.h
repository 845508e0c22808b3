/* show: texts of the table on a terminal. Whoever may publish decides what they hold, so nothing of
 * them may move the cursor, change colours or directions, or pretend to be another line. */
#ifndef ADMIN_SHOW_H
#define ADMIN_SHOW_H

#include "base/buf.h"

enum { SHOW_ALL = 1 << 30 }; /* as columns_max: nothing is cut */

/* Once, before the others: how wide characters are. */
void show_init(void);

/* Appends s with control characters written as \n, \t, \x1b, \u202e and bytes that are not UTF-8 as
 * \xff. What needs more than columns_max columns (at least 1) is cut and ends with "…". The value
 * is the number of columns. */
int show_text(struct buf *out, struct text s, int columns_max);

/* Appends a JSON text with such characters as \uXXXX, which means the same. */
void show_json(struct buf *out, struct text json);

#endif
