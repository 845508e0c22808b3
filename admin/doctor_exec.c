/* What `freshet` does for its subcommand doctor: becomes freshet-doctor, a program of its own, so
 * that libcurl and the forty libraries behind it are loaded for no other subcommand. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/doctor.h"
#include "base/err.h"

enum { PATH_SIZE = 4096 };

/* Beside our own file, which is where it is in a build directory. */
static void
find_beside(char path[PATH_SIZE])
{
    ssize_t n = readlink("/proc/self/exe", path, PATH_SIZE - sizeof "freshet-doctor");
    char *slash;

    path[n > 0 ? n : 0] = '\0';
    slash = strrchr(path, '/');
    strcpy(slash ? slash + 1 : path, "freshet-doctor");
}

int
doctor_run(const struct settings *settings, const char *url, char **argv)
{
    const char *installed = PKGLIBEXECDIR "/freshet-doctor";
    char path[PATH_SIZE];

    (void)settings; /* the other program reads them again */
    find_beside(path);
    if (strchr(path, '/'))
        execv(path, argv);
    execv(installed, argv);
    fprintf(stderr, "freshet doctor: cannot look at %s: %s: %s%s\n", url, installed,
            strerror(errno),
            errno == ENOENT ? " (was freshet built without libcurl, with configure --without-curl?)"
                            : "");
    return EXIT_FAILED;
}
