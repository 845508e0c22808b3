/* listen: where the listening sockets come from, in the order in which they are looked for:
 * --listen; systemd's LISTEN_FDS (sd_listen_fds(3)); descriptor 0, as lighttpd's bin-path and
 * spawn-fcgi leave it. */
#ifndef FCGI_LISTEN_H
#define FCGI_LISTEN_H

#include "base/err.h"

/* Fills sockets (room for `room`), all non-blocking and close-on-exec. A stale unix socket that
 * nobody listens on is replaced; one that is in use is ERR_BUSY. ERR_INVALID, ERR_IO. */
enum err listen_sockets(const char *address, const char *socket_mode, int *sockets, int room,
                        int *n, struct errbuf *eb);

/* Removes the unix socket that listen_sockets() made, if it did. */
void listen_cleanup(const char *address);

#endif
