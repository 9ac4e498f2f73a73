/* lockdown: what a running server never needs is refused by the kernel (seccomp): looking into other
 * processes, mounting, BPF,
 * key rings, userfaultfd, and starting programs. */
#include "base/secure.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TRACES_ITSELF 1 /* the leak checker */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TRACES_ITSELF 1
#endif
#endif
#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#endif

#if defined(NATIVE_ARCH) && !defined(TRACES_ITSELF)
static const int refused[] = {
    SYS_ptrace,      SYS_process_vm_readv, SYS_process_vm_writev, SYS_bpf,
    SYS_mount,       SYS_umount2,          SYS_pivot_root,        SYS_keyctl,
    SYS_add_key,     SYS_request_key,      SYS_userfaultfd,       SYS_kexec_load,
    SYS_init_module, SYS_finit_module,     SYS_delete_module,     SYS_execve,
    SYS_execveat, /* the last: REFUSED_PROGRAMS */
};
enum { REFUSED_PROGRAMS = 2 };

static bool filter_install(bool may_start_programs)
{
    size_t n_refused = COUNT_OF(refused) - (may_start_programs ? REFUSED_PROGRAMS : 0);
    struct sock_filter code[2 * COUNT_OF(refused) + 4];
    unsigned short n = 0;

    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    code[n++] =
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 0, (uint8_t)(2 * n_refused + 1));
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < n_refused; i++) {
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)refused[i], 0, 1);
        code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    }
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = n, .filter = code};

    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}
#else
static bool filter_install(bool may_start_programs)
{
    (void)may_start_programs;
#ifdef TRACES_ITSELF
    return true;
#else
    errno = ENOSYS;
    return false;
#endif
}
#endif

bool secure_lockdown(bool may_start_programs)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && filter_install(may_start_programs);
}
