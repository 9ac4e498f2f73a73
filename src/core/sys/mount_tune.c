/* mount_tune: sys/mounts/PATH/tune and sys/auth/PATH/tune. */
#include "core/mount_store.h"
#include "core/sys/sys.h"

static struct error *tune_read(struct request *rq, struct response *rs)
{
    str path = mount_path_named(rq);
    const struct mount *m = mount_exact(rq, path);

    if (!m)
        return fail(rq, ERR_BAD_REQUEST, "cannot fetch sysview for path \"%.*s\"", PSTR(path));
    rs->data = mount_tune_answer(rq, m);
    return NULL;
}

static struct error *tune_ttls(struct request *rq, const struct mount *m, struct json *config)
{
    bool dflt_given = field_str(rq, "default_lease_ttl").n > 0,
         max_given = field_str(rq, "max_lease_ttl").n > 0;
    int64_t dflt_ns = m->default_lease_ttl_ns, max_ns = m->max_lease_ttl_ns;

    if (dflt_given)
        TRY(mount_ttl_parse(rq, field_json(rq, "default_lease_ttl"), &dflt_ns));
    if (max_given)
        TRY(mount_ttl_parse(rq, field_json(rq, "max_lease_ttl"), &max_ns));
    if (dflt_ns != 0 && max_ns != 0 && max_ns < dflt_ns)
        return fail(rq, ERR_BAD_REQUEST,
                    "backend max lease TTL of %lld would be less than backend default lease TTL of %lld",
                    (long long)(max_ns / NS_PER_S), (long long)(dflt_ns / NS_PER_S));
    if (dflt_ns < 0 || max_ns < 0)
        return fail(rq, ERR_BAD_REQUEST, "lease TTLs must not be negative");
    mount_ttl_set(rq, config, "default_lease_ttl", dflt_ns);
    mount_ttl_set(rq, config, "max_lease_ttl", max_ns);
    return NULL;
}

static struct error *tune_token_type(struct request *rq, const struct mount *m, struct json *config)
{
    str text = field_str(rq, "token_type");
    int type;

    if (!field_given(rq, "token_type"))
        return NULL;
    if (!m->is_auth)
        return fail(rq, ERR_BAD_REQUEST, "'token_type' can only be modified on auth mounts");
    if (str_eq(m->type, STR("token")))
        return fail(rq, ERR_BAD_REQUEST, "'token_type' cannot be set for 'token' or 'ns_token' auth mounts");
    if (!mount_token_type_parse(text.n ? text : STR("default-service"), &type))
        return fail(rq, ERR_BAD_REQUEST, "invalid value for 'token_type'");
    json_set_int(rq->arena, config, STR("token_type"), type);
    return NULL;
}

static struct error *lockout_ns(struct request *rq, const struct json *given, const char *name,
                                const char *stored, struct json *out)
{
    const struct json *v = json_get(given, str_from_cstr(name));
    int64_t ns;

    if (json_is_null(v))
        return NULL;
    TRY(mount_ttl_parse(rq, v, &ns));
    json_set_int(rq->arena, out, str_from_cstr(stored), ns);
    return NULL;
}

static struct error *tune_lockout(struct request *rq, const struct mount *m, struct json *config)
{
    const struct json *given = field_json(rq, "user_lockout_config"), *threshold;
    struct json *out = json_get(config, STR("user_lockout_config"));
    uint64_t count;

    if (!given)
        return NULL;
    if (!m->is_auth)
        return fail(rq, ERR_BAD_REQUEST, "'user_lockout_config' can only be modified on auth mounts");
    if (json_is_null(out))
        out = json_object_ordered(rq->arena);
    threshold = json_get(given, STR("lockout_threshold"));
    if (!json_is_null(threshold)) {
        if ((threshold->type != JSON_STRING && threshold->type != JSON_NUMBER) ||
            !str_parse_u64(threshold->text, &count))
            return fail(rq, ERR_BAD_REQUEST, "unable to parse user lockout threshold");
        json_set_int(rq->arena, out, STR("lockout_threshold"), (int64_t)count);
    }
    TRY(lockout_ns(rq, given, "lockout_duration", "lockout_duration", out));
    TRY(lockout_ns(rq, given, "lockout_counter_reset_duration", "lockout_counter_reset", out));
    if (!json_is_null(json_get(given, STR("lockout_disable"))))
        json_set_bool(rq->arena, out, STR("disable_lockout"), json_get_bool(given, STR("lockout_disable")));
    json_set(rq->arena, config, STR("user_lockout_config"), out);
    return NULL;
}

/* kv is upgraded in place when its version option rises; it never goes down. */
static struct error *tune_options(struct request *rq, struct response *rs, const struct mount *m,
                                  struct json *entry)
{
    const struct json *given = field_json(rq, "options");
    struct json *options = json_get(entry, STR("options"));
    str before = json_get_str(m->options, STR("version")), after = json_get_str(given, STR("version"));
    uint64_t from = 0, to = 0;

    if (!given || given->n == 0)
        return NULL;
    if (after.n > 0 && str_eq(m->type, STR("kv"))) {
        if (!str_parse_u64(after, &to) || to < 1 || to > 2)
            return fail(rq, ERR_BAD_REQUEST, "unable to parse version: \"%.*s\"", PSTR(after));
        if (before.n > 0 && !str_parse_u64(before, &from))
            from = 0;
        if (to < from)
            return fail(rq, ERR_BAD_REQUEST, "cannot downgrade mount from version %llu",
                        (unsigned long long)from);
        if (to > from)
            response_warn(rq, rs,
                          "Upgrading mount from version %llu to version %llu. This mount will be unavailable "
                          "for a brief period and will "
                          "resume service shortly.",
                          (unsigned long long)from, (unsigned long long)to);
    }
    if (json_is_null(options))
        options = json_object_ordered(rq->arena);
    for (uint32_t i = 0; i < given->n; i++)
        json_set(rq->arena, options, given->members[i].key, given->members[i].value);
    json_set(rq->arena, entry, STR("options"), options);
    return NULL;
}

static struct error *tune_apply(struct request *rq, struct response *rs, const struct mount *m,
                                struct json *entry)
{
    struct json *config = json_get(entry, STR("config"));

    if (json_is_null(config))
        config = json_object_ordered(rq->arena);
    json_set(rq->arena, entry, STR("config"), config);
    TRY(tune_ttls(rq, m, config));
    if (field_given(rq, "description"))
        json_set_str(rq->arena, entry, STR("description"), field_str(rq, "description"));
    for (const char *const *name = mount_string_lists; *name; name++)
        TRY(mount_list_set(rq, config, *name, field_json(rq, *name)));
    if (field_given(rq, "listing_visibility"))
        TRY(mount_visibility_set(rq, config, field_str(rq, "listing_visibility")));
    TRY(tune_token_type(rq, m, config));
    TRY(tune_lockout(rq, m, config));
    return tune_options(rq, rs, m, entry);
}

/* After the settings are published: the engine brings the data into its form. */
static struct error *upgrade_step(struct request *rq, struct response *rs, const struct mount *m)
{
    bool done = true;

    if (m && m->engine && m->engine->upgrade)
        TRY(m->engine->upgrade(rq, m, &done));
    return done ? NULL : response_again(rs);
}

static struct error *tune_write(struct request *rq, struct response *rs)
{
    static const char *const kept[] = {"cubbyhole/", "sys/", "audit/"};
    str path = mount_path_named(rq);
    struct mount_tables tables;
    enum table_kind kind;

    if (rq->step > 0)
        return upgrade_step(rq, rs, mount_exact(rq, path));
    for (size_t i = 0; i < COUNT_OF(kept); i++)
        if (str_starts(path, str_from_cstr(kept[i])))
            return fail(rq, ERR_BAD_REQUEST, "cannot tune \"%.*s\"", PSTR(path));
    TRY(txn_exclusive(rq->txn));
    const struct mount *m = mount_exact(rq, path);

    if (!m)
        return fail(rq, ERR_BAD_REQUEST, "tune of path \"%.*s\" failed: no mount entry found", PSTR(path));
    TRY(mount_tables_load(rq->txn, &tables));
    struct json *entry = mount_tables_find(&tables, path, &kind);

    if (!entry)
        return fail(rq, ERR_INTERNAL, "the mount at %.*s is not in its table", PSTR(path));
    TRY(tune_apply(rq, rs, m, entry));
    tables.changed[kind] = true;
    TRY(mount_tables_save(rq->txn, &tables));
    mount_tables_publish(rq, &tables);
    return rs->n_warnings > 0 ? response_again(rs) : NULL; /* the warning is that of an upgrade */
}

static const struct field tune_fields[] = {
    {"path", FT_STRING, FIELD_PATH | FIELD_REQUIRED, .help = "the mount"},
    {"default_lease_ttl", FT_STRING, .help = "default TTL of what it gives out; \"system\" for the server's"},
    {"max_lease_ttl", FT_STRING, .help = "longest TTL of what it gives out; \"system\" for the server's"},
    {"description", FT_STRING, .help = "text for people"},
    {"audit_non_hmac_request_keys", FT_ANY, .help = "names of request values that audit shows in clear"},
    {"audit_non_hmac_response_keys", FT_ANY, .help = "names of response values that audit shows in clear"},
    {"listing_visibility", FT_STRING, .help = "\"unauth\": shown without a token; \"hidden\""},
    {"passthrough_request_headers", FT_ANY, .help = "request headers given to the engine"},
    {"allowed_response_headers", FT_ANY, .help = "response headers the engine may set"},
    {"allowed_managed_keys", FT_ANY, .help = "kept with the mount"},
    {"token_type", FT_STRING, .help = "of an auth method: service, batch, default-service, default-batch"},
    {"user_lockout_config", FT_MAP,
     .help = "of an auth method: lockout_threshold, lockout_duration and the like"},
    {"force_no_cache", FT_BOOL, .help = "accepted; caching is the server's"},
    {"plugin_version", FT_STRING, .help = "version of the engine to use"},
    {"options", FT_KV, .help = "options of the engine; kv: version"},
    {0},
};

const struct route sys_tune_routes[] = {
    {"mounts/{path...}/tune", tune_fields,
     .ops = {[OP_READ] = {tune_read}, [OP_UPDATE] = {tune_write, ROUTE_BULK}}, .flags = ROUTE_TOP_LEVEL,
     .help = "settings of a mount"},
    {"auth/{path...}/tune", tune_fields,
     .ops = {[OP_READ] = {tune_read, ROUTE_SUDO}, [OP_UPDATE] = {tune_write, ROUTE_SUDO | ROUTE_BULK}},
     .flags = ROUTE_TOP_LEVEL, .help = "settings of an auth method"},
    {0},
};
