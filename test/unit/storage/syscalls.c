#include "syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

static struct {
    unsigned left;
    int os_errno;
    bool for_good, fired;
} plan;

void syscalls_fail(unsigned n, int os_errno, bool for_good)
{
    plan.left = n;
    plan.os_errno = os_errno;
    plan.for_good = for_good;
    plan.fired = false;
}

bool syscalls_end(void)
{
    bool fired = plan.fired;
    syscalls_fail(0, 0, false);
    return fired;
}

static bool fails(void)
{
    if (plan.left == 0 || --plan.left > 0)
        return false;
    plan.left = plan.for_good ? 1 : 0;
    plan.fired = true;
    errno = plan.os_errno;
    return true;
}

EXPORTED int fsync(int fd)
{
    return fails() ? -1 : (int)syscall(SYS_fsync, fd);
}

EXPORTED int fdatasync(int fd)
{
    return fails() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

EXPORTED ssize_t write(int fd, const void *p, size_t n)
{
    return fd > 2 && fails() ? -1 : (ssize_t)syscall(SYS_write, fd, p, n);
}

EXPORTED int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return fails() ? -1 : (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
}

EXPORTED int mkdirat(int dir, const char *path, mode_t mode)
{
    return fails() ? -1 : (int)syscall(SYS_mkdirat, dir, path, mode);
}

static ssize_t failing_pwrite(int fd, const void *p, size_t n, off_t at)
{
    return fails() ? -1 : (ssize_t)syscall(SYS_pwrite64, fd, p, n, at);
}

static int failing_ftruncate(int fd, off_t n)
{
    return fails() ? -1 : (int)syscall(SYS_ftruncate, fd, n);
}

void syscalls_into_sqlite(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find("unix");
    vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)failing_pwrite);
    vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)failing_pwrite);
    vfs->xSetSystemCall(vfs, "ftruncate", (sqlite3_syscall_ptr)failing_ftruncate);
}
