/* mounts: sys/mounts and sys/auth: showing, enabling and disabling secrets engines. */
#include "core/mount_store.h"
#include "core/sys/sys.h"

enum { UNMOUNT_STEP_ENTRIES = 50 };

/* ---- showing ---- */

static struct json *config_answer(struct arena *a, const struct mount *m)
{
    static const char *const lists[] = {"audit_non_hmac_request_keys", "audit_non_hmac_response_keys", "passthrough_request_headers",
                                        "allowed_response_headers", "allowed_managed_keys"};
    static const char *const token_types[] = {"default", "service", "batch", "default-service", "default-batch"};
    const struct json *stored = json_get(m->entry, STR("config"));
    struct json *o = json_object(a);
    str visibility = json_get_str(stored, STR("listing_visibility"));
    int64_t token_type = json_get_int(stored, STR("token_type"));

    json_set_int(a, o, STR("default_lease_ttl"), m->default_lease_ttl_ns / NS_PER_S);
    json_set_int(a, o, STR("max_lease_ttl"), m->max_lease_ttl_ns / NS_PER_S);
    json_set_bool(a, o, STR("force_no_cache"), json_get_bool(stored, STR("force_no_cache")));
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        struct json *list = json_get(stored, str_from_cstr(lists[i]));

        if (list && list->type == JSON_ARRAY && list->n > 0)
            json_set(a, o, str_from_cstr(lists[i]), list);
    }
    if (visibility.n > 0)
        json_set_str(a, o, STR("listing_visibility"), visibility);
    if (m->is_auth && str_eq(m->type, STR("token")))
        token_type = 3;
    if (m->is_auth && token_type >= 0 && token_type < (int64_t)COUNT_OF(token_types))
        json_set_str(a, o, STR("token_type"), str_from_cstr(token_types[token_type]));
    return o;
}

static struct json *mount_answer(struct arena *a, const struct mount *m)
{
    struct json *o = json_object(a);
    str version = json_get_str(m->entry, STR("running_plugin_version"));

    if (m->engine)
        version = str_from_cstr(m->engine->plugin_version);
    if (version.n == 0)
        version = STR("v1.14.7+builtin.vault");
    json_set_str(a, o, STR("type"), m->type);
    json_set_str(a, o, STR("description"), m->description);
    json_set_str(a, o, STR("accessor"), m->accessor);
    json_set_str(a, o, STR("uuid"), m->uuid);
    json_set_bool(a, o, STR("local"), m->local);
    json_set_bool(a, o, STR("seal_wrap"), m->seal_wrap);
    json_set_bool(a, o, STR("external_entropy_access"), json_get_bool(m->entry, STR("external_entropy_access")));
    json_set(a, o, STR("options"), m->options ? json_copy(a, m->options) : json_null(a));
    json_set_str(a, o, STR("plugin_version"), json_get_str(m->entry, STR("plugin_version")));
    json_set_str(a, o, STR("running_plugin_version"), version);
    json_set_str(a, o, STR("running_sha256"), json_get_str(m->entry, STR("running_sha256")));
    json_set(a, o, STR("config"), config_answer(a, m));
    if (!mount_is_core_type(m->type))
        json_set_str(a, o, STR("deprecation_status"), STR("supported"));
    return o;
}

static struct error *list_tables(struct request *rq, struct response *rs, bool auth)
{
    const struct mount_table *t = request_mounts(rq);
    struct json *data = response_data(rq, rs);

    for (size_t i = 0; i < t->n; i++) {
        const struct mount *m = &t->mounts[i];

        if (m->is_auth == auth && !m->tainted)
            json_set(rq->arena, data, auth ? str_from(m->path, 5) : m->path, mount_answer(rq->arena, m));
    }
    return NULL;
}

static struct error *mounts_read(struct request *rq, struct response *rs)
{
    return list_tables(rq, rs, false);
}

static struct error *auth_read(struct request *rq, struct response *rs)
{
    return list_tables(rq, rs, true);
}

static str mount_path_field(const struct request *rq)
{
    str path = field_str(rq, "path");

    return str_ends(path, STR("/")) ? path : arena_fmt(rq->arena, "%.*s/", PSTR(path));
}

static const struct mount *mount_exact(const struct request *rq, str path)
{
    const struct mount *m = mount_find(request_mounts(rq), path);

    return m && str_eq(m->path, path) ? m : NULL;
}

static struct error *mount_read(struct request *rq, struct response *rs)
{
    str path = mount_path_field(rq);
    const struct mount *m = mount_exact(rq, path);

    if (!m || m->is_auth)
        return fail(rq, ERR_BAD_REQUEST, "No secret engine mount at %.*s", PSTR(path));
    rs->data = mount_answer(rq->arena, m);
    return NULL;
}

/* ---- enabling ---- */

static struct error *check_path(struct request *rq, str path)
{
    static const char *const kept[] = {"audit/", "auth/", "sys/", "cubbyhole/", "identity/"};
    const struct mount_table *t = request_mounts(rq);

    for (size_t i = 0; i < COUNT_OF(kept); i++)
        if (str_starts(path, str_from_cstr(kept[i])))
            return fail(rq, ERR_BAD_REQUEST, "cannot mount \"%.*s\"", PSTR(path));
    for (size_t i = 0; i < t->n; i++)
        if (str_starts(path, t->mounts[i].path) || str_starts(t->mounts[i].path, path))
            return fail(rq, ERR_BAD_REQUEST, "path is already in use at %.*s", PSTR(t->mounts[i].path));
    return NULL;
}

static struct error *config_ttl(struct request *rq, const struct json *config, const char *name, const char *word, int64_t *ret)
{
    const struct json *v = json_get(config, str_from_cstr(name));
    str text = v && (v->type == JSON_STRING || v->type == JSON_NUMBER) ? v->text : (str){0};

    *ret = 0;
    if (text.n == 0 || str_eq(text, STR("system")))
        return NULL;
    struct error *e = duration_parse(rq->arena, text, ret);

    return e ? fail(rq, ERR_BAD_REQUEST, "unable to parse %s TTL of %.*s: %.*s", word, PSTR(text), PSTR(e->text)) : NULL;
}

static struct error *check_ttls(struct request *rq, int64_t dflt_ns, int64_t max_ns)
{
    int64_t system_ns = active_max_ttl_ns(rq->active);

    if (max_ns > 0 && dflt_ns > max_ns)
        return fail(rq, ERR_BAD_REQUEST, "given default lease TTL greater than given max lease TTL");
    if (max_ns == 0 && dflt_ns > system_ns)
        return fail(rq, ERR_BAD_REQUEST, "given default lease TTL greater than system max lease TTL of %lld", (long long)(system_ns / NS_PER_S));
    return NULL;
}

static struct error *copy_strings(struct request *rq, const struct json *from, struct json *to, const char *name)
{
    str key = str_from_cstr(name);
    struct json *v = json_get(from, key), *list;

    if (json_is_null(v) || (v->type == JSON_STRING && v->text.n == 0))
        return NULL;
    if (v->type == JSON_STRING) {
        list = json_array(rq->arena);
        for (str rest = v->text, item; rest.n > 0;) {
            str_cut(rest, ',', &item, &rest);
            json_append(rq->arena, list, json_string(rq->arena, str_trim(item)));
        }
        v = list;
    }
    if (v->type != JSON_ARRAY)
        return fail(rq, ERR_BAD_REQUEST, "config: %s must be a list of strings", name);
    for (uint32_t i = 0; i < v->n; i++)
        if (v->items[i]->type != JSON_STRING)
            return fail(rq, ERR_BAD_REQUEST, "config: %s must be a list of strings", name);
    if (v->n > 0)
        json_set(rq->arena, to, key, v);
    return NULL;
}

static struct error *config_make(struct request *rq, struct json **ret)
{
    static const char *const lists[] = {"audit_non_hmac_request_keys", "audit_non_hmac_response_keys", "passthrough_request_headers",
                                        "allowed_response_headers", "allowed_managed_keys"};
    const struct json *given = field_json(rq, "config");
    struct json *o = json_object_ordered(rq->arena);
    int64_t dflt_ns, max_ns;
    str visibility = json_get_str(given, STR("listing_visibility"));

    TRY(config_ttl(rq, given, "default_lease_ttl", "default", &dflt_ns));
    TRY(config_ttl(rq, given, "max_lease_ttl", "max", &max_ns));
    TRY(check_ttls(rq, dflt_ns, max_ns));
    if (dflt_ns)
        json_set_int(rq->arena, o, STR("default_lease_ttl"), dflt_ns);
    if (max_ns)
        json_set_int(rq->arena, o, STR("max_lease_ttl"), max_ns);
    if (json_get_bool(given, STR("force_no_cache")))
        json_set_bool(rq->arena, o, STR("force_no_cache"), true);
    if (visibility.n && !str_eq(visibility, STR("hidden")) && !str_eq(visibility, STR("unauth")))
        return fail(rq, ERR_BAD_REQUEST, "invalid listing_visibility %.*s", PSTR(visibility));
    if (visibility.n)
        json_set_str(rq->arena, o, STR("listing_visibility"), visibility);
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        TRY(copy_strings(rq, given, o, lists[i]));
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

static struct error *check_type(struct request *rq, str type, const struct json *options)
{
    str version = json_get_str(options, STR("version"));

    if (type.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "backend type must be specified as a string");
    if (mount_is_core_type(type))
        return fail(rq, ERR_BAD_REQUEST, "mount type of \"%.*s\" is not mountable", PSTR(type));
    if (str_eq(type, STR("plugin")))
        return fail(rq, ERR_BAD_REQUEST, "plugin_name must be provided for plugin backend");
    if (!core_engine_find(rq->core, str_eq(type, STR("generic")) ? STR("kv") : type, ENGINE_SECRETS))
        return fail(rq, ERR_BAD_REQUEST, "plugin not found in the catalog: %.*s", PSTR(type));
    if (str_eq(type, STR("kv")) && version.n && !str_eq(version, STR("1")) &&
        !(str_eq(version, STR("2")) && core_engine_find(rq->core, STR("kv-v2"), ENGINE_SECRETS)))
        return fail(rq, ERR_BAD_REQUEST, "nil backend of type \"kv\" returned from factory");
    return NULL;
}

static struct error *mount_write(struct request *rq, struct response *rs)
{
    str path = mount_path_field(rq);
    bool local = field_bool(rq, "local");
    struct json *options = json_object_ordered(rq->arena), *config;
    const struct json *given = field_json(rq, "options");
    struct mount_tables tables;

    (void)rs;
    for (uint32_t i = 0; given && given->type == JSON_OBJECT && i < given->n; i++)
        json_set(rq->arena, options, given->members[i].key, given->members[i].value);
    str type = canonical_type(rq, options);

    if (type.n == 0)
        return check_type(rq, type, options);
    TRY(config_make(rq, &config));
    TRY(check_type(rq, type, options));
    TRY(txn_exclusive(rq->txn));
    TRY(check_path(rq, path));
    TRY(mount_tables_load(rq->txn, &tables));
    struct json *e = mount_tables_add(rq, &tables, local ? TABLE_LOCAL_MOUNTS : TABLE_MOUNTS, path, type, field_str(rq, "description"));

    json_set(rq->arena, e, STR("config"), config);
    json_set(rq->arena, e, STR("options"), options);
    json_set_bool(rq->arena, e, STR("seal_wrap"), field_bool(rq, "seal_wrap"));
    if (field_bool(rq, "external_entropy_access"))
        json_set_bool(rq->arena, e, STR("external_entropy_access"), true);
    json_set_str(rq->arena, e, STR("running_plugin_version"), STR("v0.15.0+builtin"));
    TRY(mount_tables_save(rq->txn, &tables));
    mount_tables_publish(rq, &tables);
    return NULL;
}

/* ---- disabling ---- */

static str pending_path(struct request *rq, str uuid)
{
    return arena_fmt(rq->arena, "coffer-pending/unmount-%.*s", PSTR(uuid));
}

static struct error *begin_unmount(struct request *rq, struct mount_tables *tables, struct json *e, enum table_kind kind, str path)
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
    struct view view = txn_mount_view(rq->txn, m);
    struct view core = txn_view(rq->txn, SPACE_CORE);
    bool empty;

    TRY(view_clear(&view, (str){0}, UNMOUNT_STEP_ENTRIES, &empty));
    if (!empty)
        return NULL;
    TRY(view_delete(&core, pending_path(rq, m->uuid)));
    mount_tables_remove(&tables, e, kind);
    TRY(mount_tables_save(rq->txn, &tables));
    mount_tables_publish(rq, &tables);
    *ret_done = true;
    return NULL;
}

static struct error *mount_delete(struct request *rq, struct response *rs)
{
    static const char *const kept[] = {"sys/", "cubbyhole/", "identity/", "auth/", "audit/"};
    str path = mount_path_field(rq);
    bool done;

    for (size_t i = 0; i < COUNT_OF(kept); i++)
        if (str_starts(path, str_from_cstr(kept[i])))
            return fail(rq, ERR_BAD_REQUEST, "cannot unmount \"%.*s\"", PSTR(path));
    TRY(unmount_step(rq, path, &done));
    return done ? NULL : response_again(rs);
}

static const struct field mount_fields[] = {
    {"path", FT_STRING, FIELD_PATH, .help = "where the engine is mounted, such as \"secret\""},
    {"type", FT_STRING, .help = "type of the engine, such as \"kv\""},
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
    {"mounts",
     .ops = {[OP_READ] = {mounts_read}},
     .flags = ROUTE_TOP_LEVEL,
     .help = "lists the mounted secrets engines"},
    {"mounts/{path...}", mount_fields,
     .ops = {[OP_READ] = {mount_read}, [OP_UPDATE] = {mount_write}, [OP_DELETE] = {mount_delete, ROUTE_BULK}},
     .flags = ROUTE_TOP_LEVEL,
     .help = "shows, mounts or unmounts a secrets engine",
     .about = "Unmounting deletes everything the engine has stored."},
    {"auth",
     .ops = {[OP_READ] = {auth_read}},
     .flags = ROUTE_TOP_LEVEL,
     .help = "lists the auth methods"},
    {0},
};
