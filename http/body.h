/* body: what was POSTed, as events. Pure.
 *
 * The texts of the events live as long as the struct body and the bytes it was made from. */
#ifndef HTTP_BODY_H
#define HTTP_BODY_H

#include "stream/event.h"

enum { BODY_EVENTS_MAX = 100000 }; /* in one request, which is one transaction */

enum body_format {
    BODY_JSON,   /* one event or an array of events */
    BODY_NDJSON, /* one event a line */
    BODY_FORM,   /* topic=…&type=…&data=…&key=… */
};

struct body {
    struct event *events;
    size_t n, capacity;
    char *room;    /* the events' texts that differ from their bytes in the body */
    char *form[4]; /* the decoded fields of a form */
};

/* ERR_INVALID says which event or line and why; ERR_FULL: more than BODY_EVENTS_MAX;
 * ERR_NOMEM. An empty body is ERR_INVALID. Must be finished in any case. */
enum err body_parse(struct body *b, enum body_format format, struct text bytes, struct errbuf *eb);
void body_finish(struct body *b);

#endif
