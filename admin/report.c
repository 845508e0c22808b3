#include "admin/report.h"

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
} levels[REPORT_LEVELS] = {
    [REPORT_OK] = {"ok", "32", "ok"},
    [REPORT_NOTE] = {"note", "2", "note"},
    [REPORT_WARN] = {"warn", "33", "warn"},
    [REPORT_FAIL] = {"FAIL", "1;31", "fail"},
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
flush(struct report *r)
{
    if (r->progress)
        progress_clear(r->progress);
    fwrite(r->out.data, 1, r->out.length, stdout);
    fflush(stdout);
    buf_clear(&r->out);
}

void
report_init(struct report *r, const char *name, const char *subject, bool json)
{
    *r = (struct report){.json = json, .colour = !json && find_colour(), .width = find_width()};
    buf_init(&r->out, OUTPUT_MAX);
    if (json) {
        buf_format(&r->out, "{\"%s\":", name);
        buf_json(&r->out, text_of(subject));
        buf_string(&r->out, ",\"findings\":[");
    } else {
        show_text(&r->out, text_of(subject), SHOW_ALL);
        buf_string(&r->out, "\n\n");
        flush(r);
    }
}

/* ---- for people ---- */

static void
indent(struct report *r)
{
    buf_format(&r->out, "\n%*s", INDENT, "");
}

/* s in lines of the width, broken at blanks, the first and the following ones at INDENT. */
static void
wrapped(struct report *r, struct text s)
{
    size_t room = (size_t)(r->width - INDENT);

    while (s.n > room) {
        size_t cut = room;

        while (cut > 0 && s.p[cut] != ' ')
            cut--;
        if (cut == 0)
            break;
        buf_append(&r->out, s.p, cut);
        indent(r);
        s = (struct text){s.p + cut + 1, s.n - cut - 1};
    }
    buf_text(&r->out, s);
}

static void
coloured(struct report *r, const char *sgr, const char *word, int width)
{
    if (r->colour)
        buf_format(&r->out, "\033[%sm%-*s\033[0m", sgr, width, word);
    else
        buf_format(&r->out, "%-*s", width, word);
}

static void
for_people(struct report *r, enum report_level level, const char *part, const char *what,
           const char *cure)
{
    struct buf safe;

    buf_init(&safe, OUTPUT_MAX);
    show_text(&safe, text_of(what), SHOW_ALL);
    coloured(r, levels[level].sgr, levels[level].word, 6);
    buf_format(&r->out, "%-*s", INDENT - 6, part);
    wrapped(r, buf_view(&safe));
    buf_finish(&safe);
    while (cure && *cure) {
        struct text line = {cure, strcspn(cure, "\n")};

        indent(r);
        coloured(r, "1", "→ ", 0);
        show_text(&r->out, line, SHOW_ALL);
        cure += line.n + (cure[line.n] == '\n');
    }
    buf_byte(&r->out, '\n');
    flush(r);
}

/* ---- JSON ---- */

static void
as_json(struct report *r, enum report_level level, const char *part, const char *what,
        const char *cure)
{
    bool first = true;

    if (r->out.data[r->out.length - 1] != '[')
        buf_byte(&r->out, ',');
    buf_format(&r->out, "\n{\"level\":\"%s\",\"part\":\"%s\",\"text\":", levels[level].json, part);
    buf_json(&r->out, text_of(what));
    buf_string(&r->out, ",\"cure\":[");
    while (cure && *cure) {
        struct text line = {cure, strcspn(cure, "\n")};

        if (!first)
            buf_byte(&r->out, ',');
        first = false;
        buf_json(&r->out, line);
        cure += line.n + (cure[line.n] == '\n');
    }
    buf_string(&r->out, "]}");
}

void
report_add(struct report *r, enum report_level level, const char *part, const char *what,
           const char *cure)
{
    struct buf valid;

    r->n[level]++;
    if (!r->json) {
        for_people(r, level, part, what, cure);
        return;
    }
    /* JSON is UTF-8, and what is quoted in a text may be anything. */
    buf_init(&valid, OUTPUT_MAX);
    if (!text_is_utf8(text_of(what))) {
        show_text(&valid, text_of(what), SHOW_ALL);
        buf_byte(&valid, '\0');
        what = buf_failed(&valid) ? "out of memory" : valid.data;
    }
    as_json(r, level, part, what, cure);
    buf_finish(&valid);
}

/* "…: 1 FAIL, 9 ok"; what there is none of is not counted. */
static void
sum_up(struct report *r, const char *verdict)
{
    const char *before = ": ";

    buf_format(&r->out, "\n%s", verdict);
    for (int i = REPORT_LEVELS - 1; i >= 0; i--) {
        if (r->n[i] == 0)
            continue;
        buf_format(&r->out, "%s%d %s", before, r->n[i], levels[i].word);
        before = ", ";
    }
    buf_byte(&r->out, '\n');
}

int
report_finish(struct report *r, const char *good, const char *bad)
{
    int status = r->n[REPORT_FAIL] ? EXIT_FAILED : EXIT_OK;

    if (r->json)
        buf_format(
            &r->out,
            "],\n\"result\":\"%s\",\"ok\":%d,\"notes\":%d,\"warnings\":%d,\"failures\":%d}\n",
            r->n[REPORT_FAIL]   ? "fail"
            : r->n[REPORT_WARN] ? "warn"
                                : "ok",
            r->n[REPORT_OK], r->n[REPORT_NOTE], r->n[REPORT_WARN], r->n[REPORT_FAIL]);
    else
        sum_up(r, status == EXIT_OK ? good : bad);
    if (buf_failed(&r->out)) {
        fputs("freshet: out of memory\n", stderr);
        status = EXIT_FAILED;
    }
    flush(r);
    buf_finish(&r->out);
    return status;
}
