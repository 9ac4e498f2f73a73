/* acl_cache: compiled policy sets by the names of their policies. A fixed table: a set that hashes onto
 * another one takes its place. An entry counts only while no policy has changed since before it was read (the
 * version of sys/policy/), and policies change in exclusive requests only, so a lane that sees unpublished
 * writes never fills it with them. */
#include "base/mutex.h"
#include "core/policy/policy.h"

#include <stdlib.h>

enum { SHARDS = 16, SHARD_ENTRIES = 32, KEY_BYTES_MAX = 8 * 1024 };

struct entry {
    uint64_t hash, version;
    char *key; /* names, each ended by a newline; heap */
    size_t key_n;
    struct acl *acl;
};

struct shard {
    struct mutex mutex;
    struct entry entries[SHARD_ENTRIES]; /* lock: mutex */
};

struct acl_cache {
    struct shard shards[SHARDS];
};

struct acl_cache *acl_cache_new(void)
{
    struct acl_cache *c = calloc(1, sizeof *c);

    if (!c)
        abort();
    for (size_t i = 0; i < SHARDS; i++)
        mutex_init(&c->shards[i].mutex);
    return c;
}

void acl_cache_free(struct acl_cache *c)
{
    for (size_t i = 0; c && i < SHARDS; i++) {
        for (size_t k = 0; k < SHARD_ENTRIES; k++) {
            acl_unref(c->shards[i].entries[k].acl);
            free(c->shards[i].entries[k].key);
        }
        mutex_done(&c->shards[i].mutex);
    }
    free(c);
}

static uint64_t hash_names(const str *names, size_t n, size_t *ret_key_n)
{
    uint64_t h = n;
    size_t key_n = 0;

    for (size_t i = 0; i < n; i++) {
        h = (h ^ str_hash(names[i])) * UINT64_C(0x9E3779B97F4A7C15);
        h ^= h >> 29;
        key_n += names[i].n + 1;
    }
    *ret_key_n = key_n;
    return h;
}

static bool key_is(const struct entry *e, const str *names, size_t n, size_t key_n)
{
    const char *p = e->key;

    if (e->key_n != key_n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if ((size_t)(e->key + key_n - p) <= names[i].n || memcmp(p, names[i].p, names[i].n) != 0 ||
            p[names[i].n] != '\n')
            return false;
        p += names[i].n + 1;
    }
    return true;
}

static struct entry *entry_of(struct shard *s, uint64_t hash) REQUIRES(s->mutex)
{
    return &s->entries[hash / SHARDS % SHARD_ENTRIES];
}

static struct acl *lookup(struct shard *s, uint64_t hash, uint64_t version, const str *names, size_t n,
                          size_t key_n)
{
    struct acl *found = NULL;

    mutex_lock(&s->mutex);
    struct entry *e = entry_of(s, hash);

    if (e->acl && e->hash == hash && e->version == version && key_is(e, names, n, key_n))
        found = acl_ref(e->acl);
    mutex_unlock(&s->mutex);
    return found;
}

static void store(struct shard *s, uint64_t hash, uint64_t version, const str *names, size_t n, size_t key_n,
                  struct acl *acl)
{
    char *key = malloc(key_n + 1), *p = key;

    if (!key)
        abort();
    for (size_t i = 0; i < n; i++) {
        memcpy(p, names[i].p, names[i].n);
        p += names[i].n;
        *p++ = '\n';
    }
    mutex_lock(&s->mutex);
    struct entry *e = entry_of(s, hash);
    struct entry old = *e;

    *e = (struct entry){hash, version, key, key_n, acl_ref(acl)};
    mutex_unlock(&s->mutex);
    acl_unref(old.acl);
    free(old.key);
}

static struct error *load(struct request *rq, const str *names, size_t n, struct acl **ret)
{
    const struct policy **set = ARENA_ARRAY(rq->arena, const struct policy *, n);
    struct view v = txn_view(rq->txn, SPACE_POLICY);
    bool is_root = false;
    size_t found = 0;

    for (size_t i = 0; i < n; i++) {
        struct policy *p;

        is_root = is_root || str_eq(names[i], STR("root"));
        TRY(policy_load(&v, rq->arena, names[i], &p));
        if (p)
            set[found++] = p;
        if (arena_is_over(rq->arena))
            return error_new(rq->arena, ERR_TOO_LARGE, "the policies of this token are too large");
    }
    if (is_root && n > 1)
        return error_new(rq->arena, ERR_INTERNAL, "other policies present along with root");
    *ret = acl_compile(set, found, is_root);
    return NULL;
}

static void drop(void *arg)
{
    acl_unref(arg);
}

struct error *acl_for(struct request *rq, const str *names, size_t n, const struct acl **ret)
{
    uint64_t version = space_version(txn_space(rq->txn, SPACE_POLICY)); /* before the policies are read */
    size_t key_n;
    uint64_t hash = hash_names(names, n, &key_n);
    struct shard *s = &active_acl_cache(rq->active)->shards[hash % SHARDS];
    struct acl *acl = lookup(s, hash, version, names, n, key_n);

    if (!acl) {
        TRY(load(rq, names, n, &acl));
        if (key_n <= KEY_BYTES_MAX)
            store(s, hash, version, names, n, key_n, acl);
    }
    arena_defer(rq->arena, drop, acl);
    *ret = acl;
    return NULL;
}
