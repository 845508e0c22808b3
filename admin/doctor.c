/* freshet doctor: connects as a client would, and names what is configured wrongly. */
#include "admin/doctor.h"

#include <stdio.h>
#include <string.h>

#include "admin/command.h"

static const struct option_row rows[] = {
    OPTION(TEXT, db, "db", NULL, 0, 0, "FILE",
           "append probe events to this database, the one behind the URL, and time them"),
    OPTION(TEXT, publish_to, "publish-to", NULL, 0, 0, "URL",
           "POST probe events to this URL and time them"),
    OPTION(TEXT, topic, "topic", "freshet/doctor", 0, 0, "TOPIC", "the topic of the probe events"),
    OPTION(TEXT, token, "token", NULL, 0, 0, "TOKEN",
           "send this token in Authorization: Bearer; - reads it from standard input"),
    OPTION(TEXT, cookie, "cookie", NULL, 0, 0, "NAME=VALUE", "send this cookie"),
    OPTION(LIST, headers, "header", NULL, 0, 0, "LINE",
           "also send this header line; may be repeated"),
    OPTION(TEXT, origin, "origin", NULL, 0, 0, "ORIGIN",
           "send requests as a page of this origin would (https://app.example)"),
    OPTION(TEXT, ca, "ca", NULL, 0, 0, "FILE",
           "trust certificates signed by those in this PEM file"),
    OPTION(DURATION, wait_ms, "wait", "20s", 100, 3600000, "TIME",
           "wait this long for a heartbeat; more than the responder's --heartbeat"),
    OPTION(DURATION, timeout_ms, "timeout", "60s", 1000, 7200000, "TIME",
           "end after this long, whatever happens"),
    OPTION(FLAG, expect_down, "expect-down", "off", 0, 0, NULL,
           "the responder is stopped: check what clients are told meanwhile"),
    OPTION(FLAG, json, "json", "off", 0, 0, NULL, "print one JSON object"),
};

static const struct option_set set = {
    .program = "freshet doctor",
    .usage = "[options] URL",
    .summary = "Connects to a stream as a client would, measures it, and names what is configured\n"
               "wrongly between the responder and here, with the line that fixes it.",
    .epilogue = "Exit status: 0 nothing FAILed, 1 something did, 64 the command line makes no "
                "sense.\nNothing is published without --db or --publish-to.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
};

static int
doctor(const struct settings *settings, char **arguments, int n, char **argv)
{
    if (n != 1)
        return command_misuse(&set, n ? "one URL is enough" : "the URL of a stream is missing");
    if (strncmp(arguments[0], "http://", 7) != 0 && strncmp(arguments[0], "https://", 8) != 0)
        return command_misuse(&set, "the URL must begin with http:// or https://");
    if (settings->db && settings->publish_to)
        return command_misuse(&set, "give --db or --publish-to, not both");
    if (settings->expect_down && (settings->db || settings->publish_to))
        return command_misuse(&set, "with --expect-down nothing is published");
    return doctor_run(settings, arguments[0], argv);
}

int
command_doctor(int argc, char **argv)
{
    struct settings settings = {0};
    int rest, status;

    if (!command_arguments(&set, &settings, argc, argv, &rest, &status))
        return status;
    status = doctor(&settings, argv + rest, argc - rest, argv);
    option_finish(&set, &settings);
    return status;
}
