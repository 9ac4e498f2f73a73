/* syscalls: the n-th system call that changes a disk fails. Linked into a test program, its definitions stand
 * before libc's. */
#pragma once
#include "base/base.h"

/* Call number n (1, 2 …) from now on fails with os_errno; `for_good`: all after it too. */
void syscalls_fail(unsigned n, int os_errno, bool for_good);
bool syscalls_end(void);         /* back to normal; true: one has failed */
void syscalls_into_sqlite(void); /* SQLite keeps pointers of its own; before its first use */
