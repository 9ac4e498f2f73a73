/* oidc_keys: the routes of named keys and roles. */
#include "base/encode.h"
#include "core/lease/member.h"
#include "core/oidc/oidc_private.h"

#include <stdlib.h>

enum { ROTATION_MIN_S = 60, VERIFICATION_FACTOR_MAX = 10, CLIENT_ID_CHARS = 26, DELETE_STEP = 50 };

const char *const oidc_algorithms[] = {"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA", NULL};

static bool is_algorithm(str s)
{
    for (size_t i = 0; oidc_algorithms[i]; i++)
        if (str_eq(s, str_from_cstr(oidc_algorithms[i])))
            return true;
    return false;
}

/* ---- roles, stored ---- */

static str role_path(struct request *rq, str name)
{
    return arena_join(rq->arena, STR(OIDC_ROLES), name);
}

struct error *oidc_role_load(struct request *rq, str name, struct oidc_role **ret)
{
    struct view v = oidc_view(rq);
    struct json *j;

    *ret = NULL;
    TRY(view_get_json(&v, role_path(rq, name), &j));
    if (!j)
        return NULL;
    *ret = ARENA_NEW(rq->arena, struct oidc_role);
    **ret = (struct oidc_role){.stored = j,
                               .key = member_str(j, "key"),
                               .template = member_str(j, "template"),
                               .client_id = member_str(j, "client_id"),
                               .ttl_ns = member_int(j, "token_ttl")};
    return NULL;
}

/* Calls for each role of the key until one of them is an error. */
static struct error *
each_role(struct request *rq, str key,
          struct error *(*fn)(struct request *rq, str name, const struct oidc_role *r, void *arg), void *arg)
{
    str *names;
    size_t n;

    TRY(view_list(rq->view, STR(OIDC_ROLES), &names, &n));
    for (size_t i = 0; i < n; i++) {
        struct oidc_role *r;

        TRY(oidc_role_load(rq, names[i], &r));
        if (r && str_eq(r->key, key))
            TRY(fn(rq, names[i], r, arg));
    }
    return NULL;
}

/* ---- keys ---- */

static struct error *key_exists(struct request *rq, bool *ret)
{
    struct oidc_key *k;

    TRY(oidc_key_load(rq, rq->params[0], &k));
    *ret = k != NULL;
    return NULL;
}

static struct error *role_fits(struct request *rq, str name, const struct oidc_role *r, void *arg)
{
    const struct oidc_key *k = arg;

    (void)name;
    if (r->ttl_ns <= k->verification_ttl_ns)
        return NULL;
    return fail(
        rq, ERR_BAD_REQUEST,
        "unable to update key \"%.*s\" because it is currently referenced by one or more roles with a "
        "token ttl greater than %lld seconds",
        PSTR(k->name), (long long)(k->verification_ttl_ns / NS_PER_S));
}

static struct error *take_times(struct request *rq, struct oidc_key *k, bool is_new)
{
    if (field_given(rq, "rotation_period") || is_new)
        k->rotation_period_ns = field_ns(rq, "rotation_period");
    if (k->rotation_period_ns < ROTATION_MIN_S * NS_PER_S)
        return fail(rq, ERR_BAD_REQUEST, "rotation_period must be at least one minute");
    if (field_given(rq, "verification_ttl") || is_new)
        k->verification_ttl_ns = field_ns(rq, "verification_ttl");
    if (k->verification_ttl_ns / VERIFICATION_FACTOR_MAX > k->rotation_period_ns ||
        (k->verification_ttl_ns / VERIFICATION_FACTOR_MAX == k->rotation_period_ns &&
         k->verification_ttl_ns % VERIFICATION_FACTOR_MAX > 0))
        return fail(rq, ERR_BAD_REQUEST, "verification_ttl cannot be longer than 10x rotation_period");
    return is_new ? NULL : each_role(rq, k->name, role_fits, k);
}

static struct error *key_write(struct request *rq, struct response *rs)
{
    struct oidc_key *k;
    str before;

    (void)rs;
    TRY(oidc_key_load(rq, field_str(rq, "name"), &k));
    bool is_new = k == NULL;

    if (is_new) {
        k = ARENA_NEW(rq->arena, struct oidc_key);
        *k = (struct oidc_key){.name = field_str(rq, "name"), .stored = json_object_ordered(rq->arena)};
    }
    TRY(take_times(rq, k, is_new));
    if (field_given(rq, "allowed_client_ids") || is_new)
        k->allowed_client_ids = field_strs(rq, "allowed_client_ids", &k->n_allowed);
    before = k->algorithm;
    if (field_given(rq, "algorithm") || is_new)
        k->algorithm = field_str(rq, "algorithm");
    if (!is_algorithm(k->algorithm))
        return fail(rq, ERR_BAD_REQUEST, "unknown signing algorithm \"%.*s\"", PSTR(k->algorithm));
    if (!str_eq(k->algorithm, before) || !oidc_key_can_sign(k))
        TRY(oidc_key_make(rq, k));
    oidc_key_rotate_by(rq, k, oidc_later_ns(rq, k->rotation_period_ns));
    return oidc_key_save(rq, k);
}

static struct error *key_read(struct request *rq, struct response *rs)
{
    struct arena *a = rq->arena;
    struct oidc_key *k;

    TRY(oidc_key_load(rq, field_str(rq, "name"), &k));
    if (!k)
        return fail_absent(rq);
    struct json *data = response_data(rq, rs);

    json_set_str(a, data, STR("algorithm"), k->algorithm);
    json_set(a, data, STR("allowed_client_ids"), json_strings(a, k->allowed_client_ids, k->n_allowed));
    json_set_int(a, data, STR("rotation_period"), k->rotation_period_ns / NS_PER_S);
    json_set_int(a, data, STR("verification_ttl"), k->verification_ttl_ns / NS_PER_S);
    return NULL;
}

static struct error *note_role(struct request *rq, str name, const struct oidc_role *r, void *arg)
{
    str *names = arg;

    (void)r;
    *names = names->n ? arena_fmt(rq->arena, "%.*s, %.*s", PSTR(*names), PSTR(name)) : name;
    return NULL;
}

/* What is left of a long ring is removed by the timer. */
static struct error *key_delete(struct request *rq, struct response *rs)
{
    str name = field_str(rq, "name"), roles = {0};
    struct oidc_key *k;

    (void)rs;
    TRY(each_role(rq, name, note_role, &roles));
    if (roles.n > 0)
        return fail(rq, ERR_BAD_REQUEST,
                    "unable to delete key \"%.*s\" because it is currently referenced by these roles: %.*s",
                    PSTR(name), PSTR(roles));
    if (str_eq(name, STR(OIDC_DEFAULT_KEY)))
        return fail(rq, ERR_BAD_REQUEST, "deletion of key \"%.*s\" not allowed", PSTR(name));
    TRY(oidc_key_load(rq, name, &k));
    if (!k)
        return NULL;
    struct oidc_ring ring = oidc_key_ring(rq, k);

    TRY(view_delete(rq->view, arena_join(rq->arena, STR(OIDC_NAMED_KEYS), name)));
    for (size_t i = 0; i < ring.n && i < DELETE_STEP; i++)
        TRY(view_delete(rq->view, arena_join(rq->arena, STR(OIDC_PUBLIC_KEYS), ring.ids[i])));
    oidc_look_again(rq);
    return NULL;
}

static int compare_names(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

static struct error *key_list(struct request *rq, struct response *rs)
{
    str *names, *all;
    size_t n;
    bool has_default = false;

    TRY(view_list(rq->view, STR(OIDC_NAMED_KEYS), &names, &n));
    all = ARENA_ARRAY(rq->arena, str, n + 1);
    for (size_t i = 0; i < n; i++) {
        all[i] = names[i];
        has_default = has_default || str_eq(names[i], STR(OIDC_DEFAULT_KEY));
    }
    if (!has_default)
        all[n++] = STR(OIDC_DEFAULT_KEY);
    qsort(all, n, sizeof(*all), compare_names);
    return response_list(rq, rs, all, n);
}

static struct error *rotate_write(struct request *rq, struct response *rs)
{
    str name = field_str(rq, "name");
    struct oidc_key *k;

    (void)rs;
    TRY(oidc_key_load(rq, name, &k));
    if (!k)
        return fail(rq, ERR_BAD_REQUEST, "no named key found at \"%.*s\"", PSTR(name));
    return oidc_key_rotate(rq, k,
                           field_given(rq, "verification_ttl") ? field_ns(rq, "verification_ttl")
                                                               : k->verification_ttl_ns);
}

/* ---- roles ---- */

static struct error *role_exists(struct request *rq, bool *ret)
{
    return view_has(rq->view, role_path(rq, rq->params[0]), ret);
}

static struct error *check_key(struct request *rq, const struct oidc_role *r)
{
    struct oidc_key *k;

    TRY(oidc_key_load(rq, r->key, &k));
    if (!k)
        return fail(rq, ERR_BAD_REQUEST, "cannot find key \"%.*s\"", PSTR(r->key));
    if (r->ttl_ns > k->verification_ttl_ns)
        return fail(rq, ERR_BAD_REQUEST,
                    "a role's token ttl cannot be longer than the verification_ttl of the key it references");
    return oidc_key_ready(rq, k);
}

static str new_client_id(struct request *rq)
{
    char *p = arena_alloc(rq->arena, CLIENT_ID_CHARS);

    rng_base62(rq->rng, p, CLIENT_ID_CHARS);
    return (str){p, CLIENT_ID_CHARS};
}

static struct error *role_save(struct request *rq, const struct oidc_role *r)
{
    struct arena *a = rq->arena;

    json_set_int(a, r->stored, STR("token_ttl"), r->ttl_ns);
    json_set_str(a, r->stored, STR("key"), r->key);
    json_set_str(a, r->stored, STR("template"), r->template);
    json_set_str(a, r->stored, STR("client_id"), r->client_id);
    return view_put_json(rq->view, role_path(rq, field_str(rq, "name")), r->stored);
}

static struct error *role_write(struct request *rq, struct response *rs)
{
    struct oidc_role *r;
    bytes decoded;

    (void)rs;
    TRY(oidc_role_load(rq, field_str(rq, "name"), &r));
    bool is_new = r == NULL;

    if (is_new) {
        r = ARENA_NEW(rq->arena, struct oidc_role);
        r->stored = json_object_ordered(rq->arena);
    }
    if (field_given(rq, "key") || is_new)
        r->key = field_str(rq, "key");
    if (r->key.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "the key parameter is required");
    if (field_given(rq, "template") || is_new)
        r->template = field_str(rq, "template");
    if (base64_decode(rq->arena, r->template, &decoded))
        r->template = str_from_bytes(decoded);
    TRY(claims_check(rq, r->template));
    if (field_given(rq, "ttl") || is_new)
        r->ttl_ns = field_ns(rq, "ttl");
    TRY(check_key(rq, r));
    if (field_given(rq, "client_id"))
        r->client_id = field_str(rq, "client_id");
    if (r->client_id.n == 0)
        r->client_id = new_client_id(rq);
    return role_save(rq, r);
}

static struct error *role_read(struct request *rq, struct response *rs)
{
    struct oidc_role *r;

    TRY(oidc_role_load(rq, field_str(rq, "name"), &r));
    if (!r)
        return fail_absent(rq);
    struct json *data = response_data(rq, rs);

    json_set_str(rq->arena, data, STR("client_id"), r->client_id);
    json_set_str(rq->arena, data, STR("key"), r->key);
    json_set_str(rq->arena, data, STR("template"), r->template);
    json_set_int(rq->arena, data, STR("ttl"), r->ttl_ns / NS_PER_S);
    return NULL;
}

static struct error *role_delete(struct request *rq, struct response *rs)
{
    (void)rs;
    return view_delete(rq->view, role_path(rq, field_str(rq, "name")));
}

static struct error *role_list(struct request *rq, struct response *rs)
{
    str *names;
    size_t n;

    TRY(view_list(rq->view, STR(OIDC_ROLES), &names, &n));
    return response_list(rq, rs, names, n);
}

/* ---- the table ---- */

static const struct field key_fields[] = {
    {"name", FT_NAME, FIELD_PATH, .help = "Name of the key."},
    {"rotation_period", FT_SECONDS, .dflt = "24h", .help = "How often a new key pair takes over."},
    {"verification_ttl", FT_SECONDS, .dflt = "24h",
     .help = "How long a public key is believed once its pair signs no more."},
    {"algorithm", FT_STRING, .dflt = "RS256", .help = "How tokens are signed.", .allowed = oidc_algorithms},
    {"allowed_client_ids", FT_STRINGS,
     .help = "Client ids of the roles that may sign with the key; * for all, nothing for none."},
    {0},
};

static const struct field rotate_fields[] = {
    {"name", FT_NAME, FIELD_PATH, .help = "Name of the key."},
    {"verification_ttl", FT_SECONDS,
     .help = "How long the old public key is believed; else as the key says."},
    {0},
};

static const struct field role_fields[] = {
    {"name", FT_NAME, FIELD_PATH, .help = "Name of the role."},
    {"key", FT_STRING, .help = "Name of the key its tokens are signed with."},
    {"template", FT_STRING, .help = "Claims of its tokens as JSON with {{…}}, or that in base64."},
    {"ttl", FT_SECONDS, .dflt = "24h", .help = "How long its tokens are good."},
    {"client_id", FT_STRING, .help = "The audience of its tokens; made when it is not given."},
    {0},
};

const struct route oidc_key_routes[] = {
    {"oidc/key", NULL, .ops = {[OP_LIST] = {key_list, .help = "Lists the keys."}},
     .help = "The names of all keys."},
    {"oidc/key/{name}", key_fields,
     .ops = {[OP_READ] = {key_read, .help = "Shows a key."},
             [OP_UPDATE] = {key_write, ROUTE_SLOW, "Makes or changes a key."},
             [OP_DELETE] = {key_delete, .help = "Removes a key that no role uses."}},
     .exists = key_exists, .help = "A key that identity tokens are signed with.",
     .about = "It consists of a pair that signs, the next one, and the public keys of those before, each of "
              "which is shown for verification_ttl after its pair has signed last."},
    {"oidc/key/{name}/rotate", rotate_fields,
     .ops = {[OP_UPDATE] = {rotate_write, ROUTE_SLOW, "Lets the next pair take over."}},
     .help = "Lets the next pair of a key take over now."},
    {"oidc/role", NULL, .ops = {[OP_LIST] = {role_list, .help = "Lists the roles."}},
     .help = "The names of all roles."},
    {"oidc/role/{name}", role_fields,
     .ops = {[OP_READ] = {role_read, .help = "Shows a role."},
             [OP_UPDATE] = {role_write, ROUTE_SLOW, "Makes or changes a role."},
             [OP_DELETE] = {role_delete, .help = "Removes a role."}},
     .exists = role_exists, .help = "What is in identity tokens, and what signs them."},
    {0},
};
