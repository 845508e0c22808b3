/* Runs a fuzz target's inputs without libFuzzer, so with any compiler and in `make check`: the
 * files and directories that are named, else the target's corpus and its regressions. TAP. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "tests/fuzz/fuzz.h"

enum { PATH_MAX_BYTES = 4096 };

/* The input that runs is known when it crashes. */
static char running[PATH_MAX_BYTES];

static void
die(const char *what)
{
    printf("Bail out! %s: %s: %s\n", running, what, strerror(errno));
    exit(1);
}

static void
run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct text exact;
    struct buf b;
    char *room;

    snprintf(running, sizeof running, "%s", path);
    if (!file)
        die("cannot be opened");
    buf_init(&b, SIZE_MAX / 2);
    while ((room = buf_reserve(&b, 65536)) && !feof(file) && !ferror(file))
        buf_commit(&b, fread(room, 1, 65536, file));
    if (!room || ferror(file))
        die("cannot be read");
    fclose(file);
    exact = fuzz_copy(buf_view(&b));
    buf_finish(&b);
    fprintf(stderr, "# %s\n", path);
    LLVMFuzzerTestOneInput((const uint8_t *)exact.p, exact.n);
    fuzz_free(exact);
}

static int
by_name(const void *a, const void *b)
{
    return strcmp((*(struct dirent *const *)a)->d_name, (*(struct dirent *const *)b)->d_name);
}

static int
is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static size_t
run_directory(const char *path)
{
    struct dirent **entries;
    int n = scandir(path, &entries, is_input, NULL);

    if (n < 0 && errno == ENOENT)
        return 0;
    if (n < 0)
        die(path);
    qsort(entries, (size_t)n, sizeof *entries, by_name);
    for (int i = 0; i < n; i++) {
        char file[PATH_MAX_BYTES];

        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        run_file(file);
        free(entries[i]);
    }
    free(entries);
    return (size_t)n;
}

static void
run_own(int number, const char *kind, size_t at_least)
{
    const char *top = getenv("top_srcdir");
    char path[PATH_MAX_BYTES];
    size_t n;

    snprintf(path, sizeof path, "%s/tests/fuzz/%s/%s", top ? top : ".", kind, fuzz_name);
    n = run_directory(path);
    printf("%sok %d - %s: %zu inputs of %s\n", n >= at_least ? "" : "not ", number, fuzz_name, n,
           kind);
    if (n < at_least)
        exit(1);
}

int
main(int argc, char **argv)
{
    /* A crash must not swallow what was said before it. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        struct stat info;

        if (stat(argv[i], &info) == 0 && S_ISDIR(info.st_mode))
            run_directory(argv[i]);
        else
            run_file(argv[i]);
    }
    if (argc == 1) {
        printf("1..2\n");
        run_own(1, "corpus", 1);
        run_own(2, "regressions", 0);
    }
    return 0;
}
