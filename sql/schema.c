#include "sql/schema.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"

#define MARK "/**/"
/* Lines of schema.sql that begin with these enclose what is for a file of its own only. */
#define OWN_FILE "--["
#define OWN_FILE_END "--]"

static const char script[] =
#include "sql/schema.inc"
    ;

static const char script_1[] =
#include "sql/schema-1.inc"
    ;

static const char *const upgrades[] = {
#define UPGRADE(from, sql) [from] = (sql),
#include "sql/upgrade.def"
};

static char *
take(struct buf *out)
{
    char *sql = buf_take(out);

    buf_finish(out);
    return sql;
}

static void
put_names(struct buf *out, struct text sql, const char *prefix)
{
    const char *at = sql.p, *end = sql.p + sql.n, *mark;

    while ((mark = memmem(at, (size_t)(end - at), MARK, strlen(MARK)))) {
        buf_append(out, at, (size_t)(mark - at));
        at = mark + strlen(MARK);
        if (at < end && *at == '\'')
            buf_byte(out, *at++);
        buf_string(out, prefix);
    }
    buf_append(out, at, (size_t)(end - at));
}

char *
schema_names(const char *sql, const char *prefix)
{
    struct buf out;

    buf_init(&out, SIZE_MAX / 4);
    put_names(&out, text_of(sql), prefix);
    return take(&out);
}

char *
schema_script(const char *prefix)
{
    const char *at = script, *part;
    bool guest = *prefix != '\0';
    struct buf out;

    buf_init(&out, SIZE_MAX / 4);
    while (guest && (part = strstr(at, OWN_FILE))) {
        put_names(&out, (struct text){at, (size_t)(part - at)}, prefix);
        at = strstr(part, OWN_FILE_END) + strlen(OWN_FILE_END);
    }
    put_names(&out, text_of(at), prefix);
    return take(&out);
}

char *
schema_script_1(void)
{
    return schema_names(script_1, "");
}

char *
schema_upgrade(int from, const char *prefix)
{
    assert(from > 0 && from < SCHEMA_FORMAT);
    return schema_names(upgrades[from], prefix);
}
