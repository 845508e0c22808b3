#include "admin/findings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "admin/show.h"
#include "base/err.h"

enum {
    INDENT = 18, /* where texts begin: "FAIL  compression " */
    WIDTH_STANDARD = 100,
    WIDTH_MIN = 60,
    OUTPUT_MAX = 16 * 1024 * 1024,
};

static const struct {
    const char *word, *sgr, *json;
} levels[FINDING_LEVELS] = {
    [FINDING_OK] = {"ok", "32", "ok"},
    [FINDING_NOTE] = {"note", "2", "note"},
    [FINDING_WARN] = {"warn", "33", "warn"},
    [FINDING_FAIL] = {"FAIL", "1;31", "fail"},
};

static int
find_width(void)
{
    struct winsize size = {0};

    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || !size.ws_col)
        return WIDTH_STANDARD;
    return size.ws_col > WIDTH_MIN ? size.ws_col : WIDTH_MIN;
}

static bool
find_colour(void)
{
    const char *terminal = getenv("TERM"), *no_color = getenv("NO_COLOR");

    return isatty(STDOUT_FILENO) && !(no_color && *no_color) && terminal &&
           strcmp(terminal, "dumb") != 0;
}

static void
flush(struct findings *f)
{
    if (f->progress)
        progress_clear(f->progress);
    fwrite(f->out.data, 1, f->out.length, stdout);
    fflush(stdout);
    buf_clear(&f->out);
}

void
findings_init(struct findings *f, const char *name, const char *subject, bool json)
{
    *f = (struct findings){.json = json, .colour = !json && find_colour(), .width = find_width()};
    buf_init(&f->out, OUTPUT_MAX);
    if (json) {
        buf_format(&f->out, "{\"%s\":", name);
        buf_json(&f->out, text_of(subject));
        buf_string(&f->out, ",\"findings\":[");
    } else {
        show_text(&f->out, text_of(subject), SHOW_ALL);
        buf_string(&f->out, "\n\n");
        flush(f);
    }
}

/* ---- for people ---- */

static void
indent(struct findings *f)
{
    buf_format(&f->out, "\n%*s", INDENT, "");
}

/* s in lines of the width, broken at blanks, the first and the following ones at INDENT. */
static void
wrapped(struct findings *f, struct text s)
{
    size_t room = (size_t)(f->width - INDENT);

    while (s.n > room) {
        size_t cut = room;

        while (cut > 0 && s.p[cut] != ' ')
            cut--;
        if (cut == 0)
            break;
        buf_append(&f->out, s.p, cut);
        indent(f);
        s = (struct text){s.p + cut + 1, s.n - cut - 1};
    }
    buf_text(&f->out, s);
}

static void
coloured(struct findings *f, const char *sgr, const char *word, int width)
{
    if (f->colour)
        buf_format(&f->out, "\033[%sm%-*s\033[0m", sgr, width, word);
    else
        buf_format(&f->out, "%-*s", width, word);
}

static void
for_people(struct findings *f, enum finding_level level, const char *part, const char *what,
           const char *cure)
{
    struct buf safe;

    buf_init(&safe, OUTPUT_MAX);
    show_text(&safe, text_of(what), SHOW_ALL);
    coloured(f, levels[level].sgr, levels[level].word, 6);
    buf_format(&f->out, "%-*s", INDENT - 6, part);
    wrapped(f, buf_view(&safe));
    buf_finish(&safe);
    while (cure && *cure) {
        struct text line = {cure, strcspn(cure, "\n")};

        indent(f);
        coloured(f, "1", "→ ", 0);
        show_text(&f->out, line, SHOW_ALL);
        cure += line.n + (cure[line.n] == '\n');
    }
    buf_byte(&f->out, '\n');
    flush(f);
}

/* ---- JSON ---- */

static void
as_json(struct findings *f, enum finding_level level, const char *part, const char *what,
        const char *cure)
{
    bool first = true;

    if (f->out.data[f->out.length - 1] != '[')
        buf_byte(&f->out, ',');
    buf_format(&f->out, "\n{\"level\":\"%s\",\"part\":\"%s\",\"text\":", levels[level].json, part);
    buf_json(&f->out, text_of(what));
    buf_string(&f->out, ",\"cure\":[");
    while (cure && *cure) {
        struct text line = {cure, strcspn(cure, "\n")};

        if (!first)
            buf_byte(&f->out, ',');
        first = false;
        buf_json(&f->out, line);
        cure += line.n + (cure[line.n] == '\n');
    }
    buf_string(&f->out, "]}");
}

void
findings_add(struct findings *f, enum finding_level level, const char *part, const char *what,
             const char *cure)
{
    struct buf valid;

    f->n[level]++;
    if (!f->json) {
        for_people(f, level, part, what, cure);
        return;
    }
    /* JSON is UTF-8, and what is quoted in a text may be anything. */
    buf_init(&valid, OUTPUT_MAX);
    if (!text_is_utf8(text_of(what))) {
        show_text(&valid, text_of(what), SHOW_ALL);
        buf_byte(&valid, '\0');
        what = buf_failed(&valid) ? "out of memory" : valid.data;
    }
    as_json(f, level, part, what, cure);
    buf_finish(&valid);
}

/* "…: 1 FAIL, 9 ok"; what there is none of is not counted. */
static void
sum_up(struct findings *f, const char *verdict)
{
    const char *before = ": ";

    buf_format(&f->out, "\n%s", verdict);
    for (int i = FINDING_LEVELS - 1; i >= 0; i--) {
        if (f->n[i] == 0)
            continue;
        buf_format(&f->out, "%s%d %s", before, f->n[i], levels[i].word);
        before = ", ";
    }
    buf_byte(&f->out, '\n');
}

int
findings_finish(struct findings *f, const char *good, const char *bad)
{
    int status = f->n[FINDING_FAIL] ? EXIT_FAILED : EXIT_OK;

    if (f->json)
        buf_format(
            &f->out,
            "],\n\"result\":\"%s\",\"ok\":%d,\"notes\":%d,\"warnings\":%d,\"failures\":%d}\n",
            f->n[FINDING_FAIL]   ? "fail"
            : f->n[FINDING_WARN] ? "warn"
                                 : "ok",
            f->n[FINDING_OK], f->n[FINDING_NOTE], f->n[FINDING_WARN], f->n[FINDING_FAIL]);
    else
        sum_up(f, status == EXIT_OK ? good : bad);
    if (buf_failed(&f->out)) {
        fputs("freshet: out of memory\n", stderr);
        status = EXIT_FAILED;
    }
    flush(f);
    buf_finish(&f->out);
    return status;
}
