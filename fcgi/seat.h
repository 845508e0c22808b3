/* seat: the place of a client that stays: of a stream, or of a long poll that waits.
 *
 * It is taken before anything else is begun, and left at the end, whatever the end is. In between
 * it counts for --streams-max, for what the descriptor limit allows when places are kept for what
 * needs no seat, and for its address where --streams-per-address limits that. Its client is a
 * subscriber of the hub, and may have a moment at which its time is up.
 *
 * Legal order: seat_take(); seat_listen() once; seat_join() and seat_part() in turn; seat_leave()
 * from every state, once. */
#ifndef FCGI_SEAT_H
#define FCGI_SEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "fcgi/deadline.h"
#include "stream/subscriber.h"

struct address;
struct conn;
struct server;

/* Embedded in what the connection is used for, zeroed. */
struct seat {
    struct conn *conn;       /* NULL: not taken */
    struct address *address; /* where it counts; NULL when addresses are not counted */
    struct subscriber sub;   /* its feed is a reference of the seat's */
    struct deadline ends;    /* its use's expire() is called then */
    uint64_t signer;         /* fingerprint of the key whose token let it in; 0: none did */
};

/* signer: struct access has it. False: all places are taken, or the address has its share. Nothing
 * is to be given back then. */
bool seat_take(struct seat *seat, struct conn *c, uint64_t signer);

/* The feed's reference is taken over. ERR_NOMEM; also then seat_leave() gives all back.
 * ends_ms: DEADLINE_NEVER. */
enum err seat_listen(struct seat *seat, struct feed *feed, int64_t ends_ms);

/* From this position on it gets what is new; and no more. */
void seat_join(struct seat *seat, int64_t cursor);
void seat_part(struct seat *seat);

void seat_leave(struct seat *seat);

/* For the timers: calls expire() of those whose time is up. */
void seat_expire_due(struct server *s);
/* The same for those that were let in by a key that the server has no longer; returns how many. */
size_t seat_expire_unsigned(struct server *s);

static inline struct conn *
seat_conn(struct subscriber *sub)
{
    return ((struct seat *)((char *)sub - offsetof(struct seat, sub)))->conn;
}

#endif
