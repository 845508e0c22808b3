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

/* Holds on to the file of a unix socket that listen_sockets() has just made, so that it can be told
 * from the one of a successor: as long as it is open, its inode is given to no other file. -1 when
 * there is none. */
int listen_file(const char *address);
/* Removes that file, unless another one has taken its place, and closes `file`. */
void listen_cleanup(const char *address, int file);

#endif
