/* workers: several responders on the same sockets.
 *
 * Each worker follows the table for itself; nothing is shared but the listening sockets, so SQLite
 * is the only bus. The parent does no work: it passes signals on, restarts a worker that has died,
 * and ends when all have ended. Fork first: no thread, no database connection, no libfcgi may exist
 * before. */
#ifndef FCGI_WORKERS_H
#define FCGI_WORKERS_H

#include "base/err.h"

/* Runs work(context) in n processes; its result is the worker's exit status. SIGTERM or SIGINT ends
 * them: stopping(context) is called once, in the parent, and the function returns when all have
 * ended; *status is then the program's. ERR_NOMEM. */
enum err workers_run(int n, int (*work)(void *context), void (*stopping)(void *context),
                     void *context, int *status, struct errbuf *eb);

#endif
