#include "config.h"

#include "fcgi/sandbox.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

static enum err
gain_no_privileges(struct errbuf *eb)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(eb, ERR_IO, "PR_SET_NO_NEW_PRIVS: %s", strerror(errno));
    return ERR_OK;
}

#if defined(HAVE_SECCOMP) && !defined(SANDBOX_SANITIZED)

#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* By what needs them, separated by blanks. A name that this machine or libseccomp does not know is
 * left out. */
static const char *const allowed[] = {
    /* connections */
    "accept accept4 read readv recvfrom recvmsg write writev sendto sendmsg shutdown close",
    "getsockopt setsockopt getsockname fcntl fcntl64",
    /* the event loop, and the pipe that libfcgi reads from */
    "epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 poll ppoll ppoll_time64",
    "eventfd2 pipe2 inotify_init1 inotify_add_watch inotify_rm_watch",
    /* SQLite: the database, and the -wal and -shm that it opens and removes when it needs to */
    "open openat fstat fstat64 stat stat64 lstat lstat64 fstatat64 newfstatat statx access",
    "faccessat faccessat2 readlink readlinkat getcwd lseek _llseek pread64 pwrite64 ftruncate",
    "ftruncate64 fallocate fsync fdatasync fchmod fchown unlink unlinkat geteuid getuid",
    /* memory; mmap, mmap2 and mprotect without PROT_EXEC, see below */
    "brk munmap mremap madvise msync",
    /* threads, signals, clocks, the end */
    "futex futex_time64 sched_yield sched_getaffinity membarrier rseq set_robust_list",
    "rt_sigaction rt_sigprocmask rt_sigreturn sigreturn sigaltstack restart_syscall",
    "clock_gettime clock_gettime64 clock_getres clock_nanosleep clock_nanosleep_time64 nanosleep",
    "gettimeofday time getpid gettid getrandom uname sysinfo getrusage exit exit_group",
};

/* Nothing here ever makes these calls: only an intruder does. io_uring_setup is on no list: libuv
 * asks for it with each loop, and goes without. */
static const char *const deadly[] = {
    "execve execveat fork vfork ptrace process_vm_readv process_vm_writev process_madvise",
    "pidfd_getfd kcmp bpf userfaultfd perf_event_open init_module finit_module",
    "delete_module kexec_load kexec_file_load mount umount2 move_mount open_tree fsopen",
    "pivot_root chroot setns unshare swapon swapoff reboot keyctl add_key request_key setuid",
    "setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset",
    "personality open_by_handle_at acct iopl ioperm modify_ldt",
};

/* Harmless perhaps, and not needed. */
static const char *const forbidden[] = {
    "socket socketpair connect bind listen kill tkill rt_sigqueueinfo rt_tgsigqueueinfo",
    "link linkat symlink symlinkat mkdir mkdirat mknod mknodat chmod fchmodat chown lchown",
    "fchownat rename renameat renameat2 setrlimit setpriority sched_setscheduler prctl",
};

/* The filter as it grows; after the first failure nothing more is added. */
struct rules {
    scmp_filter_ctx filter;
    int failed; /* 0 or a negative errno */
};

static void
add_call(struct rules *r, uint32_t action, const char *name, unsigned n,
         const struct scmp_arg_cmp *arguments)
{
    int number = seccomp_syscall_resolve_name(name);

    if (!r->failed && number >= 0)
        r->failed = seccomp_rule_add_array(r->filter, action, number, n, arguments);
}

static void
add_lines(struct rules *r, uint32_t action, const char *const *lines, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (const char *at = lines[i]; *at; at += strspn(at, " ")) {
            size_t length = strcspn(at, " ");
            char name[32];

            snprintf(name, sizeof name, "%.*s", (int)length, at);
            add_call(r, action, name, 0, NULL);
            at += length;
        }
    }
}

/* Calls that are allowed only with certain arguments. */
static void
add_conditions(struct rules *r)
{
    const struct scmp_arg_cmp no_code = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    const struct scmp_arg_cmp myself = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0);
    const struct scmp_arg_cmp only_asks = SCMP_A2(SCMP_CMP_EQ, 0, 0);
    const struct scmp_arg_cmp thread = SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD);
    /* libuv makes descriptors non-blocking with the first, stdio asks for a terminal, rounds ask
     * what a socket still holds. */
    static const unsigned long ioctls[] = {FIONBIO, FIOCLEX, FIONREAD, TCGETS, SIOCOUTQ};

    add_call(r, SCMP_ACT_ALLOW, "mmap", 1, &no_code);
    add_call(r, SCMP_ACT_ALLOW, "mmap2", 1, &no_code);
    add_call(r, SCMP_ACT_ALLOW, "mprotect", 1, &no_code);
    /* A thread, no process. Of clone3, whose flags are in memory, libc falls back to it. */
    add_call(r, SCMP_ACT_ALLOW, "clone", 1, &thread);
    add_call(r, SCMP_ACT_ALLOW, "tgkill", 1, &myself); /* abort() */
    add_call(r, SCMP_ACT_ALLOW, "prlimit64", 1, &only_asks);
    for (size_t i = 0; i < COUNT_OF(ioctls); i++)
        add_call(r, SCMP_ACT_ALLOW, "ioctl", 1, &SCMP_A1(SCMP_CMP_EQ, ioctls[i], 0));
}

static void
set(struct rules *r, enum scmp_filter_attr attribute, uint32_t value)
{
    if (!r->failed)
        r->failed = seccomp_attr_set(r->filter, attribute, value);
}

static void
fill(struct rules *r)
{
    set(r, SCMP_FLTATR_CTL_TSYNC, 1);
    set(r, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    /* Refusals are in the kernel's log only if asked for; Linux before 4.14 does not know how. */
    seccomp_attr_set(r->filter, SCMP_FLTATR_CTL_LOG, 1);
    add_lines(r, SCMP_ACT_ALLOW, allowed, COUNT_OF(allowed));
    add_lines(r, SCMP_ACT_KILL_PROCESS, deadly, COUNT_OF(deadly));
    add_lines(r, SCMP_ACT_ERRNO(EPERM), forbidden, COUNT_OF(forbidden));
    add_conditions(r);
}

/* One filter, filled and loaded; it adds to those that are loaded already. */
static enum err
load(uint32_t otherwise, void (*rules)(struct rules *), struct errbuf *eb)
{
    struct rules r = {seccomp_init(otherwise), 0};

    if (!r.filter)
        return err_set(eb, ERR_NOMEM, "no memory for the system call filter");
    rules(&r);
    if (!r.failed)
        r.failed = seccomp_load(r.filter);
    seccomp_release(r.filter);
    if (r.failed)
        return err_set(eb, ERR_IO, "the system call filter cannot be loaded: %s",
                       strerror(-r.failed));
    return ERR_OK;
}

static void
fill_first(struct rules *r)
{
    set(r, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW); /* the second filter's business */
    add_call(r, SCMP_ACT_ERRNO(ENOSYS), "io_uring_setup", 0, NULL);
}

static bool prepared, entered;

enum err
sandbox_prepare(struct errbuf *eb)
{
    enum err err = gain_no_privileges(eb);

    if (err == ERR_OK)
        err = load(SCMP_ACT_ALLOW, fill_first, eb);
    prepared = err == ERR_OK;
    return err;
}

enum err
sandbox_enter(struct errbuf *eb)
{
    enum err err = ERR_OK;

    if (!prepared)
        return err_set(eb, ERR_IO, "it could not be prepared");
    /* What is on no list fails as on an older kernel: a library that tries something new falls back
     * to what it knows. */
    if (!entered)
        err = load(SCMP_ACT_ERRNO(ENOSYS), fill, eb);
    if (err == ERR_OK)
        entered = true;
    return err;
}

#else

enum err
sandbox_prepare(struct errbuf *eb)
{
    return gain_no_privileges(eb);
}

enum err
sandbox_enter(struct errbuf *eb)
{
    return err_set(eb, ERR_MISSING, "%s", SANDBOX_BUILD);
}

#endif
