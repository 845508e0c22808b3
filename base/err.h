/* err: how a failure travels.
 *
 * A function that can fail returns enum err and gives its results in out-parameters. Where the
 * cause is known, its text goes into the caller's struct errbuf: what happened, where, what to do.
 * Report or return, never both: only the program's outermost level prints. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err {
    ERR_OK = 0,
    ERR_NOMEM,   /* an allocation failed */
    ERR_INVALID, /* the input breaks a rule; retrying the same input fails again */
    ERR_MISSING, /* the named thing does not exist */
    ERR_EXISTS,  /* the named thing exists already */
    ERR_FOREIGN, /* a file that is not ours, or of a newer version */
    ERR_BUSY,    /* somebody holds the resource; try again */
    ERR_FULL,    /* disk or a configured limit is full */
    ERR_IO,      /* the operating system refused */
    ERR_CORRUPT, /* stored data is damaged */
    ERR_DENIED,  /* understood, and not allowed */
};

/* Exit statuses of the programs; 64 and 75 as in sysexits.h. */
enum exit_status { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 64, EXIT_TRY_AGAIN = 75 };

struct errbuf {
    char text[512]; /* NUL-terminated, one line, no trailing full stop needed; "" when unset */
};

/* Fills eb (which may be NULL) and returns code, so that `return err_set(eb, ERR_IO, "…")` works.
 * Text that does not fit is cut. */
enum err err_set(struct errbuf *eb, enum err code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for an allocation that failed: there is only one thing to say. */
enum err err_nomem(struct errbuf *eb);

/* The exit status that a program ends with after this failure. */
int err_exit_status(enum err code);

#endif
