/* front: the web server's side of FastCGI, which writes a request into a buffer. */
#ifndef TESTS_UNIT_FRONT_H
#define TESTS_UNIT_FRONT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

enum { REQUEST_MAX = 128 * 1024 };

enum { BEGIN = 1, ABORT = 2, PARAMS = 4, STDIN = 5 }; /* types of records */

void put_record(struct buf *b, int type, unsigned id, struct text content, size_t padding);

/* Of a responder's request that is not to be kept. */
void put_begin(struct buf *b, unsigned id);

/* A name-value pair; a record's content is a row of them. */
void put_pair(struct buf *b, struct text name, struct text value);

/* A whole request with these parameters, in records of at most content_max bytes. */
void put_request(struct buf *b, unsigned id, struct text pairs, size_t content_max, size_t padding);

void put_typical_pairs(struct buf *b);

#endif
