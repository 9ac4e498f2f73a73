/* mounts: sys/mounts and sys/auth: showing, enabling and disabling secrets engines and auth methods. */
#include "core/lease/lease.h"
#include "core/mount_store.h"
#include "core/quota/quota.h"
#include "core/sys/sys.h"

enum { UNMOUNT_STEP_ENTRIES = 50 };

static bool is_auth_route(const struct request *rq)
{
    return str_starts(rq->rel, STR("auth"));
}

/* ---- paths ---- */

str mount_path_named(const struct request *rq)
{
    str path = field_str(rq, "path");

    return arena_fmt(rq->arena, "%s%.*s%s", is_auth_route(rq) ? "auth/" : "", PSTR(path),
                     str_ends(path, STR("/")) ? "" : "/");
}

const struct mount *mount_exact(const struct request *rq, str path)
{
    const struct mount *m = mount_find(request_mounts(rq), path);

    return m && str_eq(m->path, path) ? m : NULL;
}

/* Without auth/ in front, as messages name auth methods. */
static str bare(str path)
{
    return str_starts(path, STR("auth/")) ? str_from(path, 5) : path;
}

struct error *mount_path_reachable(struct request *rq, str path)
{
    bool ok = path.n > 0;

    for (str left = path, segment; ok && left.n > 0;) {
        (void)str_cut(left, '/', &segment, &left);
        ok = segment.n > 0 && !str_eq(segment, STR(".")) && !str_eq(segment, STR(".."));
    }
    for (size_t i = 0; ok && i < path.n; i++)
        ok = (uint8_t)path.p[i] >= ' ' && path.p[i] != 0x7f;
    return ok ? NULL : fail(rq, ERR_BAD_REQUEST, "path \"%.*s\" is one that no request reaches", PSTR(path));
}

struct error *mount_path_free(struct request *rq, str path)
{
    const struct mount_table *t = request_mounts(rq);

    for (size_t i = 0; i < t->n; i++)
        if (str_starts(path, t->mounts[i].path) || str_starts(t->mounts[i].path, path))
            return fail(rq, ERR_BAD_REQUEST, "path is already in use at %.*s", PSTR(bare(t->mounts[i].path)));
    return NULL;
}

/* ---- showing ---- */

static struct error *tables_read(struct request *rq, struct response *rs)
{
    const struct mount_table *t = request_mounts(rq);
    struct json *data = response_data(rq, rs);

    for (size_t i = 0; i < t->n; i++) {
        const struct mount *m = &t->mounts[i];

        if (m->is_auth == is_auth_route(rq) && !m->tainted)
            json_add(rq->arena, data, bare(m->path), mount_answer(rq->arena, m));
    }
    return NULL;
}

static struct error *mount_read(struct request *rq, struct response *rs)
{
    str path = mount_path_named(rq);
    const struct mount *m = mount_exact(rq, path);

    if (!m || m->is_auth != is_auth_route(rq))
        return fail(rq, ERR_BAD_REQUEST,
                    is_auth_route(rq) ? "No auth engine at %.*s" : "No secret engine mount at %.*s",
                    PSTR(bare(path)));
    rs->data = mount_answer(rq->arena, m);
    return NULL;
}

/* ---- enabling ---- */

static struct error *check_path(struct request *rq, str path)
{
    static const char *const kept[] = {"audit/", "auth/", "sys/", "cubbyhole/", "identity/"};

    for (size_t i = 0; !is_auth_route(rq) && i < COUNT_OF(kept); i++)
        if (str_starts(path, str_from_cstr(kept[i])))
            return fail(rq, ERR_BAD_REQUEST, "cannot mount \"%.*s\"", PSTR(path));
    TRY(mount_path_reachable(rq, path));
    return mount_path_free(rq, path);
}

static struct error *named_ttl(struct request *rq, const struct json *config, const char *name,
                               const char *word, int64_t *ret)
{
    const struct json *given = json_get(config, str_from_cstr(name));
    struct error *e = mount_ttl_parse(rq, given, ret);

    return e ? fail(rq, ERR_BAD_REQUEST, "unable to parse %s TTL of %.*s: %.*s", word, PSTR(given->text),
                    PSTR(e->text))
             : NULL;
}

static struct error *check_ttls(struct request *rq, int64_t dflt_ns, int64_t max_ns)
{
    int64_t system_ns = active_max_ttl_ns(rq->active);

    if (dflt_ns < 0 || max_ns < 0)
        return fail(rq, ERR_BAD_REQUEST, "lease TTLs must not be negative");
    if (max_ns > 0 && dflt_ns > max_ns)
        return fail(rq, ERR_BAD_REQUEST, "given default lease TTL greater than given max lease TTL");
    if (max_ns == 0 && dflt_ns > system_ns)
        return fail(rq, ERR_BAD_REQUEST, "given default lease TTL greater than system max lease TTL of %lld",
                    (long long)(system_ns / NS_PER_S));
    return NULL;
}

static struct error *auth_config(struct request *rq, const struct json *given, struct json *config)
{
    str text = json_get_str(given, STR("token_type"));
    int type = 3; /* default-service */

    if (text.n > 0 && !mount_token_type_parse(text, &type))
        return fail(rq, ERR_BAD_REQUEST, "invalid value for 'token_type'");
    json_set_int(rq->arena, config, STR("token_type"), type == 0 ? 3 : type);
    return NULL;
}

static struct error *config_make(struct request *rq, struct json **ret)
{
    const struct json *given = field_json(rq, "config");
    struct json *o = json_object_ordered(rq->arena);
    int64_t dflt_ns, max_ns;

    TRY(named_ttl(rq, given, "default_lease_ttl", "default", &dflt_ns));
    TRY(named_ttl(rq, given, "max_lease_ttl", "max", &max_ns));
    TRY(check_ttls(rq, dflt_ns, max_ns));
    mount_ttl_set(rq, o, "default_lease_ttl", dflt_ns);
    mount_ttl_set(rq, o, "max_lease_ttl", max_ns);
    if (json_get_bool(given, STR("force_no_cache")))
        json_set_bool(rq->arena, o, STR("force_no_cache"), true);
    TRY(mount_visibility_set(rq, o, json_get_str(given, STR("listing_visibility"))));
    for (const char *const *name = mount_string_lists; *name; name++)
        TRY(mount_list_set(rq, o, *name, json_get(given, str_from_cstr(*name))));
    if (is_auth_route(rq))
        TRY(auth_config(rq, given, o));
    *ret = o;
    return NULL;
}

/* kv-v1 and kv-v2 are names for kv with an option. */
static str canonical_type(struct request *rq, struct json *options)
{
    str type = field_str(rq, "type");

    if (str_eq(type, STR("kv-v1")))
        json_set_str(rq->arena, options, STR("version"), STR("1"));
    else if (str_eq(type, STR("kv-v2")))
        json_set_str(rq->arena, options, STR("version"), STR("2"));
    else
        return type;
    return STR("kv");
}

static struct error *check_type(struct request *rq, str type, const struct json *options,
                                const struct engine **ret)
{
    enum engine_kind kind = is_auth_route(rq) ? ENGINE_AUTH : ENGINE_SECRETS;
    str version = json_get_str(options, STR("version"));
    bool two = str_eq(type, STR("kv")) && str_eq(version, STR("2"));

    if (kind == ENGINE_AUTH && str_eq(type, STR("token")))
        return fail(rq, ERR_BAD_REQUEST, "token credential backend cannot be instantiated");
    if (kind == ENGINE_SECRETS && mount_is_core_type(type))
        return fail(rq, ERR_BAD_REQUEST, "mount type of \"%.*s\" is not mountable", PSTR(type));
    if (str_eq(type, STR("plugin")))
        return fail(rq, ERR_BAD_REQUEST, "plugin_name must be provided for plugin backend");
    if (str_eq(type, STR("kv")) && version.n && !str_eq(version, STR("1")) && !two)
        return fail(rq, ERR_BAD_REQUEST, "nil backend of type \"kv\" returned from factory");
    const struct engine_entry *e = core_engine_find(rq->core,
                                                    two                            ? STR("kv-v2")
                                                    : str_eq(type, STR("generic")) ? STR("kv")
                                                                                   : type,
                                                    kind);

    if (!e || str_eq(type, STR("kv-v2")))
        return fail(rq, ERR_BAD_REQUEST, "plugin not found in the catalog: %.*s", PSTR(type));
    *ret = e->engine;
    return NULL;
}

static struct error *mount_write(struct request *rq, struct response *rs)
{
    static const enum table_kind kinds[2][2] = {{TABLE_MOUNTS, TABLE_LOCAL_MOUNTS},
                                                {TABLE_AUTH, TABLE_LOCAL_AUTH}};
    struct json *options = json_object_ordered(rq->arena), *config;
    const struct json *given = field_json(rq, "options");
    str path = mount_path_named(rq);
    const struct engine *engine = NULL;
    struct mount_tables tables;

    (void)rs;
    for (uint32_t i = 0; given && given->type == JSON_OBJECT && i < given->n; i++)
        json_set(rq->arena, options, given->members[i].key, given->members[i].value);
    str type = canonical_type(rq, options);

    if (type.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "backend type must be specified as a string");
    TRY(config_make(rq, &config));
    TRY(check_type(rq, type, options, &engine));
    TRY(txn_exclusive(rq->txn));
    TRY(check_path(rq, path));
    TRY(mount_tables_load(rq->txn, &tables));
    struct json *e = mount_tables_add(rq, &tables, kinds[is_auth_route(rq)][field_bool(rq, "local")],
                                      bare(path), type, field_str(rq, "description"));

    json_set(rq->arena, e, STR("config"), config);
    json_set(rq->arena, e, STR("options"), options);
    json_set_bool(rq->arena, e, STR("seal_wrap"), field_bool(rq, "seal_wrap"));
    if (field_bool(rq, "external_entropy_access"))
        json_set_bool(rq->arena, e, STR("external_entropy_access"), true);
    json_set_str(rq->arena, e, STR("running_plugin_version"), str_from_cstr(engine->plugin_version));
    TRY(mount_tables_save(rq->txn, &tables));
    mount_tables_publish(rq, &tables);
    return NULL;
}

/* ---- disabling ---- */

static str pending_path(struct request *rq, str uuid)
{
    return arena_fmt(rq->arena, "coffer-pending/unmount-%.*s", PSTR(uuid));
}

static struct error *begin_unmount(struct request *rq, struct mount_tables *tables, struct json *e,
                                   enum table_kind kind, str path)
{
    struct view core = txn_view(rq->txn, SPACE_CORE);
    struct json *pending = json_object_ordered(rq->arena);

    json_set_bool(rq->arena, e, STR("tainted"), true);
    json_set_str(rq->arena, e, STR("mount_state"), STR("unmounting"));
    tables->changed[kind] = true;
    json_set_str(rq->arena, pending, STR("what"), STR("unmount"));
    json_set_str(rq->arena, pending, STR("path"), path);
    TRY(view_put_json(&core, pending_path(rq, json_get_str(e, STR("uuid"))), pending));
    TRY(mount_tables_save(rq->txn, tables));
    mount_tables_publish(rq, tables);
    return NULL;
}

struct error *unmount_step(struct request *rq, str path, bool *ret_done)
{
    struct mount_tables tables;
    enum table_kind kind;

    *ret_done = false;
    TRY(txn_exclusive(rq->txn));
    TRY(mount_tables_load(rq->txn, &tables));
    struct json *e = mount_tables_find(&tables, path, &kind);

    if (!e) {
        *ret_done = true;
        return NULL;
    }
    if (!str_eq(json_get_str(e, STR("mount_state")), STR("unmounting")))
        return begin_unmount(rq, &tables, e, kind, path);
    const struct mount *m = mount_exact(rq, path);
    struct view view = txn_mount_view(rq->txn, m), core = txn_view(rq->txn, SPACE_CORE);
    bool empty;

    TRY(lease_revoke_prefix_step(rq, path, &empty)); /* what it gave out ends while its engine can undo it */
    if (!empty)
        return NULL;
    TRY(view_clear(&view, (str){0}, UNMOUNT_STEP_ENTRIES, &empty));
    if (!empty)
        return NULL;
    TRY(quota_mount_gone(rq, path));
    mount_tables_remove(&tables, e, kind);
    TRY(mount_tables_save(rq->txn, &tables));
    TRY(view_delete(&core, pending_path(rq, m->uuid))); /* last: without it nobody would go on */
    mount_tables_publish(rq, &tables);
    *ret_done = true;
    return NULL;
}

static struct error *mount_delete(struct request *rq, struct response *rs)
{
    static const char *const kept[] = {"sys/", "cubbyhole/", "identity/", "auth/", "audit/"};
    str path = mount_path_named(rq);
    bool done;

    if (str_eq(path, STR("auth/token/")))
        return fail(rq, ERR_BAD_REQUEST, "token credential backend cannot be disabled");
    for (size_t i = 0; !is_auth_route(rq) && i < COUNT_OF(kept); i++)
        if (str_starts(path, str_from_cstr(kept[i])))
            return fail(rq, ERR_BAD_REQUEST, "cannot unmount \"%.*s\"", PSTR(path));
    TRY(unmount_step(rq, path, &done));
    return done ? NULL : response_again(rs);
}

/* ---- table ---- */

static const struct field mount_fields[] = {
    {"path", FT_STRING, FIELD_PATH | FIELD_REQUIRED, .help = "where it is mounted, such as \"secret\""},
    {"type", FT_STRING, .help = "type of the engine or auth method, such as \"kv\""},
    {"description", FT_STRING, .help = "text for people"},
    {"config", FT_MAP, .help = "settings of this mount: default_lease_ttl, max_lease_ttl and the like"},
    {"local", FT_BOOL, .dflt = "false", .help = "kept out of replication"},
    {"seal_wrap", FT_BOOL, .dflt = "false", .help = "kept with the mount; encrypts no further here"},
    {"external_entropy_access", FT_BOOL, .dflt = "false", .help = "kept with the mount"},
    {"plugin_name", FT_STRING, .help = "for type \"plugin\": its name"},
    {"plugin_version", FT_STRING, .help = "version of the engine to use"},
    {"options", FT_KV, .help = "options of the engine, such as version for kv"},
    {0},
};

const struct route sys_mount_routes[] = {
    {"mounts", .ops = {[OP_READ] = {tables_read}}, .flags = ROUTE_TOP_LEVEL,
     .help = "lists the mounted secrets engines"},
    {"mounts/{path...}", mount_fields,
     .ops = {[OP_READ] = {mount_read}, [OP_UPDATE] = {mount_write}, [OP_DELETE] = {mount_delete, ROUTE_BULK}},
     .flags = ROUTE_TOP_LEVEL, .help = "shows, mounts or unmounts a secrets engine",
     .about = "Unmounting deletes everything the engine has stored."},
    {"auth", .ops = {[OP_READ] = {tables_read}}, .flags = ROUTE_TOP_LEVEL, .help = "lists the auth methods"},
    {"auth/{path...}", mount_fields,
     .ops = {[OP_READ] = {mount_read, ROUTE_SUDO},
             [OP_UPDATE] = {mount_write, ROUTE_SUDO},
             [OP_DELETE] = {mount_delete, ROUTE_BULK | ROUTE_SUDO}},
     .flags = ROUTE_TOP_LEVEL, .help = "shows, enables or disables an auth method",
     .about = "Disabling revokes every token it gave and deletes everything it has stored."},
    {0},
};
