#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "admin/doctor_internal.h"

enum { SAY_SIZE = 1024, CURE_SIZE = 2048 };

static const struct {
    const char *part;
    enum finding_level level;
    const char *meaning, *nginx, *lighttpd, *other;
} symptoms[] = {
#define SYMPTOM(name, part, level, meaning, nginx, lighttpd, other)                                \
    {part, FINDING_##level, meaning, nginx, lighttpd, other},
#include "admin/doctor.def"
#undef SYMPTOM
};

__attribute__((format(printf, 4, 0))) static void
say(struct doctor *d, enum finding_level level, const char *part, const char *format,
    va_list arguments)
{
    char text[SAY_SIZE];

    vsnprintf(text, sizeof text, format, arguments);
    findings_add(&d->findings, level, part, text, NULL);
}

void
doctor_good(struct doctor *d, const char *part, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say(d, FINDING_OK, part, format, arguments);
    va_end(arguments);
}

void
doctor_note(struct doctor *d, const char *part, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say(d, FINDING_NOTE, part, format, arguments);
    va_end(arguments);
}

/* Appends the lines of one server, each with its name in front. */
static void
add_cure(char cure[CURE_SIZE], const char *server, const char *lines)
{
    while (lines && *lines) {
        size_t n = strcspn(lines, "\n"), used = strlen(cure);

        snprintf(cure + used, CURE_SIZE - used, "%s%s%s%.*s", used ? "\n" : "", server,
                 *server ? ": " : "", (int)n, lines);
        lines += n + (lines[n] == '\n');
    }
}

static bool
may_be(const struct doctor *d, const char *server)
{
    static const char *const known[] = {"nginx", "lighttpd"};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncasecmp(d->server, known[i], strlen(known[i])) == 0)
            return strcmp(server, known[i]) == 0;
    return true;
}

void
doctor_symptom(struct doctor *d, enum symptom s, const char *format, ...)
{
    char measured[SAY_SIZE], cure[CURE_SIZE] = "";
    char text[2 * SAY_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(measured, sizeof measured, format, arguments);
    va_end(arguments);
    snprintf(text, sizeof text, "%s: %s", measured, symptoms[s].meaning);
    if (may_be(d, "nginx"))
        add_cure(cure, "nginx", symptoms[s].nginx);
    if (may_be(d, "lighttpd"))
        add_cure(cure, "lighttpd", symptoms[s].lighttpd);
    add_cure(cure, "", symptoms[s].other);
    findings_add(&d->findings, symptoms[s].level, symptoms[s].part, text, cure);
}
