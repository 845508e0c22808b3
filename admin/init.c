/* freshet init: makes a new database, or says that it is there already. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/command.h"
#include "admin/share.h"
#include "sql/store.h"

struct settings {
    char *db, *group;
};

static const struct option_row rows[] = {
    OPTION(TEXT, db, "db", NULL, 0, 0, "FILE", "the file to create"),
    OPTION(TEXT, group, "group", NULL, 0, 0, "NAME",
           "let the members of this group write; creates the directory for that, if needed"),
};

static const struct option_set set = {
    .program = "freshet init",
    .usage = "--db FILE [--group NAME]",
    .summary =
        "Makes a new database that only its user may read and write; an existing one is left\n"
        "as it is. With --group, the members of a group may read and write it too.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
};

/* Nobody but its user, or its group, may read what is in it: SQLite would take the umask's word. */
static enum err
make_file(const char *path, mode_t mode, struct errbuf *eb)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool made = fd >= 0 && fchmod(fd, mode) == 0;
    int error = errno;

    if (fd >= 0)
        close(fd);
    if (made || error == EEXIST)
        return ERR_OK;
    return err_set(eb, ERR_IO, "%s: cannot be created: %s%s", path, strerror(error),
                   error == ENOENT ? " (with --group, its directory is created too)" : "");
}

/* What is there already is looked at before it is given to anybody. */
static enum err
make(const struct settings *settings, bool *existed, struct errbuf *eb)
{
    bool is_there = access(settings->db, F_OK) == 0, shared = settings->group != NULL;
    gid_t group = 0;
    enum err err = shared ? share_group(settings->group, &group, eb) : ERR_OK;

    if (err == ERR_OK && shared && !is_there)
        err = share_directory(settings->db, group, eb);
    if (err == ERR_OK && !is_there)
        err = make_file(settings->db, shared ? 0660 : 0600, eb);
    if (err == ERR_OK)
        err = store_create(settings->db, existed, eb);
    if (err == ERR_OK && shared && is_there)
        err = share_directory(settings->db, group, eb);
    if (err == ERR_OK && shared)
        err = share_files(settings->db, group, eb);
    return err;
}

static int
init(const struct settings *settings)
{
    struct errbuf eb = {""};
    struct store *store;
    bool existed;
    enum err err;

    if (!settings->db)
        return command_misuse(&set, "--db FILE is missing");
    err = make(settings, &existed, &eb);
    if (err == ERR_OK) /* for writing: a reader that closes last would leave -wal and -shm */
        err = store_open(&store, settings->db, STORE_WRITE, STORE_SYNC_FULL, &eb);
    if (err != ERR_OK)
        return command_fail(&set, err, &eb);
    printf("%s: %s, epoch %s\n", settings->db,
           !existed          ? "made"
           : settings->group ? "exists already"
                             : "exists already, left as it is",
           store_epoch(store));
    if (settings->group)
        printf("%s: the members of group %s may write to it; to add one: usermod -aG %s USER\n",
               settings->db, settings->group, settings->group);
    store_close(store);
    return EXIT_OK;
}

int
command_init(int argc, char **argv)
{
    struct settings settings = {0};
    int status;

    if (!command_options(&set, &settings, argc, argv, &status))
        return status;
    status = init(&settings);
    option_finish(&set, &settings);
    return status;
}
