/* The sandbox, entered for good in a child each time, which then tries what it should not. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "fcgi/sandbox.h"

enum { CANNOT_ENTER = 99 };

/* Runs the attempt in a child, which enters the sandbox before if it is to; gives back what
 * waitpid() says. The attempt's result, an errno or 0, is the exit status. */
static int
in_child(int (*attempt)(void), bool enter)
{
    struct errbuf eb;
    int how;
    pid_t pid = fork();

    if (pid == 0) {
        struct rlimit no_core = {0, 0};

        setrlimit(RLIMIT_CORE, &no_core);
        if (enter && (sandbox_prepare(&eb) != ERR_OK || sandbox_enter(&eb) != ERR_OK)) {
            fprintf(stderr, "%s\n", eb.text);
            _exit(CANNOT_ENTER);
        }
        _exit(attempt());
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &how, 0), pid);
    return how;
}

static int
inside(int (*attempt)(void))
{
    return in_child(attempt, true);
}

/* The attempt enters by itself, or does not. */
static void
expect_outside(int (*attempt)(void), int status)
{
    int how = in_child(attempt, false);

    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), status);
}

#define result_of(call) ((call) < 0 ? errno : 0)

static void
expect_status(int (*attempt)(void), int status)
{
    int how = inside(attempt);

    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), status);
}

static void
expect_death(int (*attempt)(void))
{
    int how = inside(attempt);

    assert_true(WIFSIGNALED(how));
    assert_int_equal(WTERMSIG(how), SIGSYS);
}

#if defined(HAVE_SECCOMP) && !defined(SANDBOX_SANITIZED)

static int
run_a_program(void)
{
    char *argv[] = {"true", NULL};

    return result_of(execv("/bin/true", argv));
}

static int
fork_the_old_way(void)
{
    return result_of((int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static int
trace_somebody(void)
{
    return result_of((int)ptrace(PTRACE_ATTACH, getpid(), NULL, NULL));
}

static int
mount_something(void)
{
    return result_of(mount("none", "/", "tmpfs", 0, NULL));
}

static int
become_somebody(void)
{
    return result_of((int)syscall(SYS_setuid, 0));
}

static void
an_intruder_s_calls_kill(void **state)
{
    (void)state;
    expect_death(run_a_program);
    expect_death(trace_somebody);
    expect_death(mount_something);
    expect_death(become_somebody);
}

static int
make_a_socket(void)
{
    return result_of(socket(AF_INET, SOCK_STREAM, 0));
}

static int
signal_the_parent(void)
{
    return result_of(kill(getppid(), 0));
}

static int
signal_another_thread_group(void)
{
    return result_of((int)syscall(SYS_tgkill, getppid(), getppid(), 0));
}

static int
make_a_link(void)
{
    return result_of(link("/etc/hostname", "/nowhere/hostname"));
}

static int
raise_a_limit(void)
{
    struct rlimit limit = {1, 1};

    return result_of(setrlimit(RLIMIT_NOFILE, &limit));
}

static int
map_code(void)
{
    void *at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return at == MAP_FAILED ? errno : 0;
}

static int
make_data_code(void)
{
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return at == MAP_FAILED ? EFAULT : result_of(mprotect(at, 4096, PROT_READ | PROT_EXEC));
}

static int
call_what_nobody_knows(void)
{
    return result_of((int)syscall(1 << 20));
}

static void
other_calls_fail(void **state)
{
    (void)state;
    expect_status(make_a_socket, EPERM);
    expect_status(signal_the_parent, EPERM);
    expect_status(make_a_link, EPERM);
    expect_status(fork_the_old_way, ENOSYS);
    expect_status(signal_another_thread_group, ENOSYS);
    expect_status(raise_a_limit, ENOSYS);
    expect_status(map_code, ENOSYS);
    expect_status(make_data_code, ENOSYS);
    expect_status(call_what_nobody_knows, ENOSYS);
}

static int sockets[2]; /* made before: inside there are none to be had */

/* What threads, SQLite and the loop go on doing. */
static int
work(void)
{
    char path[] = "test_sandbox.XXXXXX", *memory = malloc(1 << 24);
    struct rlimit limit;
    int ends[2], unread = 0, fd = mkstemp(path);

    if (fd < 0 || !memory)
        return 1;
    memset(memory, 1, 1 << 24);
    free(memory);
    if (pwrite(fd, "x", 1, 0) != 1 || fdatasync(fd) < 0 || ftruncate(fd, 0) < 0 || close(fd) < 0)
        return 2;
    if (unlink(path) < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return 3;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || isatty(ends[0]) != 0)
        return 4;
    if (write(sockets[0], "x", 1) != 1 || ioctl(sockets[0], SIOCOUTQ, &unread) < 0 || unread == 0)
        return 5;
    return 0;
}

static void
work_goes_on(void **state)
{
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    expect_status(work, 0);
    close(sockets[0]);
    close(sockets[1]);
}

static void *
do_nothing(void *context)
{
    return context;
}

/* Opening another database starts everything again, with the filter that is there. */
static int
begin_anew(void)
{
    pthread_t thread;
    struct errbuf eb;

    if (pthread_create(&thread, NULL, do_nothing, NULL) != 0 || pthread_join(thread, NULL) != 0)
        return 1;
    return sandbox_enter(&eb) == ERR_OK ? 0 : 2;
}

static void
the_responder_can_begin_anew(void **state)
{
    (void)state;
    expect_status(begin_anew, 0);
}

static int
give_up(void)
{
    abort();
}

static void
an_assertion_still_aborts(void **state)
{
    int how = inside(give_up);

    (void)state;
    assert_true(WIFSIGNALED(how));
    assert_int_equal(WTERMSIG(how), SIGABRT);
}

/* What goes through a ring passes no filter. It is refused rather than punished: libuv asks for one
 * with each loop. */
static int
make_a_ring(void)
{
    char parameters[120] = {0};

    return result_of((int)syscall(SYS_io_uring_setup, 1, parameters));
}

static int
make_a_ring_while_starting(void)
{
    struct errbuf eb;

    return sandbox_prepare(&eb) == ERR_OK ? make_a_ring() : CANNOT_ENTER;
}

static void
there_is_no_ring_from_the_start_on(void **state)
{
    (void)state;
    expect_outside(make_a_ring_while_starting, ENOSYS);
    expect_status(make_a_ring, ENOSYS);
}

static void
stop_the_loop(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, NULL);
}

static int
turn_a_loop(uv_loop_t *loop)
{
    uv_timer_t timer;

    if (uv_timer_init(loop, &timer) != 0 || uv_timer_start(&timer, stop_the_loop, 1, 0) != 0 ||
        uv_run(loop, UV_RUN_DEFAULT) != 0)
        return 1;
    return uv_loop_close(loop) == 0 ? 0 : 2;
}

/* The order of things in the responder: prepare, a loop, enter; then another loop for the database
 * that takes the place of the first. */
static int
serve_twice(void)
{
    struct errbuf eb;
    uv_loop_t first, second;

    if (sandbox_prepare(&eb) != ERR_OK || uv_loop_init(&first) != 0 || sandbox_enter(&eb) != ERR_OK)
        return CANNOT_ENTER;
    if (turn_a_loop(&first) != 0)
        return 1;
    return uv_loop_init(&second) == 0 && turn_a_loop(&second) == 0 ? 0 : 2;
}

static void
event_loops_turn_in_it(void **state)
{
    (void)state;
    expect_outside(serve_twice, 0);
}

/* A thread that was there before must not be a way round. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void *
try_later(void *result)
{
    pthread_mutex_lock(&gate);
    *(int *)result = make_a_socket();
    pthread_mutex_unlock(&gate);
    return NULL;
}

static void
it_holds_for_threads_that_exist(void **state)
{
    int how;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        pthread_t thread;
        struct errbuf eb;
        int result = 0;

        pthread_mutex_lock(&gate);
        if (pthread_create(&thread, NULL, try_later, &result) != 0 ||
            sandbox_prepare(&eb) != ERR_OK || sandbox_enter(&eb) != ERR_OK)
            _exit(CANNOT_ENTER);
        pthread_mutex_unlock(&gate);
        pthread_join(thread, NULL);
        _exit(result);
    }
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), EPERM);
}

#else

/* Without a filter the program says so, and goes on. */
static void
it_says_that_there_is_none(void **state)
{
    struct errbuf eb;

    (void)state;
    (void)expect_death;
    assert_int_equal(sandbox_enter(&eb), ERR_MISSING);
    assert_non_null(strstr(eb.text, "built with"));
}

static int
nothing(void)
{
    return 0;
}

static void
nobody_enters(void **state)
{
    (void)state;
    expect_status(nothing, CANNOT_ENTER);
}

#endif

static int
prepare_and_look(void)
{
    struct errbuf eb;
    char text[8192];
    int fd = open("/proc/self/status", O_RDONLY);
    enum err err = sandbox_prepare(&eb);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;

    if (err != ERR_OK || n < 0)
        return CANNOT_ENTER;
    text[n] = '\0';
    return strstr(text, "NoNewPrivs:\t1") ? 0 : 1;
}

/* Where there is no filter too. */
static void
no_privileges_are_gained(void **state)
{
    (void)state;
    expect_outside(prepare_and_look, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#if defined(HAVE_SECCOMP) && !defined(SANDBOX_SANITIZED)
        cmocka_unit_test(an_intruder_s_calls_kill),
        cmocka_unit_test(other_calls_fail),
        cmocka_unit_test(work_goes_on),
        cmocka_unit_test(the_responder_can_begin_anew),
        cmocka_unit_test(an_assertion_still_aborts),
        cmocka_unit_test(there_is_no_ring_from_the_start_on),
        cmocka_unit_test(event_loops_turn_in_it),
        cmocka_unit_test(it_holds_for_threads_that_exist),
#else
        cmocka_unit_test(it_says_that_there_is_none),
        cmocka_unit_test(nobody_enters),
#endif
        cmocka_unit_test(no_privileges_are_gained),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
