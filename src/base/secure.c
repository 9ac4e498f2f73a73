/* Secrets of up to a page live in slots of a slab, bigger ones in a mapping of their own. In both the object
 * ends where a page without access begins:
 *
 *   | ... 0 0 0 object | no access |
 *
 * A slot that is not in use has no access either: use after free stops the process.
 */
#include "base/secure.h"

#include "base/log.h"
#include "base/mutex.h"

#include <assert.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    PAGE_BYTES = 4096,
    SLAB_SLOTS = 64,
    SLOT_BYTES = 2 * PAGE_BYTES,
    SECRET_BYTES_MAX = 1024 * 1024,
    ALIGN = 16,
};

struct secret {
    uint8_t *p; /* in the pages at `pages`, up to their end */
    size_t n;
    uint8_t *pages;
    size_t pages_bytes;  /* without the guard */
    struct secret *next; /* while it is free */
};

static struct {
    struct mutex lock;
    struct secret *free; /* lock: lock. Slots that were in use: wiped, locked in memory, without access */
    uint8_t *fresh;      /* lock: lock. Slots never used yet */
    unsigned fresh_count;
} slab = {.lock = {PTHREAD_MUTEX_INITIALIZER}};

/* Address space without access that stays out of core dumps and is empty in forked children. */
static uint8_t *reserve(size_t n)
{
    uint8_t *p = mmap(NULL, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        die("out of memory: %zu bytes for secrets", n);
    if (madvise(p, n, MADV_DONTDUMP) != 0 || madvise(p, n, MADV_WIPEONFORK) != 0)
        die("madvise: %s", strerrorname_np(errno));
    return p;
}

static void open_pages(const struct secret *s)
{
    if (mprotect(s->pages, s->pages_bytes, PROT_READ | PROT_WRITE) != 0)
        die("mprotect: %s", strerrorname_np(errno));
}

static void lock_pages(const struct secret *s)
{
    (void)mlock2(s->pages, s->pages_bytes, MLOCK_ONFAULT); /* a low limit is reported by secure_process() */
}

static struct secret *secret_alloc(uint8_t *pages, size_t pages_bytes)
{
    struct secret *s = malloc(sizeof(*s));
    if (!s)
        die("out of memory");
    *s = (struct secret){.pages = pages, .pages_bytes = pages_bytes};
    return s;
}

static struct secret *slot_get(void)
{
    mutex_lock(&slab.lock);
    struct secret *s = slab.free;
    if (s) {
        slab.free = s->next;
        mutex_unlock(&slab.lock);
        open_pages(s);
        return s;
    }
    if (slab.fresh_count == 0) {
        slab.fresh = reserve((size_t)SLAB_SLOTS * SLOT_BYTES);
        slab.fresh_count = SLAB_SLOTS;
    }
    s = secret_alloc(slab.fresh, PAGE_BYTES);
    slab.fresh += SLOT_BYTES;
    slab.fresh_count--;
    mutex_unlock(&slab.lock);
    open_pages(s);
    lock_pages(s);
    return s;
}

struct secret *secret_new(size_t n)
{
    assert(n >= 1 && n <= SECRET_BYTES_MAX);
    struct secret *s;
    if (n <= PAGE_BYTES) {
        s = slot_get();
    } else {
        size_t pages_bytes = (n + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
        s = secret_alloc(reserve(pages_bytes + PAGE_BYTES), pages_bytes);
        open_pages(s);
        lock_pages(s);
    }
    s->n = n;
    s->p = s->pages + (s->pages_bytes - (n + ALIGN - 1) / ALIGN * ALIGN);
    return s;
}

struct secret *secret_from(bytes b)
{
    struct secret *s = secret_new(b.n);
    memcpy(s->p, b.p, b.n);
    return s;
}

void secret_free(struct secret *s)
{
    if (!s)
        return;
    wipe(s->pages, s->pages_bytes);
    if (s->pages_bytes > PAGE_BYTES) {
        (void)munmap(s->pages, s->pages_bytes + PAGE_BYTES); /* of our own mapping: it can't fail */
        free(s);
        return;
    }
    if (mprotect(s->pages, s->pages_bytes, PROT_NONE) != 0)
        die("mprotect: %s", strerrorname_np(errno));
    mutex_lock(&slab.lock);
    s->next = slab.free;
    slab.free = s;
    mutex_unlock(&slab.lock);
}

void secret_freep(struct secret **s)
{
    secret_free(*s);
    *s = NULL;
}

bytes secret_reveal(const struct secret *s)
{
    return (bytes){s->p, s->n};
}

uint8_t *secret_fill(struct secret *s)
{
    return s->p;
}

size_t secret_len(const struct secret *s)
{
    return s->n;
}

void wipe(void *p, size_t n)
{
    if (n)
        explicit_bzero(p, n);
}

__attribute__((noinline)) void wipe_stack(void)
{
    uint8_t below[48 * 1024];

    wipe(below, sizeof(below));
}

bool secret_equal(bytes x, bytes y)
{
    uint8_t differs = 0;
    if (x.n != y.n)
        return false;
    for (size_t i = 0; i < x.n; i++) {
        differs |= (uint8_t)(x.p[i] ^ y.p[i]);
        __asm__("" : "+r"(differs)); /* the compiler may not leave the loop early */
    }
    return differs == 0;
}

static bool may_lock_all(void)
{
    struct rlimit limit;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[2] = {0};
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY)
        return true;
    return syscall(SYS_capget, &header, caps) == 0 && (caps[0].effective & 1U << CAP_IPC_LOCK);
}

bool secure_process(bool lock_all)
{
    const struct rlimit no_core = {0, 0};
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &no_core) != 0)
        die("the process can't be kept from dumping core: %s", strerrorname_np(errno));
    umask(077);
    if (!lock_all)
        return true;
    /* With a limit that is merely large the call would succeed and a later allocation fail. */
    if (!may_lock_all()) {
        errno = ENOMEM;
        return false;
    }
    return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}
