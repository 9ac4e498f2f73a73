#include "base/fault.h"

#ifndef COFFER_FAULTS
void fault_init_from_env(void) {}
#else

#include "base/log.h"
#include "base/mutex.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static const str names[FAULT_COUNT_] = {
    [FAULT_AUDIT_WRITE] = STR("audit_write"),
    [FAULT_COMMIT_AFTER] = STR("commit_after"),
    [FAULT_COMMIT_BEFORE] = STR("commit_before"),
    [FAULT_COMMIT_GROUP] = STR("commit_group"),
    [FAULT_DEFECT_ARENA_UNWIPED] = STR("defect_arena_unwiped"),
    [FAULT_DEFECT_COMMIT_BEFORE_AUDIT] = STR("defect_commit_before_audit"),
    [FAULT_DEFECT_FILL_UNCHECKED] = STR("defect_fill_unchecked"),
    [FAULT_FILE_BETWEEN_PUTS] = STR("file_between_puts"),
    [FAULT_LRU_MISS] = STR("lru_miss"),
    [FAULT_STORAGE_FSYNC] = STR("storage_fsync"),
    [FAULT_STORAGE_FULL] = STR("storage_full"),
    [FAULT_STORAGE_READ] = STR("storage_read"),
    [FAULT_VERSION_CHANGED] = STR("version_changed"),
};

enum rule { RULE_NONE = 0, RULE_RANDOM, RULE_AFTER, RULE_ALWAYS, RULE_STOP };

/* Relaxed atomics: points are set while nothing runs, or by tests that do not mind which call is the first to
 * see it. */
static struct {
    _Atomic(int) rule;
    _Atomic(uint64_t) n, m, calls, fired;
} points[FAULT_COUNT_];

static _Atomic(uint64_t) seed = 1;

/* splitmix64 of a counter: the n-th draw of a process is the same for the same seed, whichever thread draws
 * it. */
static uint64_t draw(uint64_t call, enum fault_point p)
{
    uint64_t z = atomic_load(&seed) + (call * FAULT_COUNT_ + p + 1) * 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

bool fault_fires(enum fault_point p)
{
    int rule = atomic_load_explicit(&points[p].rule, memory_order_relaxed);
    if (rule == RULE_NONE)
        return false;
    uint64_t call = atomic_fetch_add(&points[p].calls, 1), n = atomic_load(&points[p].n);
    bool fires = rule == RULE_ALWAYS || ((rule == RULE_AFTER || rule == RULE_STOP) && call == n) ||
                 (rule == RULE_RANDOM && draw(call, p) % atomic_load(&points[p].m) < n);
    if (!fires)
        return false;
    atomic_fetch_add(&points[p].fired, 1);
    if (rule == RULE_STOP)
        (void)kill(getpid(), SIGKILL);
    return true;
}

bool fault_set(str name_and_rule)
{
    str name, text, left, right;
    enum fault_point p = 0;
    enum rule rule = RULE_ALWAYS;
    uint64_t n = 0, m = 1;
    if (!str_cut(name_and_rule, '=', &name, &text))
        return false;
    while (p < FAULT_COUNT_ && !str_eq(names[p], name))
        p++;
    if (p == FAULT_COUNT_)
        return false;
    if (str_cut(text, '/', &left, &right)) {
        rule = RULE_RANDOM;
        if (!str_parse_u64(left, &n) || !str_parse_u64(right, &m) || m == 0)
            return false;
    } else if (str_cut(text, ':', &left, &right)) {
        rule = str_eq(left, STR("after")) ? RULE_AFTER : RULE_STOP;
        if ((rule == RULE_STOP && !str_eq(left, STR("stop"))) || !str_parse_u64(right, &n))
            return false;
    } else if (!str_eq(text, STR("always"))) {
        return false;
    }
    atomic_store(&points[p].n, n);
    atomic_store(&points[p].m, m);
    atomic_store(&points[p].calls, 0);
    atomic_store(&points[p].fired, 0);
    atomic_store(&points[p].rule, (int)rule);
    return true;
}

void fault_clear(void)
{
    for (int p = 0; p < FAULT_COUNT_; p++)
        atomic_store(&points[p].rule, RULE_NONE);
}

uint64_t fault_count(enum fault_point p)
{
    return atomic_load(&points[p].fired);
}

void fault_init_from_env(void)
{
    str rules = str_from_cstr(secure_getenv("COFFER_FAULT")),
        seed_text = str_from_cstr(secure_getenv("COFFER_FAULT_SEED"));
    uint64_t n;
    if (rules.n == 0)
        return;
    if (str_parse_u64(seed_text, &n))
        atomic_store(&seed, n);
    log_warn("fault", "faults are on", F_STR("rules", rules), F_INT("seed", atomic_load(&seed)));
    for (str one; rules.n;) {
        (void)str_cut(rules, ',', &one, &rules); /* the last rule has no comma */
        if (!fault_set(one))
            die("COFFER_FAULT: no such point or rule: %.*s", PSTR(one));
    }
}
#endif
