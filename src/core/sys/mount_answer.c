/* mount_answer: how a mount is shown. */
#include "core/mount_store.h"
#include "core/sys/sys.h"

const char *const mount_string_lists[] = {"audit_non_hmac_request_keys", "audit_non_hmac_response_keys",
                                          "passthrough_request_headers", "allowed_response_headers",
                                          "allowed_managed_keys",        NULL};
static const char *const token_types[] = {"default", "service", "batch", "default-service", "default-batch"};

bool mount_token_type_parse(str text, int *ret)
{
    for (size_t i = 0; i < COUNT_OF(token_types); i++)
        if (str_eq(text, str_from_cstr(token_types[i]))) {
            *ret = (int)i;
            return true;
        }
    return false;
}

static str token_type_of(const struct mount *m)
{
    int64_t type = json_get_int(json_get(m->entry, STR("config")), STR("token_type"));

    if (str_eq(m->type, STR("token"))) /* whatever was stored */
        type = 3;
    return str_from_cstr(token_types[type >= 0 && type < (int64_t)COUNT_OF(token_types) ? type : 0]);
}

static void add_shared(struct arena *a, struct json *o, const struct mount *m)
{
    const struct json *stored = json_get(m->entry, STR("config"));
    str visibility = json_get_str(stored, STR("listing_visibility"));

    json_set_bool(a, o, STR("force_no_cache"), json_get_bool(stored, STR("force_no_cache")));
    for (const char *const *name = mount_string_lists; *name; name++) {
        struct json *list = json_get(stored, str_from_cstr(*name));

        if (list && list->type == JSON_ARRAY && list->n > 0)
            json_set(a, o, str_from_cstr(*name), list);
    }
    if (visibility.n > 0)
        json_set_str(a, o, STR("listing_visibility"), visibility);
    if (m->is_auth)
        json_set_str(a, o, STR("token_type"), token_type_of(m));
}

static void put_lockout(struct arena *a, struct json *o, const struct json *stored)
{
    if (json_is_null(stored))
        return;
    json_set_int(a, o, STR("user_lockout_threshold"), json_get_int(stored, STR("lockout_threshold")));
    json_set_int(a, o, STR("user_lockout_duration"),
                 json_get_int(stored, STR("lockout_duration")) / NS_PER_S);
    json_set_int(a, o, STR("user_lockout_counter_reset_duration"),
                 json_get_int(stored, STR("lockout_counter_reset")) / NS_PER_S);
    json_set_bool(a, o, STR("user_lockout_disable"), json_get_bool(stored, STR("disable_lockout")));
}

static struct json *config_answer(struct arena *a, const struct mount *m)
{
    struct json *o = json_object(a);
    const struct json *stored = json_get(json_get(m->entry, STR("config")), STR("user_lockout_config"));

    json_set_int(a, o, STR("default_lease_ttl"), m->default_lease_ttl_ns / NS_PER_S);
    json_set_int(a, o, STR("max_lease_ttl"), m->max_lease_ttl_ns / NS_PER_S);
    add_shared(a, o, m);
    if (!json_is_null(stored)) {
        struct json *lockout = json_object(a);

        put_lockout(a, lockout, stored);
        json_set(a, o, STR("user_lockout_config"), lockout);
    }
    return o;
}

struct json *mount_answer(struct arena *a, const struct mount *m)
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
    json_set_bool(a, o, STR("external_entropy_access"),
                  json_get_bool(m->entry, STR("external_entropy_access")));
    json_set(a, o, STR("options"), m->options ? json_copy(a, m->options) : json_null(a));
    json_set_str(a, o, STR("plugin_version"), json_get_str(m->entry, STR("plugin_version")));
    json_set_str(a, o, STR("running_plugin_version"), version);
    json_set_str(a, o, STR("running_sha256"), json_get_str(m->entry, STR("running_sha256")));
    json_set(a, o, STR("config"), config_answer(a, m));
    if (!mount_is_core_type(m->type))
        json_set_str(a, o, STR("deprecation_status"), STR("supported"));
    return o;
}

struct json *mount_tune_answer(struct request *rq, const struct mount *m)
{
    struct arena *a = rq->arena;
    struct json *o = json_object(a);
    const struct json *lockout = json_get(json_get(m->entry, STR("config")), STR("user_lockout_config"));

    json_set_int(a, o, STR("default_lease_ttl"), mount_default_ttl_ns(rq, m) / NS_PER_S);
    json_set_int(a, o, STR("max_lease_ttl"), mount_max_ttl_ns(rq, m) / NS_PER_S);
    json_set_str(a, o, STR("description"), m->description);
    add_shared(a, o, m);
    if (m->options && m->options->n > 0)
        json_set(a, o, STR("options"), json_copy(a, m->options));
    put_lockout(a, o, lockout);
    return o;
}
