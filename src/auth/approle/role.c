#include "auth/approle/approle_private.h"
#include "base/encode.h"
#include "base/ip_range.h"
#include "core/mount.h"
#include "crypto/crypto.h"

#define PREFIX_SHARED STR("secret_id/")
#define PREFIX_LOCAL  STR("secret_id_local/")

static str role_path(struct request *rq, str name)
{
    return arena_join(rq->arena, STR("role/"), arena_lower(rq->arena, name));
}

bool role_is_local(const struct role *r)
{
    return str_eq(r->prefix, PREFIX_LOCAL);
}

struct error *approle_salted(struct request *rq, str text, bool make_salt, str *ret)
{
    uint8_t digest[SHA256_BYTES];
    char uuid[UUID_TEXT_BYTES];
    bytes salt;

    *ret = (str){0};
    TRY(view_get(rq->view, STR("salt"), &salt));
    if (salt.n == 0 && !make_salt)
        return NULL;
    if (salt.n == 0) {
        rng_uuid(rq->rng, uuid);
        salt = (bytes){(const uint8_t *)uuid, sizeof(uuid)};
        TRY(view_put(rq->view, STR("salt"), salt));
    }
    sha256(digest, salt, bytes_from_str(text));
    *ret = hex_encode(rq->arena, (bytes){digest, sizeof(digest)});
    return NULL;
}

/* ---- the index of role ids ---- */

static struct error *index_path(struct request *rq, str role_id, bool make_salt, str *ret)
{
    TRY(approle_salted(rq, role_id, make_salt, ret));
    if (ret->n)
        *ret = arena_join(rq->arena, STR("role_id/"), *ret);
    return NULL;
}

struct error *role_name_of_id(struct request *rq, str role_id, str *ret_name)
{
    struct json *entry = NULL;
    str path;

    TRY(index_path(rq, role_id, false, &path));
    if (path.n)
        TRY(view_get_json(rq->view, path, &entry));
    *ret_name = json_get_str(entry, STR("name"));
    return NULL;
}

struct error *role_forget_id(struct request *rq, str role_id)
{
    str path;

    TRY(index_path(rq, role_id, false, &path));
    return path.n && role_id.n ? view_delete(rq->view, path) : NULL;
}

static struct error *index_set(struct request *rq, const struct role *r)
{
    struct json *entry = json_object(rq->arena);
    str path;

    json_set_str(rq->arena, entry, STR("name"), r->name);
    TRY(index_path(rq, r->role_id, true, &path));
    return view_put_json(rq->view, path, entry);
}

/* ---- as stored ---- */

struct role *role_new(struct request *rq, str name)
{
    struct role *r = ARENA_NEW(rq->arena, struct role);

    r->name = name;
    r->bind_secret_id = true;
    r->hmac_key = rng_uuid_str(rq->rng, rq->arena);
    r->role_id = rng_uuid_str(rq->rng, rq->arena);
    r->prefix = PREFIX_SHARED;
    r->stored = json_object(rq->arena);
    json_set_bool(rq->arena, r->stored, STR("lower_case_role_name"), true);
    return r;
}

/* "a, b" of a role that was last written in 2017. */
static const str *split(struct request *rq, str text, size_t *ret_n)
{
    str *v = NULL, part;

    for (*ret_n = 0; text.n > 0; ++*ret_n) {
        str_cut(text, ',', &part, &text);
        v = arena_grow(rq->arena, v, *ret_n * sizeof(*v), (*ret_n + 1) * sizeof(*v));
        v[*ret_n] = str_trim(part);
    }
    return v;
}

/* What versions before 1.2 kept under other names. */
static void upgrade(struct request *rq, struct role *r)
{
    str text = json_get_str(r->stored, STR("bound_cidr_list"));
    size_t n;
    const str *list = member_strs(rq->arena, r->stored, "bound_cidr_list_list", &n);

    if (n > 0) {
        r->secret_id_cidrs = list;
        r->n_secret_id_cidrs = n;
    } else if (text.n > 0) {
        r->secret_id_cidrs = split(rq, text, &r->n_secret_id_cidrs);
    }
    json_unset(r->stored, STR("bound_cidr_list"));
    if (r->token.n_policies == 0) {
        r->token.policies = r->old_policies;
        r->token.n_policies = r->n_old_policies;
    }
    if (r->token.period_ns == 0)
        r->token.period_ns = r->old_period_ns;
    if (r->prefix.n == 0)
        r->prefix = PREFIX_SHARED;
}

struct error *role_load(struct request *rq, str name, struct role **ret)
{
    struct role *r = ARENA_NEW(rq->arena, struct role);
    struct json *j;

    *ret = NULL;
    TRY(view_get_json(rq->view, role_path(rq, name), &j));
    if (!j)
        return NULL;
    r->stored = j;
    r->name = json_get_bool(j, STR("lower_case_role_name")) ? arena_lower(rq->arena, name) : name;
    r->role_id = json_get_str(j, STR("role_id"));
    r->hmac_key = json_get_str(j, STR("hmac_key"));
    r->prefix = json_get_str(j, STR("secret_id_prefix"));
    r->bind_secret_id = json_get_bool(j, STR("bind_secret_id"));
    r->secret_id_num_uses = json_get_int(j, STR("secret_id_num_uses"));
    r->secret_id_ttl_ns = json_get_int(j, STR("secret_id_ttl"));
    r->secret_id_cidrs = member_strs(rq->arena, j, "secret_id_bound_cidrs", &r->n_secret_id_cidrs);
    r->old_policies = member_strs(rq->arena, j, "policies", &r->n_old_policies);
    r->old_period_ns = json_get_int(j, STR("period"));
    token_fields_load(rq->arena, j, &r->token);
    upgrade(rq, r);
    if (r->hmac_key.n == 0 || (!str_eq(r->prefix, PREFIX_SHARED) && !str_eq(r->prefix, PREFIX_LOCAL)))
        return fail(rq, ERR_INTERNAL, "the stored role %.*s is damaged", PSTR(name));
    *ret = r;
    return NULL;
}

struct error *role_must(struct request *rq, struct role **ret)
{
    str name = field_str(rq, "role_name");

    TRY(role_load(rq, name, ret));
    return *ret ? NULL : fail_wrapped(rq, ERR_INTERNAL, "role \"%.*s\" does not exist", PSTR(name));
}

static struct json *strings_or_null(struct arena *a, const str *v, size_t n)
{
    return v ? json_strings(a, v, n) : json_null(a);
}

/* The entry that makes the other reachable is written last. */
struct error *role_save(struct request *rq, struct role *r, str previous_id)
{
    struct arena *a = rq->arena;
    str taken_by;

    if (!r->bind_secret_id && r->n_secret_id_cidrs == 0 && r->token.n_bound_cidrs == 0)
        return fail_wrapped(rq, ERR_INTERNAL, "at least one constraint should be enabled on the role");
    TRY(role_name_of_id(rq, r->role_id, &taken_by));
    if (taken_by.n && !str_eq(taken_by, r->name))
        return fail_wrapped(rq, ERR_INTERNAL, "role_id already in use");
    json_set_str(a, r->stored, STR("role_id"), r->role_id);
    json_set_str(a, r->stored, STR("hmac_key"), r->hmac_key);
    json_set_str(a, r->stored, STR("secret_id_prefix"), r->prefix);
    json_set_bool(a, r->stored, STR("bind_secret_id"), r->bind_secret_id);
    json_set_int(a, r->stored, STR("secret_id_num_uses"), r->secret_id_num_uses);
    json_set_int(a, r->stored, STR("secret_id_ttl"), r->secret_id_ttl_ns);
    json_set(a, r->stored, STR("secret_id_bound_cidrs"),
             strings_or_null(a, r->secret_id_cidrs, r->n_secret_id_cidrs));
    json_set(a, r->stored, STR("bound_cidr_list_list"), json_null(a));
    json_set(a, r->stored, STR("policies"), strings_or_null(a, r->old_policies, r->n_old_policies));
    json_set_int(a, r->stored, STR("period"), r->old_period_ns);
    token_fields_save(a, r->stored, &r->token);
    TRY(view_put_json(rq->view, role_path(rq, r->name), r->stored));
    if (previous_id.n && !str_eq(previous_id, r->role_id))
        TRY(role_forget_id(rq, previous_id));
    return taken_by.n ? NULL : index_set(rq, r);
}

/* ---- fields ---- */

void role_clean_policies(struct request *rq, const char *field, const str **ret, size_t *ret_n)
{
    size_t n;
    const str *given = field_strs(rq, field, &n);

    *ret_n = policy_names_join(rq->arena, given, n, NULL, 0, ret);
}

struct error *role_check_blocks(struct request *rq, const char *what, const str *v, size_t n)
{
    struct ip_range range;

    for (size_t i = 0; i < n; i++)
        if (!(ip_range_parse(v[i], &range) && str_index(v[i], '/') < v[i].n))
            return fail_wrapped(rq, ERR_INTERNAL,
                                "failed to validate %sCIDR blocks: invalid CIDR address: %.*s", what,
                                PSTR(v[i]));
    return NULL;
}

struct error *role_check_period(struct request *rq, const struct role *r)
{
    int64_t max = mount_max_ttl_ns(rq, rq->mount);

    if (r->old_period_ns <= max)
        return NULL;
    return fail(rq, ERR_BAD_REQUEST,
                "period of \"%.*s\" is greater than the backend's maximum lease TTL of \"%.*s\"",
                PSTR(duration_format(rq->arena, r->old_period_ns)), PSTR(duration_format(rq->arena, max)));
}
