/* slow_sync: for LD_PRELOAD: fsync() and fdatasync() take SYNC_MS milliseconds longer.
 *
 * What a commit costs is what the disk takes to say that it has written. Some say so at once
 * because a capacitor makes up for a power cut; the SSD of a laptop takes one to five milliseconds,
 * a hard disk eight and more. This shows the others on a machine with a quick one. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static int
slow(const char *name, int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    const char *ms = getenv("SYNC_MS");
    long ns = ms ? (long)(atof(ms) * 1e6) : 0;
    struct timespec wait = {ns / 1000000000, ns % 1000000000};
    int result = real(fd), error = errno;

    if (ns > 0) {
        prctl(PR_SET_TIMERSLACK, 1000);
        nanosleep(&wait, NULL);
    }
    errno = error;
    return result;
}

int
fsync(int fd)
{
    return slow("fsync", fd);
}

int
fdatasync(int fd)
{
    return slow("fdatasync", fd);
}
