/* Counts the changes of the disk below a folder; one of them fails, or is where the process dies. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char home[PATH_MAX];
static long at;    /* number of the change that is struck; 0: none */
static int strike; /* the error that it fails with; 0: the process dies */
static atomic_long seen;

void arm(const char *folder, long number, int error)
{
    snprintf(home, sizeof home, "%s", folder);
    at = number;
    strike = error;
    atomic_store(&seen, 0);
}

long counted(void) { return atomic_load(&seen); }

static int below(const char *path)
{
    size_t length = strlen(home);
    return length && path && strncmp(path, home, length) == 0 && (path[length] == '/' || !path[length]);
}

static int below_handle(int handle)
{
    int error = errno;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = home[0] ? readlink(link, path, sizeof path - 1) : -1;
    errno = error;
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

static int below_at(int folder, const char *path)
{
    return path && path[0] == '/' ? below(path) : folder != AT_FDCWD && below_handle(folder);
}

/* Whether this call fails. */
static int struck(int is_ours)
{
    if (!is_ours || atomic_fetch_add(&seen, 1) + 1 != at) return 0;
    if (!strike) kill(getpid(), SIGKILL);
    errno = strike;
    return 1;
}

#define CHANGE(result, name, arguments, passed, is_ours)                        \
    result name arguments                                                       \
    {                                                                           \
        static result(*real) arguments;                                         \
        if (!real) real = (result(*) arguments)dlsym(RTLD_NEXT, #name);         \
        return struck(is_ours) ? -1 : real passed;                              \
    }

CHANGE(ssize_t, write, (int f, const void *d, size_t n), (f, d, n), below_handle(f))
CHANGE(ssize_t, pwrite, (int f, const void *d, size_t n, off_t o), (f, d, n, o), below_handle(f))
CHANGE(ssize_t, pwrite64, (int f, const void *d, size_t n, off64_t o), (f, d, n, o), below_handle(f))
CHANGE(ssize_t, writev, (int f, const struct iovec *v, int n), (f, v, n), below_handle(f))
CHANGE(int, fsync, (int f), (f), below_handle(f))
CHANGE(int, fdatasync, (int f), (f), below_handle(f))
CHANGE(int, ftruncate, (int f, off_t n), (f, n), below_handle(f))
CHANGE(int, ftruncate64, (int f, off64_t n), (f, n), below_handle(f))
CHANGE(int, rename, (const char *a, const char *b), (a, b), below(a))
CHANGE(int, renameat, (int d, const char *a, int e, const char *b), (d, a, e, b), below_at(d, a))
CHANGE(int, mkdir, (const char *p, mode_t m), (p, m), below(p))
CHANGE(int, mkdirat, (int d, const char *p, mode_t m), (d, p, m), below_at(d, p))
CHANGE(int, rmdir, (const char *p), (p), below(p))
CHANGE(int, unlink, (const char *p), (p), below(p))
CHANGE(int, unlinkat, (int d, const char *p, int f), (d, p, f), below_at(d, p))

#define WRITING(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT))
#define OPENING(name, before, passed, is_ours)                                  \
    int name(before const char *path, int flags, ...)                           \
    {                                                                           \
        static int (*real)(before const char *, int, ...);                      \
        if (!real) real = (int (*)(before const char *, int, ...))dlsym(RTLD_NEXT, #name); \
        va_list more;                                                           \
        va_start(more, flags);                                                  \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more);                                                           \
        return struck(WRITING(flags) && (is_ours)) ? -1 : real(passed path, flags, mode); \
    }
#define NOTHING
#define FOLDER_DECLARED int folder,
#define FOLDER_PASSED folder,

OPENING(open, NOTHING, NOTHING, below(path))
OPENING(open64, NOTHING, NOTHING, below(path))
OPENING(openat, FOLDER_DECLARED, FOLDER_PASSED, below_at(folder, path))
OPENING(openat64, FOLDER_DECLARED, FOLDER_PASSED, below_at(folder, path))
