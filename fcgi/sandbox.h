/* sandbox: what a responder gives up once it is ready to serve.
 *
 * A seccomp filter lets only those system calls through that serving needs. What is not on the list
 * fails with ENOSYS or EPERM and is reported in the kernel's log; what only an intruder would call
 * (execve, ptrace, mount …) kills the process. The process can never gain privileges again.
 *
 * sandbox_enter() comes after the listening sockets are open: nothing that makes those is allowed
 * any more. The database, the event loop and threads can be opened again. It holds for all threads
 * of the process, for good. */
#ifndef FCGI_SANDBOX_H
#define FCGI_SANDBOX_H

#include "base/err.h"

/* As in --sandbox. */
enum sandbox_mode { SANDBOX_ON, SANDBOX_OFF };

/* A sanitizer's run time needs system calls of its own, down to ptrace. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define SANDBOX_SANITIZED 1
#endif
#endif

/* What this build can do, for --help and --version; config.h must have been included. */
#if defined(SANDBOX_SANITIZED)
#define SANDBOX_BUILD "not available: built with sanitizers"
#elif defined(HAVE_SECCOMP)
#define SANDBOX_BUILD "available"
#else
#define SANDBOX_BUILD "not available: built without libseccomp"
#endif

/* Before the event loop is made and children are started. From here on neither this process nor its
 * children gain privileges, through a set-user-id program for example, and io_uring_setup(2) fails
 * with ENOSYS: what goes through a ring passes no filter, and libuv 1.50, which makes one with each
 * loop whatever UV_USE_IO_URING says, aborts when the ring is taken away from it later. ERR_IO,
 * ERR_NOMEM. */
enum err sandbox_prepare(struct errbuf *eb);

/* After sandbox_prepare(), when everything is open. ERR_MISSING: this build cannot, eb says why.
 * ERR_IO: the kernel refuses, or sandbox_prepare() failed. ERR_NOMEM. The second time it does
 * nothing. Any way the process goes on as it was. */
enum err sandbox_enter(struct errbuf *eb);

#endif
