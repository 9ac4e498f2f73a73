/* acl_cache: compiled policy sets by the names of their policies, and by the values that templates take
 * from an identity: with other values it is another set, so nothing needs to know when an identity changes.
 * A fixed table: a set that hashes onto another one takes its place. An entry counts only while no policy
 * has changed since before it was read (the version of sys/policy/), and policies change in exclusive
 * requests only, so a lane that sees unpublished writes never fills it with them. */
#include "base/mutex.h"
#include "core/policy/policy.h"

#include <stdlib.h>

enum { SHARDS = 16, SHARD_ENTRIES = 32, KEY_BYTES_MAX = 8 * 1024 };

struct entry {
    uint64_t hash, version;
    char *key; /* heap */
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

/* Each text with its length before it: no two lists give the same key. Names first, then values. */
static str make_key(struct arena *a, const str *names, size_t n, const struct template_values *values)
{
    size_t n_values = values ? values->n : 0, size = sizeof(uint32_t);

    for (size_t i = 0; i < n + n_values; i++)
        size += sizeof(uint32_t) + (i < n ? names[i] : values->values[i - n]).n;
    char *key = arena_alloc(a, size), *p = key;
    uint32_t count = (uint32_t)n;

    memcpy(p, &count, sizeof count);
    p += sizeof count;
    for (size_t i = 0; i < n + n_values; i++) {
        str text = i < n ? names[i] : values->values[i - n];

        count = (uint32_t)text.n;
        memcpy(p, &count, sizeof count);
        if (text.n)
            memcpy(p + sizeof count, text.p, text.n);
        p += sizeof count + text.n;
    }
    return (str){key, size};
}

static struct entry *entry_of(struct shard *s, uint64_t hash) REQUIRES(s->mutex)
{
    return &s->entries[hash / SHARDS % SHARD_ENTRIES];
}

static struct acl *lookup(struct shard *s, uint64_t hash, uint64_t version, str key)
{
    struct acl *found = NULL;

    mutex_lock(&s->mutex);
    struct entry *e = entry_of(s, hash);

    if (e->acl && e->hash == hash && e->version == version && str_eq((str){e->key, e->key_n}, key))
        found = acl_ref(e->acl);
    mutex_unlock(&s->mutex);
    return found;
}

static void store(struct shard *s, uint64_t hash, uint64_t version, str key, struct acl *acl)
{
    char *kept = malloc(key.n);

    if (!kept)
        abort();
    memcpy(kept, key.p, key.n);
    mutex_lock(&s->mutex);
    struct entry *e = entry_of(s, hash);
    struct entry old = *e;

    *e = (struct entry){hash, version, kept, key.n, acl_ref(acl)};
    mutex_unlock(&s->mutex);
    acl_unref(old.acl);
    free(old.key);
}

static struct error *load(struct request *rq, const str *names, size_t n,
                          const struct template_values *values, struct acl **ret)
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
    *ret = acl_compile(set, found, is_root, values);
    return NULL;
}

static void drop(void *arg)
{
    acl_unref(arg);
}

static struct error *get(struct request *rq, const str *names, size_t n, const struct template_values *values,
                         const struct acl **ret)
{
    uint64_t version = space_version(txn_space(rq->txn, SPACE_POLICY)); /* before the policies are read */
    str key = make_key(rq->arena, names, n, values);
    uint64_t hash = str_hash(key);
    struct shard *s = &active_acl_cache(rq->active)->shards[hash % SHARDS];
    struct acl *acl = lookup(s, hash, version, key);

    if (!acl) {
        TRY(load(rq, names, n, values, &acl));
        if (key.n <= KEY_BYTES_MAX)
            store(s, hash, version, key, acl);
    }
    arena_defer(rq->arena, drop, acl);
    *ret = acl;
    return NULL;
}

static struct error *get_rendered(struct request *rq, const str *names, size_t n, const struct entity *e,
                                  const struct acl **acl)
{
    struct template_values values;
    size_t n_templates;
    const str *templates = acl_templates(*acl, &n_templates);

    TRY(template_values_of(rq, e, templates, n_templates, &values));
    return get(rq, names, n, &values, acl);
}

struct error *acl_for_entity(struct request *rq, const str *names, size_t n, const struct entity *e,
                             const struct acl **ret)
{
    size_t n_templates;

    TRY(get(rq, names, n, NULL, ret));
    acl_templates(*ret, &n_templates);
    return e && n_templates ? get_rendered(rq, names, n, e, ret) : NULL;
}

/* Most requests of a token whose policies have templates ask for nothing that these could match: then all
 * tokens of these policies share one set. */
struct error *acl_for(struct request *rq, const str *names, size_t n, const struct acl **ret)
{
    TRY(get(rq, names, n, NULL, ret));
    if (!rq->entity)
        return NULL;
    bool all = str_starts(rq->path, STR("sys/capabilities")) || str_starts(rq->path, STR("sys/internal/ui/"));
    size_t n_templates;

    acl_templates(*ret, &n_templates);
    if (n_templates == 0 || (!all && !acl_template_may_match(*ret, rq->path)))
        return NULL;
    return get_rendered(rq, names, n, rq->entity, ret);
}
