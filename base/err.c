#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

enum err
err_set(struct errbuf *eb, enum err code, const char *format, ...)
{
    if (eb) {
        va_list args;

        va_start(args, format);
        vsnprintf(eb->text, sizeof eb->text, format, args);
        va_end(args);
    }
    return code;
}

enum err
err_nomem(struct errbuf *eb)
{
    return err_set(eb, ERR_NOMEM, "out of memory");
}

int
err_exit_status(enum err code)
{
    switch (code) {
    case ERR_OK:
        return EXIT_OK;
    case ERR_BUSY:
        return EXIT_TRY_AGAIN;
    case ERR_NOMEM:
    case ERR_INVALID:
    case ERR_MISSING:
    case ERR_EXISTS:
    case ERR_FOREIGN:
    case ERR_FULL:
    case ERR_IO:
    case ERR_CORRUPT:
    case ERR_DENIED:
        return EXIT_FAILED;
    }
    return EXIT_FAILED;
}
