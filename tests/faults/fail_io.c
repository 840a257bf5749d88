/* Preloaded into a process, it makes the n-th call that concerns files below one folder fail, whoever makes it: Python,
   SQLite, Pillow. Nothing fails before fail_io_arm() is called. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char root[4096];
static size_t root_length;
static long nth;
static int error_number, for_ever, with_reads;
static atomic_long calls;

/* nth 0 counts and fails nothing; for_ever fails all calls from the n-th on. */
void fail_io_arm(const char *folder, long n, int number, int forever, int reads)
{
    strncpy(root, folder, sizeof root - 1);
    root_length = strlen(root);
    nth = n;
    error_number = number;
    for_ever = forever;
    with_reads = reads;
    atomic_store(&calls, 0);
}

long fail_io_calls(void) { return atomic_load(&calls); }

static int fails(void)
{
    long number = atomic_fetch_add(&calls, 1) + 1;
    if (!nth || (for_ever ? number < nth : number != nth))
        return 0;
    errno = error_number;
    return 1;
}

static int below(const char *path)
{
    return root_length && path && !strncmp(path, root, root_length);
}

static int named(int folder, const char *path)
{
    if (!root_length || !path)
        return 0;
    if (path[0] == '/')
        return below(path);
    char link[64], real[4096];
    if (folder == AT_FDCWD)
        return getcwd(real, sizeof real) && below(real);
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t length = readlink(link, real, sizeof real - 1);
    if (length < 0)
        return 0;
    real[length] = 0;
    return below(real);
}

static int opened(int file)
{
    return file > 2 && named(file, ".");
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...)                                                                        \
    {                                                                                                                  \
        REAL(name);                                                                                                    \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                        \
        va_end(rest);                                                                                                  \
        return named(AT_FDCWD, path) && fails() ? -1 : real(path, flags, mode);                                        \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                                   \
    int name(int folder, const char *path, int flags, ...)                                                            \
    {                                                                                                                  \
        REAL(name);                                                                                                    \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                        \
        va_end(rest);                                                                                                  \
        return named(folder, path) && fails() ? -1 : real(folder, path, flags, mode);                                  \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int file, const void *data, size_t count)
{
    REAL(write);
    return opened(file) && fails() ? -1 : real(file, data, count);
}

ssize_t pwrite64(int file, const void *data, size_t count, off64_t at)
{
    REAL(pwrite64);
    return opened(file) && fails() ? -1 : real(file, data, count, at);
}

ssize_t pwrite(int file, const void *data, size_t count, off_t at)
{
    REAL(pwrite);
    return opened(file) && fails() ? -1 : real(file, data, count, at);
}

ssize_t read(int file, void *data, size_t count)
{
    REAL(read);
    return with_reads && opened(file) && fails() ? -1 : real(file, data, count);
}

ssize_t pread64(int file, void *data, size_t count, off64_t at)
{
    REAL(pread64);
    return with_reads && opened(file) && fails() ? -1 : real(file, data, count, at);
}

int fstat(int file, struct stat *found)
{
    REAL(fstat);
    return with_reads && opened(file) && fails() ? -1 : real(file, found);
}

int stat(const char *path, struct stat *found)
{
    REAL(stat);
    return with_reads && named(AT_FDCWD, path) && fails() ? -1 : real(path, found);
}

int lstat(const char *path, struct stat *found)
{
    REAL(lstat);
    return with_reads && named(AT_FDCWD, path) && fails() ? -1 : real(path, found);
}

int fsync(int file)
{
    REAL(fsync);
    return opened(file) && fails() ? -1 : real(file);
}

int fdatasync(int file)
{
    REAL(fdatasync);
    return opened(file) && fails() ? -1 : real(file);
}

int ftruncate64(int file, off64_t size)
{
    REAL(ftruncate64);
    return opened(file) && fails() ? -1 : real(file, size);
}

int rename(const char *from, const char *to)
{
    REAL(rename);
    return named(AT_FDCWD, to) && fails() ? -1 : real(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    REAL(renameat);
    return named(to_folder, to) && fails() ? -1 : real(from_folder, from, to_folder, to);
}

int link(const char *from, const char *to)
{
    REAL(link);
    return named(AT_FDCWD, to) && fails() ? -1 : real(from, to);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    REAL(linkat);
    return named(to_folder, to) && fails() ? -1 : real(from_folder, from, to_folder, to, flags);
}

int unlink(const char *path)
{
    REAL(unlink);
    return named(AT_FDCWD, path) && fails() ? -1 : real(path);
}

int unlinkat(int folder, const char *path, int flags)
{
    REAL(unlinkat);
    return named(folder, path) && fails() ? -1 : real(folder, path, flags);
}

int mkdirat(int folder, const char *path, mode_t mode)
{
    REAL(mkdirat);
    return named(folder, path) && fails() ? -1 : real(folder, path, mode);
}

int fstatat(int folder, const char *path, struct stat *found, int flags)
{
    REAL(fstatat);
    return with_reads && named(folder, path) && fails() ? -1 : real(folder, path, found, flags);
}

int flock(int file, int operation)
{
    REAL(flock);
    return opened(file) && fails() ? -1 : real(file, operation);
}

int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir);
    return named(AT_FDCWD, path) && fails() ? -1 : real(path, mode);
}
