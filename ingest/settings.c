#include "ingest/settings.h"

#include <string.h>

#include "stream/event.h"
#include "stream/pointer.h"

static const struct option_row rows[] = {
#define OPTION(...) OPTION_ROW(__VA_ARGS__),
#include "ingest/options.def"
#undef OPTION
};

static const struct option_old_name old_names[] = {{"event-max", "event-bytes"}, {NULL, NULL}};

const struct option_set settings_options = {
    .program = "freshet-ingest",
    .usage = "--db FILE [options] [INPUT]",
    .summary = "Appends events from INPUT (standard input when absent or \"-\") to a database.",
    .epilogue =
        "Exit status: 0 everything was read, or a signal ended it (rejected events do not count);\n"
        "1 failed; 64 wrong usage; 75 the database stayed busy: try again.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
    .old_names = old_names,
};

bool
settings_have_pointers(const struct settings *s)
{
    return s->topic_from || s->type_from || s->key_from || s->data_from;
}

static enum err
check_pointer(const char *name, const char *pointer, struct errbuf *eb)
{
    struct pointer parsed;
    enum err err = pointer_parse(&parsed, text_of(pointer));

    if (err == ERR_NOMEM)
        return err_nomem(eb);
    if (err == ERR_INVALID)
        return err_set(eb, err,
                       "--%s: \"%s\" is not a JSON Pointer; it must begin with /, and a ~ is "
                       "written ~0",
                       name, pointer);
    pointer_finish(&parsed);
    return ERR_OK;
}

static enum err
check_pointers(const struct settings *s, struct errbuf *eb)
{
    enum err err = check_pointer("topic-from", s->topic_from, eb);

    if (err == ERR_OK)
        err = check_pointer("type-from", s->type_from, eb);
    if (err == ERR_OK)
        err = check_pointer("key-from", s->key_from, eb);
    if (err == ERR_OK)
        err = check_pointer("data-from", s->data_from, eb);
    return err;
}

static enum err
check_names(const struct settings *s, struct errbuf *eb)
{
    struct errbuf why;

    if (s->topic && event_check_topic(text_of(s->topic), &why) != ERR_OK)
        return err_set(eb, ERR_INVALID, "--topic: %s", why.text);
    if (s->type && event_check_type(text_of(s->type), &why) != ERR_OK)
        return err_set(eb, ERR_INVALID, "--type: %s", why.text);
    if (s->source && s->source[0] == '\0')
        return err_set(eb, ERR_INVALID, "--source: the name is empty");
    return ERR_OK;
}

static enum err
check_together(const struct settings *s, struct errbuf *eb)
{
    if (!s->db)
        return err_set(eb, ERR_INVALID, "--db is missing");
    if (s->last_id && !s->source)
        return err_set(eb, ERR_INVALID, "--last-id needs --source");
    if (s->last_id)
        return ERR_OK;
    if (s->format == FORMAT_LINES && settings_have_pointers(s))
        return err_set(eb, ERR_INVALID, "--format lines has no JSON for a pointer to search");
    if (s->format != FORMAT_NDJSON && !s->topic && !s->topic_from)
        return err_set(eb, ERR_INVALID, "this format names no topics: give --topic%s",
                       s->format == FORMAT_SSE ? " or --topic-from" : "");
    if (s->format == FORMAT_NDJSON && settings_have_pointers(s) && !s->topic && !s->topic_from)
        return err_set(eb, ERR_INVALID, "with pointers, give --topic-from or --topic too");
    if (s->key_id && s->format != FORMAT_SSE)
        return err_set(eb, ERR_INVALID, "--key-id is for --format sse");
    if (s->key_id && s->key_from)
        return err_set(eb, ERR_INVALID, "--key-id and --key-from both name the key");
    return ERR_OK;
}

enum err
settings_check(struct settings *s, int argc, char **argv, int rest, struct errbuf *eb)
{
    enum err err;

    if (argc - rest > 1)
        return err_set(eb, ERR_INVALID, "more than one INPUT (\"%s\"); options go before it",
                       argv[rest + 1]);
    if (s->follow && argc - rest == 1)
        return err_set(eb, ERR_INVALID,
                       "--follow names the file to read, so \"%s\" must not be given", argv[rest]);
    s->input = s->follow ? s->follow : rest < argc ? argv[rest] : NULL;
    if (s->input && !s->follow && strcmp(s->input, "-") == 0)
        s->input = NULL;
    err = check_together(s, eb);
    if (err == ERR_OK)
        err = check_pointers(s, eb);
    if (err == ERR_OK)
        err = check_names(s, eb);
    return err;
}
