#include "tests/unit/temp_db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sql/store.h"

void
temp_db_make(struct temp_db *t)
{
    const char *tmp = getenv("TMPDIR");
    struct errbuf eb = {""};
    bool existed;

    snprintf(t->dir, sizeof t->dir, "%s/freshet-test.XXXXXX",
             tmp && strlen(tmp) < 150 ? tmp : P_tmpdir);
    assert_non_null(mkdtemp(t->dir));
    snprintf(t->path, sizeof t->path, "%s/events.db", t->dir);
    if (store_create(t->path, &existed, &eb) != ERR_OK)
        fail_msg("%s", eb.text);
    assert_false(existed);
}

void
temp_db_remove(const struct temp_db *t)
{
    DIR *dir = opendir(t->dir);
    struct dirent *entry;

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        char name[512];

        snprintf(name, sizeof name, "%s/%s", t->dir, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(name);
    }
    closedir(dir);
    assert_int_equal(rmdir(t->dir), 0);
}
