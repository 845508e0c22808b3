/* outlet: the sending side of one connection.
 *
 * Frames FastCGI records around what is sent (or sends it bare, as plain CGI does) and keeps what
 * the socket did not take, so that a record, once begun, is always finished. Legal order: holds and
 * gathers in any order, then outlet_hold_end() once, then flushes. What is held goes out before
 * what is gathered after it, in the same write if possible: a response's head and its first events
 * are one write, and one read for the web server.
 *
 * Memory: nothing while all is sent, else what is held and at most the rest of one record, however
 * large an event is. The socket is non-blocking; it stays the caller's to close. */
#ifndef FCGI_OUTLET_H
#define FCGI_OUTLET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "stream/subscriber.h"

struct outlet {
    int fd;
    uint16_t request_id;
    bool bare;  /* plain CGI: no records */
    char *rest; /* what the socket did not take: [rest_at, rest_n) */
    uint32_t rest_at, rest_n;
    uint64_t bytes; /* taken by the socket so far, records' headers included */
};

enum outlet_sent {
    OUTLET_SENT,      /* all of it is with the kernel, and nothing is pending */
    OUTLET_KEPT,      /* the rest is kept: wait until writable, then flush or gather */
    OUTLET_NOTHING,   /* nothing of this gather was taken nor kept: wait, then gather again */
    OUTLET_GONE,      /* the peer has closed, or the connection is broken */
    OUTLET_NO_MEMORY, /* the rest cannot be kept: close the connection */
};

void outlet_init(struct outlet *o, int fd, uint16_t request_id, bool bare);
void outlet_finish(struct outlet *o);

/* Bytes are kept that the socket has not taken. */
static inline bool
outlet_pending(const struct outlet *o)
{
    return o->rest_at < o->rest_n;
}

/* Keeps a text, or the end of the response, behind what is kept already; writes nothing. False = no
 * memory, nothing has changed. */
bool outlet_hold(struct outlet *o, struct text text);
bool outlet_hold_end(struct outlet *o);
/* The same for a record that belongs to no request; not where the sending is bare. */
bool outlet_hold_record(struct outlet *o, struct text record);

/* What the peer has not read of what the kernel has, in bytes as the kernel counts them (a unix
 * socket's memory; of TCP what is not acknowledged); 0 where that cannot be known. */
int outlet_unread(const struct outlet *o);

/* Sends what is kept: OUTLET_SENT, OUTLET_KEPT (still some) or OUTLET_GONE. */
enum outlet_sent outlet_flush(struct outlet *o);

/* What is kept, in bytes of memory. */
static inline uint32_t
outlet_memory(const struct outlet *o)
{
    return outlet_pending(o) ? o->rest_n : 0;
}

/* Sends what is kept and then what was gathered, as one record with pieces[0] for its header. One
 * event that is longer than g->bytes_max goes as several: *part, 0 at first, is how much of it has
 * been taken or kept. While it is not 0 afterwards, the caller puts its position back and gathers
 * with the same bytes_max, so that the same comes again, whole and alone, and goes on there. */
enum outlet_sent outlet_gather(struct outlet *o, struct gather *g, uint32_t *part);

#endif
