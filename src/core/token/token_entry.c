#include "core/lease/member.h"
#include "core/token/token_private.h"

/* A block is packed twice by the same code: first without memory, which only counts. */
struct pack {
    uint8_t *base; /* NULL: counting */
    size_t used;
};

enum { PACK_ALIGN = 8 };

static void *pack_take(struct pack *p, size_t n)
{
    size_t at = (p->used + PACK_ALIGN - 1) / PACK_ALIGN * PACK_ALIGN;

    p->used = at + n;
    return p->base ? p->base + at : NULL;
}

static str pack_str(struct pack *p, str s)
{
    char *to = pack_take(p, s.n);

    if (to && s.n)
        memcpy(to, s.p, s.n);
    return (str){to, s.n};
}

static const str *pack_strs(struct pack *p, const str *v, size_t n)
{
    str *to = pack_take(p, n * sizeof(str));

    for (size_t i = 0; i < n; i++) {
        str s = pack_str(p, v[i]);

        if (to)
            to[i] = s;
    }
    return n ? to : NULL;
}

/* Only members that are strings, as the store has them. */
static const struct json *pack_meta(struct pack *p, const struct json *meta)
{
    if (!meta || meta->n == 0)
        return NULL;
    struct json *object = pack_take(p, sizeof(*object));
    struct json_member *members = pack_take(p, meta->n * sizeof(*members));
    uint32_t n = 0;

    for (uint32_t i = 0; i < meta->n; i++) {
        if (meta->members[i].value->type != JSON_STRING)
            continue;
        struct json *value = pack_take(p, sizeof(*value));
        str key = pack_str(p, meta->members[i].key), text = pack_str(p, meta->members[i].value->text);

        if (value) {
            *value = (struct json){.type = JSON_STRING, .text = text};
            members[n++] = (struct json_member){key, value};
        }
    }
    if (object)
        *object = (struct json){.type = JSON_OBJECT, .n = n, .cap = n, .members = members};
    return object;
}

/* Before 2016 some fields had other names; they stay in the entry as zero values. */
static int64_t int_old_or_new(const struct json *j, const char *name, const char *old)
{
    int64_t v = member_int(j, name);

    return v ? v : member_int(j, old);
}

static void pack_entry(struct pack *p, struct arena *scratch, const struct json *j, str hash,
                       struct token_entry *te)
{
    size_t n_policies, n_cidrs;
    const str *policies = member_strs(scratch, j, "policies", &n_policies);
    const str *cidrs = member_strs(scratch, j, "bound_cidrs", &n_cidrs);
    str name = member_str(j, "display_name");
    int64_t type = member_int(j, "type");

    te->type = type == TOKEN_BATCH ? TOKEN_BATCH : TOKEN_SERVICE;
    te->id = pack_str(p, member_str(j, "id"));
    te->accessor = pack_str(p, member_str(j, "accessor"));
    te->parent = pack_str(p, member_str(j, "parent"));
    te->path = pack_str(p, member_str(j, "path"));
    te->display_name = pack_str(p, name.n ? name : member_str(j, "DisplayName"));
    te->role = pack_str(p, member_str(j, "role"));
    te->entity_id = pack_str(p, member_str(j, "entity_id"));
    te->cubbyhole_id = pack_str(p, member_str(j, "cubbyhole_id"));
    te->namespace_id = pack_str(p, member_str(j, "namespace_id"));
    te->policies = pack_strs(p, policies, n_policies);
    te->n_policies = n_policies;
    te->bound_cidrs = pack_strs(p, cidrs, n_cidrs);
    te->n_bound_cidrs = n_cidrs;
    te->meta = pack_meta(p, member_object(j, "meta"));
    te->num_uses = int_old_or_new(j, "num_uses", "NumUses");
    te->creation_time_s = int_old_or_new(j, "creation_time", "CreationTime");
    te->explicit_max_ttl_ns = int_old_or_new(j, "explicit_max_ttl", "ExplicitMaxTTL");
    te->ttl_ns = member_int(j, "ttl");
    te->period_ns = member_int(j, "period");
    te->no_identity_policies = member_bool(j, "no_identity_policies");
    memcpy(te->hash, hash.p, hash.n);
    te->hash[hash.n] = 0;
}

struct error *token_entry_parse(struct arena *scratch, str path, bytes clear, struct object **ret_object)
{
    str hash = str_from(path, str_rindex(path, '/') + 1);
    struct token_entry counted = {0};
    struct pack p = {.used = sizeof(counted)};
    struct json *j;

    TRY(json_parse(scratch, str_from_bytes(clear), true, &j));
    if (hash.n == 0 || hash.n > TOKEN_HASH_MAX || j->type != JSON_OBJECT)
        return error_new(scratch, ERR_INTERNAL, "the stored token %.*s is damaged", PSTR(path));
    pack_entry(&p, scratch, j, hash, &counted);
    struct object *o = object_new(p.used);

    p = (struct pack){(uint8_t *)o, sizeof(counted)};
    pack_entry(&p, scratch, j, hash, CONTAINER_OF(o, struct token_entry, object));
    *ret_object = o;
    return NULL;
}

static struct json *strs_or_null(struct arena *a, const str *v, size_t n)
{
    return n ? json_strings(a, v, n) : json_null(a);
}

static const struct json *meta_or_null(struct arena *a, const struct json *meta)
{
    return meta && meta->n ? meta : json_null(a);
}

struct json *token_entry_json(struct arena *a, const struct token_spec *spec, str id, str accessor,
                              str cubbyhole_id, int64_t now_ns)
{
    static const char *const old_numbers[] = {"NumUses", "CreationTime", "ExplicitMaxTTL"};
    struct json *j = json_object(a);

    json_set_int(a, j, STR("type"), TOKEN_SERVICE);
    json_set_str(a, j, STR("id"), id);
    json_set_str(a, j, STR("accessor"), accessor);
    json_set_str(a, j, STR("parent"), spec->parent);
    json_set(a, j, STR("policies"), json_strings(a, spec->policies, spec->n_policies));
    json_set_str(a, j, STR("inline_policy"), (str){0});
    json_set_str(a, j, STR("path"), spec->path);
    json_set(a, j, STR("meta"), json_copy(a, meta_or_null(a, spec->meta)));
    json_set(a, j, STR("internal_meta"), json_null(a));
    json_set_str(a, j, STR("display_name"), spec->display_name);
    json_set_int(a, j, STR("num_uses"), spec->num_uses);
    json_set_int(a, j, STR("creation_time"), now_ns / NS_PER_S);
    json_set_int(a, j, STR("ttl"), spec->ttl_ns);
    json_set_int(a, j, STR("explicit_max_ttl"), spec->explicit_max_of_role ? 0 : spec->explicit_max_ttl_ns);
    json_set_int(a, j, STR("period"), spec->period_of_role ? 0 : spec->period_ns);
    json_set_str(a, j, STR("role"), spec->role);
    json_set_str(a, j, STR("DisplayName"), (str){0});
    for (size_t i = 0; i < COUNT_OF(old_numbers); i++)
        json_set_int(a, j, str_from_cstr(old_numbers[i]), 0);
    json_set_str(a, j, STR("entity_id"), spec->entity_id);
    json_set_bool(a, j, STR("no_identity_policies"), false);
    json_set(a, j, STR("bound_cidrs"), strs_or_null(a, spec->bound_cidrs, spec->n_bound_cidrs));
    json_set_str(a, j, STR("namespace_id"), STR("root"));
    json_set_str(a, j, STR("cubbyhole_id"), cubbyhole_id);
    return j;
}

/* The `auth` member of a token's lease; times and ids are set by lease_put. */
struct json *token_lease_json(struct arena *a, const struct token_spec *spec, str id, str accessor)
{
    static const char *const nulls[] = {"identity_policies", "external_namespace_policies", "group_aliases",
                                        "policy_results", "mfa_requirement"};
    const str *policies = spec->is_login ? spec->method_policies : spec->policies;
    size_t n_policies = spec->is_login ? spec->n_method_policies : spec->n_policies;
    struct json *j = json_object(a), *auth = json_object(a);

    for (size_t i = 0; i < COUNT_OF(nulls); i++)
        json_set(a, auth, str_from_cstr(nulls[i]), json_null(a));
    json_set(a, auth, STR("internal_data"),
             spec->internal_data ? json_copy(a, spec->internal_data) : json_null(a));
    json_set(a, auth, STR("alias"), spec->alias ? json_copy(a, spec->alias) : json_null(a));
    json_set_int(a, auth, STR("max_ttl"), spec->max_ttl_ns);
    json_set_str(a, auth, STR("display_name"), spec->display_name);
    json_set(a, auth, STR("policies"), strs_or_null(a, policies, n_policies));
    json_set(a, auth, STR("token_policies"), json_strings(a, spec->policies, spec->n_policies));
    json_set_bool(a, auth, STR("no_default_policy"), spec->no_default_policy);
    json_set(a, auth, STR("metadata"), json_copy(a, meta_or_null(a, spec->meta)));
    json_set_str(a, auth, STR("client_token"), id);
    json_set_str(a, auth, STR("accessor"), accessor);
    json_set_int(a, auth, STR("period"), spec->period_ns);
    json_set_int(a, auth, STR("explicit_max_ttl"), spec->explicit_max_ttl_ns);
    json_set_int(a, auth, STR("num_uses"), spec->num_uses);
    json_set_str(a, auth, STR("entity_id"), spec->entity_id);
    json_set(a, auth, STR("bound_cidrs"), strs_or_null(a, spec->bound_cidrs, spec->n_bound_cidrs));
    json_set_str(a, auth, STR("creation_path"), spec->path);
    json_set_int(a, auth, STR("token_type"), TOKEN_SERVICE);
    json_set_bool(a, auth, STR("orphan"), spec->parent.n == 0);
    json_set_bool(a, auth, STR("entity_created"), false);

    json_set(a, j, STR("auth"), auth);
    json_set_int(a, j, STR("token_type"), 0);
    json_set(a, j, STR("data"), json_null(a));
    json_set(a, j, STR("secret"), json_null(a));
    json_set_str(a, j, STR("login_role"), (str){0});
    json_set_int(a, j, STR("version"), 1);
    return j;
}
