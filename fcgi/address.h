/* address: what each remote address has open, and how much it may still publish. Pure; time is an
 * argument.
 *
 * An entry exists while its address has a stream, or has published so recently that its allowance
 * is not full again (a second). Of the latter at most ADDRESSES_IDLE_MAX are kept, the newest; so
 * the memory is bounded by the streams that are open plus that number.
 *
 * IPv6 addresses count by their /64, of which one customer has all addresses; IPv4 inside IPv6 is
 * IPv4. A text that is not an address counts as it is, so a web server may pass a user's name, and
 * is never taken for an address; of a longer one its first 1,023 bytes count. */
#ifndef FCGI_ADDRESS_H
#define FCGI_ADDRESS_H

#include <stdint.h>
#include <sys/queue.h>

#include "base/text.h"

enum { ADDRESSES_IDLE_MAX = 16384 };

struct address;
TAILQ_HEAD(address_list, address);

struct addresses {
    struct address *all;
    struct address_list idle; /* without a stream, the one that published longest ago first */
    size_t n_idle;
};

void addresses_init(struct addresses *t);
/* No stream may be left. */
void addresses_finish(struct addresses *t);

/* One stream more: an entry to be given back with addresses_end(). NULL when the address has
 * `max` streams already, or memory is short. */
struct address *addresses_begin(struct addresses *t, struct text name, int64_t max);
void addresses_end(struct addresses *t, struct address *a);

/* One publish more, of `rate` a second, as many at once after a second of silence. 0: go on. Else
 * nothing was counted, and the value says after how many seconds to try again. */
int addresses_publish(struct addresses *t, struct text name, int64_t rate, int64_t now_ms);

/* Forgets the entries whose allowance is full again. Cheap when there is nothing to forget. */
void addresses_trim(struct addresses *t, int64_t now_ms);

#endif
