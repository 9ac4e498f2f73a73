/* secure: memory for keys. Locked, guard page behind each object, not in core dumps, zeroed in forked
 * children, wiped on free.
 *
 * A `struct secret` cannot be printed: the only way in is secret_reveal(), a word that review searches for.
 * Threads: allocation has one lock inside; a secret is immutable once shared.
 */
#pragma once
#include "base/base.h"

struct secret;

struct secret *secret_new(size_t n); /* zeroed, 1 B .. 1 MiB */
struct secret *secret_from(bytes b);
void secret_free(struct secret *s); /* wipes; NULL is fine */
void secret_freep(struct secret **s);
bytes secret_reveal(const struct secret *s); /* lives as long as s */
uint8_t *secret_fill(struct secret *s);      /* for the one who makes it */
size_t secret_len(const struct secret *s);

void wipe(void *p, size_t n); /* not optimised away */
/* constant time for equal lengths; different lengths are unequal at once */
/* Wipes what functions that have returned left on this thread's stack (48 KiB below the caller). */
void wipe_stack(void);
bool secret_equal(bytes x, bytes y);
/* PR_SET_DUMPABLE 0, no core, umask 077; with `lock_all`, which `disable_mlock = false` asks for,
 * mlockall(CURRENT|FUTURE|ONFAULT). False (and errno) when the process may not lock memory. */
bool secure_process(bool lock_all);
/* After start: no new privileges, and a seccomp list of refused system calls (ptrace, process_vm_*, bpf,
 * mount, keyctl, userfaultfd,
 * execve unless it may start programs …), for all threads. False (and errno): the kernel does not do it. */
bool secure_lockdown(bool may_start_programs);
