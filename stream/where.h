/* where: conditions on the JSON inside an event's data.
 *
 * A condition is a JSON Pointer (RFC 6901), alone or with an operator and a value: "/user/lang=en",
 * "/bot!=true",
 * "/length/new>1000", "/id". Alone it asks whether the member exists. "=" compares a string byte by
 * byte, a number as a number, true, false and null by name; "!=" is its exact opposite, so it holds
 * too where there is nothing; <, <=, > and >= hold for numbers only. Numbers are compared exactly,
 * whatever their length (stream/decimal.h). The pointer ends at the first of = ! < >, so a member
 * name cannot have one of these. Data that is not JSON has no members.
 *
 * Data is checked once, whatever the number of conditions; each condition reads it once more, and
 * nothing is allocated. */
#ifndef STREAM_WHERE_H
#define STREAM_WHERE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/text.h"
#include "stream/decimal.h"
#include "stream/pointer.h"

enum where_operator {
    WHERE_EXISTS,
    WHERE_EQUAL,
    WHERE_NOT_EQUAL,
    WHERE_LESS,
    WHERE_LESS_EQUAL,
    WHERE_GREATER,
    WHERE_GREATER_EQUAL,
};

struct where_condition {
    struct text source; /* as it was written; owned */
    struct pointer pointer;
    enum where_operator how;
    struct text value; /* inside source */
    bool is_number;    /* the value is one */
    struct decimal number;
};

/* ERR_INVALID with the rule that is broken, ERR_NOMEM; then *c needs no finish. */
enum err where_parse(struct where_condition *c, struct text source, struct errbuf *eb);
void where_finish(struct where_condition *c);

/* The data of one event after the other, checked when the first condition asks, and only once. */
struct where_subject {
    struct text data;
    struct text json; /* the data as a JSON value; TEXT_NONE when it is not JSON */
    bool checked;
};

/* A zeroed struct is a subject without data. data must stay valid until the next set or finish. */
void where_subject_set(struct where_subject *s, struct text data);
void where_subject_finish(struct where_subject *s);

/* What the condition says of the value that its pointer leads to, a JSON value that was checked, or
 * TEXT_NONE where there is none. */
bool where_answer(const struct where_condition *c, struct text value);

/* True when all conditions hold. */
bool where_holds(const struct where_condition *list, size_t n, struct where_subject *s);

#endif
