#include "cli/secret_table.h"

#include "base/clock.h"

static const struct json *member(const struct json *object, const char *name)
{
    return json_get(object, str_from_cstr(name));
}

static str bool_text(const struct json *v)
{
    return v && v->boolean ? STR("true") : STR("false");
}

static void mfa_rows(struct table *t, const struct json *mfa)
{
    struct arena *a = t->arena;
    table_pair(t, STR("mfa_request_id"), json_get_str(mfa, STR("mfa_request_id")));
    const struct json *constraints = member(mfa, "mfa_constraints");
    for (uint32_t i = 0; constraints && constraints->type == JSON_OBJECT && i < constraints->n; i++) {
        str name = constraints->members[i].key;
        const struct json *any = member(constraints->members[i].value, "any");
        for (uint32_t j = 0; any && any->type == JSON_ARRAY && j < any->n; j++) {
            str type = json_get_str(any->items[j], STR("type"));
            str prefix = arena_fmt(a, "mfa_constraint_%.*s_%.*s", PSTR(name), PSTR(type));
            str method = json_get_str(any->items[j], STR("name"));
            table_pair(t, arena_join(a, prefix, STR("_id")), json_get_str(any->items[j], STR("id")));
            table_pair(t, arena_join(a, prefix, STR("_uses_passcode")),
                       bool_text(member(any->items[j], "uses_passcode")));
            if (method.n)
                table_pair(t, arena_join(a, prefix, STR("_name")), method);
        }
    }
}

static void auth_rows(struct table *t, const struct json *auth)
{
    struct arena *a = t->arena;
    const struct json *mfa = member(auth, "mfa_requirement");
    if (!json_is_null(mfa)) {
        mfa_rows(t, mfa);
        return;
    }
    int64_t duration = json_get_int(auth, STR("lease_duration"));
    table_pair(t, STR("token"), json_get_str(auth, STR("client_token")));
    table_pair(t, STR("token_accessor"), json_get_str(auth, STR("accessor")));
    table_pair(t, STR("token_duration"), duration ? duration_human(a, duration) : STR("∞"));
    table_pair(t, STR("token_renewable"), bool_text(member(auth, "renewable")));
    table_pair(t, STR("token_policies"), strings_quoted(a, member(auth, "token_policies")));
    table_pair(t, STR("identity_policies"), strings_quoted(a, member(auth, "identity_policies")));
    table_pair(t, STR("policies"), strings_quoted(a, member(auth, "policies")));
    const struct json *meta = member(auth, "metadata");
    for (uint32_t i = 0; meta && meta->type == JSON_OBJECT && i < meta->n; i++)
        table_pair(t, arena_join(a, STR("token_meta_"), meta->members[i].key),
                   value_text(a, meta->members[i].value));
}

/* 2006-01-02 15:04:05.999999999 +0000 UTC */
static str go_time(struct arena *a, str rfc3339)
{
    int64_t ns;
    if (!time_parse(rfc3339, &ns))
        return rfc3339;
    str s = time_format(a, ns);
    size_t t = str_index(s, 'T');
    str clock = str_slice(s, t + 1, s.n - 1);
    return arena_fmt(a, "%.*s %.*s +0000 UTC", (int)t, s.p, PSTR(clock));
}

static void wrap_rows(struct table *t, const struct json *wrap)
{
    struct arena *a = t->arena;
    str wrapped = json_get_str(wrap, STR("wrapped_accessor"));
    table_pair(t, STR("wrapping_token:"), json_get_str(wrap, STR("token")));
    table_pair(t, STR("wrapping_accessor:"), json_get_str(wrap, STR("accessor")));
    table_pair(t, STR("wrapping_token_ttl:"), duration_human(a, json_get_int(wrap, STR("ttl"))));
    table_pair(t, STR("wrapping_token_creation_time:"), go_time(a, json_get_str(wrap, STR("creation_time"))));
    table_pair(t, STR("wrapping_token_creation_path:"), json_get_str(wrap, STR("creation_path")));
    if (wrapped.n)
        table_pair(t, STR("wrapped_accessor:"), wrapped);
}

void secret_rows(struct table *t, const struct json *secret)
{
    struct arena *a = t->arena;
    table_pair(t, STR("Key"), STR("Value"));
    int64_t duration = json_get_int(secret, STR("lease_duration"));
    str lease = json_get_str(secret, STR("lease_id"));
    if (duration > 0 && lease.n) {
        table_pair(t, STR("lease_id"), lease);
        table_pair(t, STR("lease_duration"), duration_human(a, duration));
        table_pair(t, STR("lease_renewable"), bool_text(member(secret, "renewable")));
    } else if (duration > 0) {
        table_pair(t, STR("refresh_interval"), duration_human(a, duration));
    }
    if (member(secret, "auth"))
        auth_rows(t, member(secret, "auth"));
    if (member(secret, "wrap_info"))
        wrap_rows(t, member(secret, "wrap_info"));
    const struct json *data = member(secret, "data");
    if (json_is_null(data) || data->type != JSON_OBJECT)
        return;
    str *keys = keys_sorted(a, data);
    for (uint32_t i = 0; i < data->n; i++)
        table_pair(t, keys[i], member_text(a, keys[i], json_get(data, keys[i])));
}

struct field_name {
    const char *name;   /* of the field */
    const char *member; /* where its value is */
};

static const struct json *field_of(const struct json *object, const struct field_name *names, size_t n,
                                   str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(name, str_from_cstr(names[i].name)))
            return member(object, names[i].member);
    return NULL;
}

const struct json *secret_field(struct arena *a, const struct json *secret, str name)
{
    static const struct field_name auth_names[] = {
        {"token", "client_token"},
        {"token_accessor", "accessor"},
        {"token_duration", "lease_duration"},
        {"token_renewable", "renewable"},
        {"token_policies", "token_policies"},
        {"identity_policies", "identity_policies"},
        {"policies", "policies"},
    };
    static const struct field_name wrap_names[] = {
        {"wrapping_token", "token"},
        {"wrapping_accessor", "accessor"},
        {"wrapping_token_ttl", "ttl"},
        {"wrapping_token_creation_time", "creation_time"},
        {"wrapping_token_creation_path", "creation_path"},
        {"wrapped_accessor", "wrapped_accessor"},
    };
    static const struct field_name lease_names[] = {
        {"lease_id", "lease_id"},     {"lease_duration", "lease_duration"},   {"renewable", "renewable"},
        {"request_id", "request_id"}, {"refresh_interval", "lease_duration"},
    };
    const struct json *auth = member(secret, "auth");
    const struct json *wrap = member(secret, "wrap_info");
    const struct json *data = member(secret, "data");
    if (auth) {
        const struct json *found = field_of(auth, auth_names, COUNT_OF(auth_names), name);
        bool is_list = str_ends(name, STR("policies"));
        return is_list && json_is_null(found) ? json_array(a) : found;
    }
    if (wrap)
        return field_of(wrap, wrap_names, COUNT_OF(wrap_names), name);
    const struct json *found = field_of(secret, lease_names, COUNT_OF(lease_names), name);
    if (found)
        return found;
    found = json_get(data, name);
    return !found && str_eq(name, STR("data")) ? data : found;
}

const struct json *secret_keys(const struct json *secret)
{
    const struct json *keys = member(member(secret, "data"), "keys");
    return keys && keys->type == JSON_ARRAY && keys->n ? keys : NULL;
}
