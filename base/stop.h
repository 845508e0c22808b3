/* stop: SIGINT and SIGTERM as a state that can be asked about and waited for.
 *
 * The first signal asks the program to bring what it has begun to its end. The second one finds the
 * default action again and ends it at once; SQLite then rolls an open transaction back. */
#ifndef BASE_STOP_H
#define BASE_STOP_H

#include <stdbool.h>

#include "base/err.h"

/* Once, before threads. Also ignores SIGPIPE and SIGXFSZ, so that they become errors of write(2).
 */
enum err stop_install(struct errbuf *eb);

bool stop_asked(void);

/* Readable from the signal on; for poll(2). */
int stop_fd(void);

/* Waits for at most wait_ms or until a stop is asked for, and returns stop_asked(). */
bool stop_wait(int wait_ms);

#endif
