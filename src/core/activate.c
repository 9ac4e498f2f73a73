/* activate: what opening a store reads, and makes when it is missing (docs/formats/storage.md, "opening"). */
#include "base/encode.h"
#include "base/log.h"
#include "core/mfa/mfa.h"
#include "core/mount_store.h"
#include "core/quota/quota.h"
#include "crypto/crypto.h"

#include <stdatomic.h>

struct opening {         /* made by the handler, taken over at publication; freed when the run is void */
    struct arena *arena; /* its own */
    struct mount_set *mounts;
    struct audit_set *audit;
    struct quota_set *quotas;
    struct token_state *tokens;
    struct mfa_set *mfa;
    str cluster_name, cluster_id;
};

static void opening_drop(void *arg)
{
    struct opening *o = arg;

    mount_set_unref(o->mounts);
    audit_set_unref(o->audit);
    quota_set_unref(o->quotas);
    token_state_free(o->tokens);
    mfa_set_unref(o->mfa);
    arena_free(o->arena);
}

static void opening_publish(struct active *a, void *arg)
{
    struct opening *o = arg;

    a->tokens = o->tokens;
    mfa_publish(a, o->mfa);
    a->cluster_name = arena_str(a->arena, o->cluster_name);
    a->cluster_id = arena_str(a->arena, o->cluster_id);
    snapshot_publish(a, o->mounts, o->audit, o->quotas);
    arena_free(o->arena);
}

void active_publish_audit_set(struct active *a, struct audit_set *own_set)
{
    struct snapshot *now = atomic_load(&a->snapshot);

    snapshot_publish(a, mount_set_ref(now->mounts), own_set, quota_set_ref(now->quotas));
}

static struct error *open_cluster_info(struct request *rq, struct opening *o)
{
    struct view core = txn_view(rq->txn, SPACE_CORE);
    struct json *info;

    TRY(view_get_json(&core, STR("cluster/local/info"), &info));
    if (!info) {
        uint8_t random[4];
        str name = rq->core->config.config->cluster_name;

        rng_bytes(rq->rng, random, sizeof(random));
        info = json_object_ordered(rq->arena);
        if (name.n == 0)
            name = arena_fmt(rq->arena, "vault-cluster-%.*s",
                             PSTR(hex_encode(rq->arena, (bytes){random, sizeof(random)})));
        json_set_str(rq->arena, info, STR("name"), name);
        json_set_str(rq->arena, info, STR("id"), rng_uuid_str(rq->rng, rq->arena));
        TRY(view_put_json(&core, STR("cluster/local/info"), info));
    }
    o->cluster_name = arena_str(o->arena, json_get_str(info, STR("name")));
    o->cluster_id = arena_str(o->arena, json_get_str(info, STR("id")));
    return NULL;
}

static struct error *put_if_missing(struct request *rq, str path, struct json *value)
{
    struct view core = txn_view(rq->txn, SPACE_CORE);
    bool there;

    TRY(view_has(&core, path, &there));
    return there ? NULL : view_put_json(&core, path, value);
}

static struct error *open_wrapping_key(struct request *rq)
{
    struct view core = txn_view(rq->txn, SPACE_CORE);
    struct json *key;
    bool there;
    str x, y, d;

    TRY(view_has(&core, STR("wrapping/jwtkey"), &there));
    if (there)
        return NULL;
    TRY(p521_generate(rq->arena, &x, &y, &d));
    key = json_object_ordered(rq->arena);
    json_set_str(rq->arena, key, STR("type"), STR("p521"));
    json_set(rq->arena, key, STR("x"), json_number(rq->arena, x));
    json_set(rq->arena, key, STR("y"), json_number(rq->arena, y));
    json_set(rq->arena, key, STR("d"), json_number(rq->arena, d));
    return view_put_json(&core, STR("wrapping/jwtkey"), key);
}

static struct error *open_small_entries(struct request *rq)
{
    struct json *flags = json_object_ordered(rq->arena), *version = json_object_ordered(rq->arena);
    str name = rq->core->config.version;
    size_t plus = str_index(name, '+');

    json_set_bool(rq->arena, flags, STR("namespace_cubbyholes_local"), true);
    TRY(put_if_missing(rq, STR("cluster/feature-flags"), flags));
    name = str_slice(name, 0, plus);
    json_set_str(rq->arena, version, STR("TimestampInstalled"),
                 time_format(rq->arena, clock_wall_ns(rq->clock)));
    json_set_str(rq->arena, version, STR("Version"), name);
    json_set_str(rq->arena, version, STR("BuildDate"), STR(""));
    TRY(put_if_missing(rq, arena_fmt(rq->arena, "versions/%.*s", PSTR(name)), version));
    return open_wrapping_key(rq);
}

static struct error *open_tables(struct request *rq, struct opening *o)
{
    struct mount_tables tables;

    TRY(mount_tables_load(rq->txn, &tables));
    mount_tables_complete(rq, &tables);
    TRY(mount_tables_save(rq->txn, &tables));
    o->mounts = mount_set_make(rq->active, &tables);
    return NULL;
}

static struct error *open_all(struct request *rq, struct response *rs)
{
    struct arena *arena = arena_new(0);
    struct opening *o = ARENA_NEW(arena, struct opening);

    (void)rs;
    o->arena = arena;
    txn_on_commit(rq->txn, opening_publish, opening_drop, o);
    TRY(txn_exclusive(rq->txn));
    TRY(open_cluster_info(rq, o));
    TRY(open_small_entries(rq));
    TRY(open_tables(rq, o));
    TRY(core_cors_open(rq));
    TRY(quota_open(rq, &o->quotas));
    TRY(policy_open(rq->txn, rq->arena));
    TRY(token_state_open(rq->txn, rq->rng, &o->tokens));
    TRY(mfa_open(rq, &o->mfa));
    return audit_open(rq->txn, rq->arena, &o->audit);
}

struct error *active_open(struct active *a, struct arena *err)
{
    return active_run(a, err, open_all, NULL);
}
