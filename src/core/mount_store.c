#include "core/mount_store.h"

#include "base/encode.h"
#include "core/measure.h"
#include "core/quota/quota.h"
#include "core/stored.h"

#include <stdatomic.h>
#include <stdlib.h>

static const struct {
    const char *path; /* in core/ */
    const char *table;
    bool local, auth;
} kinds[TABLE_COUNT_] = {
    [TABLE_MOUNTS] = {"mounts", "mounts", false, false},
    [TABLE_LOCAL_MOUNTS] = {"local-mounts", "mounts", true, false},
    [TABLE_AUTH] = {"auth", "auth", false, true},
    [TABLE_LOCAL_AUTH] = {"local-auth", "auth", true, true},
};

static str split_folder(struct arena *a, int kind)
{
    return arena_fmt(a, "%s/", kinds[kind].path);
}

/* One entry per mount, core/mounts/UUID in plain JSON, as newer OpenBao keeps them on stores with
 * transactions. */
static struct error *load_split(struct txn *t, int kind, struct json *entries, bool *ret_some)
{
    struct view core = txn_view(t, SPACE_CORE);
    str *names;
    size_t n;

    TRY(view_list(&core, split_folder(t->arena, kind), &names, &n));
    for (size_t i = 0; i < n; i++) {
        struct json *entry;
        str path = arena_join(t->arena, split_folder(t->arena, kind), names[i]);

        TRY(view_get_json(&core, path, &entry));
        if (!entry || entry->type != JSON_OBJECT || !str_eq(json_get_str(entry, STR("uuid")), names[i]))
            return error_new(t->arena, ERR_INTERNAL, "core/%.*s is no entry of a mount table", PSTR(path));
        entry->ordered = true;
        json_append(t->arena, entries, entry);
    }
    *ret_some = n > 0;
    return NULL;
}

static struct error *load_table(struct txn *t, int kind, struct mount_tables *ret)
{
    struct view core = txn_view(t, SPACE_CORE);
    struct json *table, *entries = json_array(t->arena);
    bool some = false;

    TRY(stored_table_load(&core, str_from_cstr(kinds[kind].path), t->arena, &table));
    if (table) {
        struct json *stored = json_get(table, STR("entries"));

        if (!json_is_null(stored) && stored->type != JSON_ARRAY)
            return error_new(t->arena, ERR_INTERNAL, "core/%s: \"entries\" is no list", kinds[kind].path);
        if (!json_is_null(stored))
            entries = stored;
    } else {
        TRY(load_split(t, kind, entries, &some));
        ret->split = ret->split || some;
        ret->absent[kind] = true;
        table = json_object_ordered(t->arena);
        json_set_str(t->arena, table, STR("type"), str_from_cstr(kinds[kind].table));
    }
    json_set(t->arena, table, STR("entries"), entries);
    ret->tables[kind] = table;
    return NULL;
}

struct error *mount_tables_load(struct txn *t, struct mount_tables *ret)
{
    *ret = (struct mount_tables){0};
    for (int i = 0; i < TABLE_COUNT_; i++)
        TRY(load_table(t, i, ret));
    for (int i = 0; i < TABLE_COUNT_;
         i++) /* an empty table of a store in the split form has no entry at all */
        ret->changed[i] = ret->absent[i] && !ret->split;
    return NULL;
}

static const struct json *entry_of_uuid(const struct json *entries, str uuid)
{
    for (uint32_t i = 0; i < entries->n; i++)
        if (str_eq(json_get_str(entries->items[i], STR("uuid")), uuid))
            return entries->items[i];
    return NULL;
}

/* Writes what differs, deletes what is gone. */
static struct error *save_split(struct txn *t, int kind, const struct json *entries)
{
    struct view core = txn_view(t, SPACE_CORE);
    str folder = split_folder(t->arena, kind), *names;
    size_t n;

    TRY(view_list(&core, folder, &names, &n));
    for (size_t i = 0; i < n; i++)
        if (!entry_of_uuid(entries, names[i]))
            TRY(view_delete(&core, arena_join(t->arena, folder, names[i])));
    for (uint32_t i = 0; i < entries->n; i++) {
        const struct json *entry = entries->items[i];
        str path = arena_join(t->arena, folder, json_get_str(entry, STR("uuid")));
        struct json *stored;

        TRY(view_get_json(&core, path, &stored));
        if (!stored || !json_eq(stored, entry))
            TRY(view_put_json(&core, path, entry));
    }
    return NULL;
}

struct error *mount_tables_save(struct txn *t, const struct mount_tables *tables)
{
    struct view core = txn_view(t, SPACE_CORE);

    for (int i = 0; i < TABLE_COUNT_; i++) {
        if (!tables->changed[i])
            continue;
        if (tables->split && tables->absent[i])
            TRY(save_split(t, i, json_get(tables->tables[i], STR("entries"))));
        else
            TRY(stored_table_save(&core, str_from_cstr(kinds[i].path), tables->tables[i]));
    }
    return NULL;
}

static struct json *entries_of(const struct mount_tables *t, int kind)
{
    return json_get(t->tables[kind], STR("entries"));
}

struct json *mount_tables_find(const struct mount_tables *t, str path, enum table_kind *ret_kind)
{
    bool auth = str_starts(path, STR("auth/"));
    str inner = auth ? str_from(path, 5) : path;

    for (int i = 0; i < TABLE_COUNT_; i++) {
        struct json *list = entries_of(t, i);

        for (uint32_t k = 0; kinds[i].auth == auth && k < list->n; k++)
            if (str_eq(json_get_str(list->items[k], STR("path")), inner)) {
                if (ret_kind)
                    *ret_kind = i;
                return list->items[k];
            }
    }
    return NULL;
}

static str accessor_new(struct request *rq, enum table_kind kind, str type)
{
    uint8_t random[4];

    rng_bytes(rq->rng, random, sizeof(random));
    str end = hex_encode(rq->arena, (bytes){random, sizeof(random)});

    return arena_fmt(rq->arena, "%s%.*s_%.*s", kinds[kind].auth ? "auth_" : "", PSTR(type), PSTR(end));
}

struct json *mount_tables_add(struct request *rq, struct mount_tables *t, enum table_kind kind, str path,
                              str type, str description)
{
    struct arena *a = rq->arena;
    struct json *e = json_object_ordered(a);

    json_set_str(a, e, STR("table"), str_from_cstr(kinds[kind].table));
    json_set_str(a, e, STR("path"), path);
    json_set_str(a, e, STR("type"), type);
    json_set_str(a, e, STR("description"), description);
    json_set_str(a, e, STR("uuid"), rng_uuid_str(rq->rng, a));
    json_set_str(a, e, STR("backend_aware_uuid"), rng_uuid_str(rq->rng, a));
    json_set_str(a, e, STR("accessor"), accessor_new(rq, kind, type));
    json_set(a, e, STR("config"), json_object_ordered(a));
    json_set(a, e, STR("options"), json_null(a));
    json_set_bool(a, e, STR("local"), kinds[kind].local);
    json_set_bool(a, e, STR("seal_wrap"), false);
    json_set_str(a, e, STR("namespace_id"), STR("root"));
    json_append(a, entries_of(t, kind), e);
    t->changed[kind] = true;
    return e;
}

void mount_tables_remove(struct mount_tables *t, const struct json *entry, enum table_kind kind)
{
    struct json *list = entries_of(t, kind);
    uint32_t kept = 0;

    for (uint32_t i = 0; i < list->n; i++)
        if (list->items[i] != entry)
            list->items[kept++] = list->items[i];
    list->n = kept;
    t->changed[kind] = true;
}

static void passthrough(struct arena *a, struct json *entry, str header)
{
    struct json *config = json_object_ordered(a);

    json_set(a, config, STR("passthrough_request_headers"), json_strings(a, &header, 1));
    json_set(a, entry, STR("config"), config);
}

static const struct required {
    enum table_kind kind;
    const char *path, *type, *description, *passthrough;
    bool seal_wrap;
} required_mounts[] = {
    {TABLE_LOCAL_MOUNTS, "cubbyhole/", "cubbyhole", "per-token private secret storage", NULL, false},
    {TABLE_MOUNTS, "sys/", "system", "system endpoints used for control, policy and debugging", "Accept",
     true},
    {TABLE_MOUNTS, "identity/", "identity", "identity store", "Authorization", false},
    {TABLE_AUTH, "token/", "token", "token based credentials", NULL, false},
};

static void fill_entry(struct request *rq, struct mount_tables *t, int kind, struct json *e)
{
    struct arena *a = rq->arena;
    static const char *const names[] = {"accessor", "backend_aware_uuid", "namespace_id", "table"};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        str name = str_from_cstr(names[i]);

        if (json_get_str(e, name).n > 0)
            continue;
        str value = i == 0   ? accessor_new(rq, kind, json_get_str(e, STR("type")))
                    : i == 1 ? rng_uuid_str(rq->rng, a)
                    : i == 2 ? STR("root")
                             : str_from_cstr(kinds[kind].table);

        json_set_str(a, e, name, value);
        t->changed[kind] = true;
    }
}

void mount_tables_complete(struct request *rq, struct mount_tables *t)
{
    struct arena *a = rq->arena;

    for (size_t i = 0; i < COUNT_OF(required_mounts); i++) {
        const struct required *r = &required_mounts[i];
        str path = kinds[r->kind].auth ? arena_fmt(a, "auth/%s", r->path) : str_from_cstr(r->path);

        if (mount_tables_find(t, path, NULL))
            continue;
        struct json *e = mount_tables_add(rq, t, r->kind, str_from_cstr(r->path), str_from_cstr(r->type),
                                          str_from_cstr(r->description));

        json_set_bool(a, e, STR("seal_wrap"), r->seal_wrap);
        if (r->passthrough)
            passthrough(a, e, str_from_cstr(r->passthrough));
    }
    for (int kind = 0; kind < TABLE_COUNT_; kind++)
        for (uint32_t i = 0; i < entries_of(t, kind)->n; i++)
            fill_entry(rq, t, kind, entries_of(t, kind)->items[i]);
}

/* ---- the snapshot's table ---- */

static const str *strings_of(struct arena *a, const struct json *list, size_t *ret_n)
{
    *ret_n = 0;
    if (!list || list->type != JSON_ARRAY)
        return NULL;
    str *v = ARENA_ARRAY(a, str, list->n + 1);

    for (uint32_t i = 0; i < list->n; i++)
        if (list->items[i]->type == JSON_STRING)
            v[(*ret_n)++] = list->items[i]->text;
    return v;
}

static str view_prefix(struct arena *a, str type, str uuid, bool is_auth)
{
    if (str_eq(type, STR("system")))
        return STR("sys/");
    if (str_eq(type, STR("token")))
        return STR("sys/token/");
    return arena_fmt(a, "%s/%.*s/", is_auth ? "auth" : "logical", PSTR(uuid));
}

bool mount_is_core_type(str type)
{
    static const char *const types[] = {"cubbyhole", "identity", "system", "token"};

    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (str_eq(type, str_from_cstr(types[i])))
            return true;
    return false;
}

/* kv version 2 is a type of its own to the engine list: it is kept and shown, its paths answer that there is
 * no engine. */
static const struct engine_entry *engine_of(struct active *active, str type, const struct json *options,
                                            bool is_auth)
{
    if (mount_is_core_type(type))
        return core_engine_find(active->core, type, ENGINE_CORE);
    if (str_eq(type, STR("generic")))
        type = STR("kv");
    if (str_eq(type, STR("kv")) && str_eq(json_get_str(options, STR("version")), STR("2")))
        type = STR("kv-v2");
    return core_engine_find(active->core, type, is_auth ? ENGINE_AUTH : ENGINE_SECRETS);
}

static struct space *space_of(struct active *active, struct arena *arena, const struct mount *m)
{
    str prefix = view_prefix(arena, m->type, m->uuid, m->is_auth);

    if (str_eq(prefix, STR("sys/")))
        return active_space(active, SPACE_SYS);
    if (str_eq(prefix, STR("sys/token/")))
        return active_space(active, SPACE_TOKEN);
    return active_mount_space(active, prefix);
}

static struct mount mount_make(struct active *active, struct arena *arena, const struct json *stored,
                               bool is_auth)
{
    struct json *e = json_copy(arena, stored);
    const struct json *config = json_get(e, STR("config")), *options = json_get(e, STR("options"));
    str path = json_get_str(e, STR("path"));
    struct mount m = {
        .path = is_auth ? arena_fmt(arena, "auth/%.*s", PSTR(path)) : path,
        .type = json_get_str(e, STR("type")),
        .description = json_get_str(e, STR("description")),
        .uuid = json_get_str(e, STR("uuid")),
        .backend_aware_uuid = json_get_str(e, STR("backend_aware_uuid")),
        .accessor = json_get_str(e, STR("accessor")),
        .options = json_is_null(options) ? NULL : options,
        .default_lease_ttl_ns = json_get_int(config, STR("default_lease_ttl")),
        .max_lease_ttl_ns = json_get_int(config, STR("max_lease_ttl")),
        .is_auth = is_auth,
        .local = json_get_bool(e, STR("local")),
        .seal_wrap = json_get_bool(e, STR("seal_wrap")),
        .tainted = json_get_bool(e, STR("tainted")),
        .unmounting = str_eq(json_get_str(e, STR("mount_state")), STR("unmounting")),
        .entry = e,
    };

    m.audit_request_keys =
        strings_of(arena, json_get(config, STR("audit_non_hmac_request_keys")), &m.n_audit_request_keys);
    m.audit_response_keys =
        strings_of(arena, json_get(config, STR("audit_non_hmac_response_keys")), &m.n_audit_response_keys);
    const struct engine_entry *engine = engine_of(active, m.type, m.options, is_auth);

    if (engine) {
        m.engine = engine->engine;
        m.routes = engine->routes;
    }
    m.space = space_of(active, arena, &m);
    m.metrics = ARENA_ARRAY(arena, _Atomic(uint16_t), MOUNT_METRIC_COUNT_);
    return m;
}

static int compare_mounts(const void *x, const void *y)
{
    return str_cmp(((const struct mount *)x)->path, ((const struct mount *)y)->path);
}

struct mount_set *mount_set_make(struct active *a, const struct mount_tables *t)
{
    struct mount_set *set = mount_set_new();
    struct arena *arena = set->arena;
    size_t n = 0;

    for (int i = 0; i < TABLE_COUNT_; i++)
        n += entries_of(t, i)->n;
    struct mount *v = ARENA_ARRAY(arena, struct mount, n + 1);

    n = 0;
    for (int i = 0; i < TABLE_COUNT_; i++)
        for (uint32_t k = 0; k < entries_of(t, i)->n; k++)
            v[n++] = mount_make(a, arena, entries_of(t, i)->items[k], kinds[i].auth);
    qsort(v, n, sizeof(*v), compare_mounts);
    set->table = (struct mount_table){v, n};
    struct arena *packing = arena_new(0);

    for (int i = 0; i < TABLE_COUNT_; i++)
        set->bytes[kinds[i].auth][kinds[i].local] = stored_table_bytes(packing, t->tables[i]).n;
    arena_free(packing);
    return set;
}

static void publish(struct active *a, void *arg)
{
    struct snapshot *now = atomic_load(&a->snapshot);

    snapshot_publish(a, arg, audit_set_ref(now->audit), quota_set_ref(now->quotas));
}

static void drop(void *arg)
{
    mount_set_unref(arg);
}

void mount_tables_publish(struct request *rq, const struct mount_tables *t)
{
    txn_on_commit(rq->txn, publish, drop, mount_set_make(rq->active, t));
}
