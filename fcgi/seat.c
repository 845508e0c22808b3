#include "fcgi/seat.h"

#include "fcgi/conn.h"
#include "fcgi/state.h"

/* Where addresses are limited: false when this one has its share. */
static bool
count_address(struct seat *seat, const struct conn *c)
{
    struct server *s = c->server;
    int64_t max = s->settings->streams_per_address;

    if (max == 0)
        return true;
    seat->address = addresses_begin(&s->addresses, text_of(c->remote), max);
    s->counters.address_refusals += !seat->address;
    return seat->address;
}

bool
seat_take(struct seat *seat, struct conn *c, uint64_t signer)
{
    struct server *s = c->server;

    if (s->n_seats >= (uint64_t)s->settings->streams_max || s->n_seats >= s->seats_max ||
        !count_address(seat, c))
        return false;
    s->n_seats++;
    seat->conn = c;
    seat->signer = signer;
    return true;
}

enum err
seat_listen(struct seat *seat, struct feed *feed, int64_t ends_ms)
{
    seat->sub.feed = feed;
    return ends_ms == DEADLINE_NEVER
               ? ERR_OK
               : deadlines_add(&seat->conn->server->ends, &seat->ends, ends_ms);
}

void
seat_join(struct seat *seat, int64_t cursor)
{
    seat->sub.at.pos.cursor = cursor;
    hub_join(&seat->conn->server->hub, &seat->sub);
}

void
seat_part(struct seat *seat)
{
    if (seat->sub.joined)
        hub_part(&seat->conn->server->hub, &seat->sub);
}

void
seat_leave(struct seat *seat)
{
    struct server *s = seat->conn->server;

    seat_part(seat);
    deadlines_remove(&s->ends, &seat->ends);
    if (seat->sub.feed)
        hub_release(&s->hub, seat->sub.feed);
    if (seat->address)
        addresses_end(&s->addresses, seat->address);
    s->n_seats--;
    *seat = (struct seat){0};
}

void
seat_expire_due(struct server *s)
{
    struct deadline *d;

    while ((d = deadlines_first(&s->ends)) && d->at_ms <= s->now_ms) {
        struct conn *c = ((struct seat *)((char *)d - offsetof(struct seat, ends)))->conn;

        deadlines_remove(&s->ends, d);
        c->use->expire(c);
    }
}

static size_t
expire_unsigned_in(const struct server *s, const struct conn_list *list)
{
    struct conn *c, *next;
    size_t n = 0;

    for (c = TAILQ_FIRST(&list->queue); c; c = next) {
        const struct seat *seat = c->use && c->use->seat ? c->use->seat(c) : NULL;

        next = TAILQ_NEXT(c, in_list);
        if (!seat || !seat->signer || jws_keys_have(&s->token_keys, seat->signer))
            continue;
        n++;
        c->use->expire(c); /* which may leave the seat, and the list */
    }
    return n;
}

/* Keys are removed so rarely that a list of those that each has let in is not worth its memory. */
size_t
seat_expire_unsigned(struct server *s)
{
    return expire_unsigned_in(s, &s->quiet) + expire_unsigned_in(s, &s->blocked) +
           expire_unsigned_in(s, &s->waiting) + expire_unsigned_in(s, &s->asking);
}
