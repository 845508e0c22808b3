#include "fcgi/workers.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { RESTART_MS = 1000 }; /* a worker that dies at once must not be forked in a tight loop */

struct worker {
    pid_t pid; /* 0 = not running */
    int64_t forked_ms;
};

struct workers {
    struct worker *all;
    int n;
    int (*work)(void *);
    void (*on_stop)(void *);
    void *context;
    sigset_t signals, before;
    bool stopping;
    int status; /* the worst exit status seen while stopping */
};

static bool
fork_one(struct workers *ws, struct worker *w)
{
    pid_t parent = getpid(), pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* without its parent nothing would restart or stop it */
        if (getppid() != parent)
            _exit(EXIT_FAILED);
        sigprocmask(SIG_SETMASK, &ws->before, NULL);
        exit(ws->work(ws->context));
    }
    if (pid < 0) {
        log_line(LOG_ERROR, "cannot start a worker: %s", strerror(errno));
        return false;
    }
    w->pid = pid;
    w->forked_ms = clock_mono_ms();
    return true;
}

static int
running(const struct workers *ws)
{
    int count = 0;

    for (int i = 0; i < ws->n; i++)
        count += ws->all[i].pid != 0;
    return count;
}

static void
pass_on(const struct workers *ws, int signal)
{
    for (int i = 0; i < ws->n; i++)
        if (ws->all[i].pid)
            kill(ws->all[i].pid, signal);
}

static void
collect(struct workers *ws)
{
    int how;
    pid_t pid;

    while ((pid = waitpid(-1, &how, WNOHANG)) > 0) {
        for (int i = 0; i < ws->n; i++)
            if (ws->all[i].pid == pid)
                ws->all[i].pid = 0;
        if (WIFSIGNALED(how) && WTERMSIG(how) == SIGSYS)
            log_line(LOG_ERROR,
                     "worker %ld was killed by the sandbox for a system call that only an "
                     "intruder makes; the kernel's log names it",
                     (long)pid);
        else if (!ws->stopping && WIFSIGNALED(how))
            log_line(LOG_ERROR, "worker %ld was killed by signal %d; restarting it", (long)pid,
                     WTERMSIG(how));
        else if (!ws->stopping)
            log_line(LOG_ERROR, "worker %ld ended with status %d; restarting it", (long)pid,
                     WEXITSTATUS(how));
        else if (!WIFEXITED(how) || WEXITSTATUS(how) != 0)
            ws->status = EXIT_FAILED;
    }
}

static void
fill_up(struct workers *ws)
{
    for (int i = 0; i < ws->n && !ws->stopping; i++) {
        struct worker *w = &ws->all[i];

        if (w->pid == 0 && clock_mono_ms() - w->forked_ms >= RESTART_MS)
            fork_one(ws, w);
    }
}

static void
supervise(struct workers *ws)
{
    while (!ws->stopping || running(ws) > 0) {
        struct timespec wait = {RESTART_MS / 1000, RESTART_MS % 1000 * 1000000};
        bool waiting = !ws->stopping && running(ws) < ws->n;
        int signal =
            waiting ? sigtimedwait(&ws->signals, NULL, &wait) : sigwaitinfo(&ws->signals, NULL);

        if ((signal == SIGTERM || signal == SIGINT) && !ws->stopping) {
            ws->stopping = true;
            ws->on_stop(ws->context);
        }
        if (signal > 0 && signal != SIGCHLD)
            pass_on(ws, signal == SIGINT ? SIGTERM : signal);
        collect(ws);
        fill_up(ws);
    }
}

enum err
workers_run(int n, int (*work)(void *), void (*stopping)(void *), void *context, int *status,
            struct errbuf *eb)
{
    struct workers ws = {.n = n, .work = work, .on_stop = stopping, .context = context};

    ws.all = mem_zalloc((size_t)n * sizeof *ws.all);
    if (!ws.all)
        return err_nomem(eb);
    sigemptyset(&ws.signals);
    sigaddset(&ws.signals, SIGTERM);
    sigaddset(&ws.signals, SIGINT);
    sigaddset(&ws.signals, SIGHUP);
    sigaddset(&ws.signals, SIGUSR1);
    sigaddset(&ws.signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ws.signals, &ws.before);
    for (int i = 0; i < n; i++)
        fork_one(&ws, &ws.all[i]);
    if (running(&ws) > 0)
        supervise(&ws);
    else
        ws.status = EXIT_FAILED;
    sigprocmask(SIG_SETMASK, &ws.before, NULL);
    mem_free(ws.all);
    *status = ws.status;
    return ERR_OK;
}
