#include "core/token/token_role.h"

#include "core/lease/member.h"
#include "core/login/policy_names.h"
#include "core/mount.h"

#include <stdlib.h>

enum { TYPE_DEFAULT, TYPE_SERVICE, TYPE_BATCH, TYPE_DEFAULT_SERVICE, TYPE_DEFAULT_BATCH };

/* ---- globs ---- */

bool token_glob_matches(str pattern, str text)
{
    str part;
    bool more = str_cut(pattern, '*', &part, &pattern);

    if (!more)
        return str_eq(part, text);
    if (!str_starts(text, part))
        return false;
    text = str_from(text, part.n);
    while (str_cut(pattern, '*', &part, &pattern)) {
        size_t at = str_find(text, part);

        if (at + part.n > text.n)
            return false;
        text = str_from(text, at + part.n);
    }
    return str_ends(text, part);
}

bool token_globs_match(const str *patterns, size_t n, str text)
{
    for (size_t i = 0; i < n; i++)
        if (token_glob_matches(patterns[i], text))
            return true;
    return false;
}

/* ---- stored form ---- */

static str role_path(struct request *rq, str name)
{
    return arena_join(rq->arena, STR("roles/"), name);
}

static void decode(struct arena *a, const struct json *j, struct token_role *r)
{
    token_fields_load(a, j, &r->token);
    r->name = member_str(j, "name");
    r->path_suffix = member_str(j, "path_suffix");
    r->allowed = member_strs(a, j, "allowed_policies", &r->n_allowed);
    r->allowed_globs = member_strs(a, j, "allowed_policies_glob", &r->n_allowed_globs);
    r->disallowed = member_strs(a, j, "disallowed_policies", &r->n_disallowed);
    r->disallowed_globs = member_strs(a, j, "disallowed_policies_glob", &r->n_disallowed_globs);
    r->entity_aliases = member_strs(a, j, "allowed_entity_aliases", &r->n_entity_aliases);
    r->orphan = member_bool(j, "orphan");
    r->renewable = member_bool(j, "renewable");
    r->old_bound_cidrs = member_strs(a, j, "bound_cidrs", &r->n_old_bound_cidrs);
    r->old_period_ns = member_int(j, "period");
    r->old_explicit_max_ttl_ns = member_int(j, "explicit_max_ttl");
    if (r->token.type == TYPE_DEFAULT)
        r->token.type = TYPE_DEFAULT_SERVICE;
    if (r->token.n_bound_cidrs == 0) {
        r->token.bound_cidrs = r->old_bound_cidrs;
        r->token.n_bound_cidrs = r->n_old_bound_cidrs;
    }
    if (r->token.period_ns == 0)
        r->token.period_ns = r->old_period_ns;
    if (r->token.explicit_max_ttl_ns == 0)
        r->token.explicit_max_ttl_ns = r->old_explicit_max_ttl_ns;
}

static void set_strs(struct arena *a, struct json *j, const char *name, const str *v, size_t n)
{
    json_set(a, j, str_from_cstr(name), v ? json_strings(a, v, n) : json_null(a));
}

static void encode(struct arena *a, const struct token_role *r, struct json *j)
{
    token_fields_save(a, j, &r->token);
    json_set_str(a, j, STR("name"), r->name);
    json_set_str(a, j, STR("path_suffix"), r->path_suffix);
    set_strs(a, j, "allowed_policies", r->allowed, r->n_allowed);
    set_strs(a, j, "allowed_policies_glob", r->allowed_globs, r->n_allowed_globs);
    set_strs(a, j, "disallowed_policies", r->disallowed, r->n_disallowed);
    set_strs(a, j, "disallowed_policies_glob", r->disallowed_globs, r->n_disallowed_globs);
    set_strs(a, j, "allowed_entity_aliases", r->entity_aliases, r->n_entity_aliases);
    json_set_bool(a, j, STR("orphan"), r->orphan);
    json_set_bool(a, j, STR("renewable"), r->renewable);
    set_strs(a, j, "bound_cidrs", r->old_bound_cidrs, r->n_old_bound_cidrs);
    json_set_int(a, j, STR("period"), r->old_period_ns);
    json_set_int(a, j, STR("explicit_max_ttl"), r->old_explicit_max_ttl_ns);
}

static struct error *load(struct request *rq, str name, struct token_role **ret, struct json **ret_stored)
{
    struct view v = txn_view(rq->txn, SPACE_TOKEN);

    *ret = NULL;
    TRY(view_get_json(&v, role_path(rq, name), ret_stored));
    if (!*ret_stored)
        return NULL;
    *ret = ARENA_NEW(rq->arena, struct token_role);
    decode(rq->arena, *ret_stored, *ret);
    return NULL;
}

struct error *token_role_load(struct request *rq, str name, struct token_role **ret)
{
    struct json *stored;

    return load(rq, name, ret, &stored);
}

/* ---- writing ---- */

/* Segments of letters, digits, '_', '-' and '.'; the first and last character is none of the latter two. */
static bool suffix_is_valid(str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        bool end = i == 0 || i == s.n - 1;

        if (!word && (end || (c != '-' && c != '.' && (c != '/' || s.p[i - 1] == '/'))))
            return false;
    }
    return s.n >= 3;
}

static struct error *parse_own(struct request *rq, struct token_role *r, bool is_new)
{
    if (is_new || field_given(rq, "orphan"))
        r->orphan = field_bool(rq, "orphan");
    if (is_new || field_given(rq, "renewable"))
        r->renewable = field_bool(rq, "renewable");
    if (!field_given(rq, "path_suffix"))
        return NULL;
    str suffix = field_str(rq, "path_suffix");

    if (suffix.n && !suffix_is_valid(suffix))
        return fail(rq, ERR_BAD_REQUEST,
                    "given role path suffix contains invalid characters; must match \\w[\\w-.]+\\w");
    if (str_find(suffix, STR("..")) < suffix.n)
        return fail(rq, ERR_BAD_REQUEST,
                    "error registering path suffix: path cannot contain parent references");
    r->path_suffix = suffix;
    return NULL;
}

static int compare(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

/* Trimmed, lower case, sorted, each once; "root" is a name like others. */
static size_t clean(struct arena *a, str *v, size_t n)
{
    size_t kept = 0, unique = 0;

    for (size_t i = 0; i < n; i++) {
        str s = arena_lower(a, str_trim(v[i]));

        if (s.n)
            v[kept++] = s;
    }
    if (kept > 1)
        qsort(v, kept, sizeof(*v), compare);
    for (size_t i = 0; i < kept; i++)
        if (unique == 0 || !str_eq(v[unique - 1], v[i]))
            v[unique++] = v[i];
    return unique;
}

/* is_set: names of policies that a token gets, among which root stands alone. */
static void parse_list(struct request *rq, const char *name, bool is_set, const str **v, size_t *n)
{
    size_t given;
    const str *list = field_strs(rq, name, &given);
    str *own = ARENA_ARRAY(rq->arena, str, given + 1);

    if (given)
        memcpy(own, list, given * sizeof(*own));
    *v = own;
    *n = is_set ? policy_names_clean(rq->arena, own, given, false) : clean(rq->arena, own, given);
}

static void parse_lists(struct request *rq, struct token_role *r, bool is_new)
{
    if (is_new || field_given(rq, "allowed_policies"))
        parse_list(rq, "allowed_policies", true, &r->allowed, &r->n_allowed);
    if (is_new || field_given(rq, "allowed_policies_glob"))
        parse_list(rq, "allowed_policies_glob", true, &r->allowed_globs, &r->n_allowed_globs);
    if (is_new || field_given(rq, "disallowed_policies"))
        parse_list(rq, "disallowed_policies", false, &r->disallowed, &r->n_disallowed);
    if (is_new || field_given(rq, "disallowed_policies_glob"))
        parse_list(rq, "disallowed_policies_glob", false, &r->disallowed_globs, &r->n_disallowed_globs);
    if (field_given(rq, "allowed_entity_aliases"))
        parse_list(rq, "allowed_entity_aliases", false, &r->entity_aliases, &r->n_entity_aliases);
}

static struct error *parse_type(struct request *rq, struct token_role *r)
{
    static const char *const names[] = {"service", "batch", "default-service", "default-batch"};
    str type = field_str(rq, "token_type");

    if (!field_given(rq, "token_type"))
        return NULL;
    for (int i = 0; i < (int)COUNT_OF(names); i++)
        if (str_eq(type, str_from_cstr(names[i]))) {
            r->token.type = TYPE_SERVICE + i;
            return NULL;
        }
    return fail(rq, ERR_BAD_REQUEST, "invalid 'token_type' value \"%.*s\"", PSTR(type));
}

/* The new name goes before the old one; what is given under one of them alone is nothing under the other's
 * name, but counts. */
static void parse_time(struct request *rq, const char *name, const char *old_name, int64_t *ns,
                       int64_t *old_ns)
{
    if (field_given(rq, name)) {
        *ns = field_ns(rq, name);
        *old_ns = field_given(rq, old_name) ? *ns : 0;
    } else if (field_given(rq, old_name)) {
        *ns = *old_ns = field_ns(rq, old_name);
    }
}

static struct error *parse_cidrs(struct request *rq, struct token_role *r)
{
    bool given = field_given(rq, "token_bound_cidrs"), given_old = field_given(rq, "bound_cidrs");
    size_t n;

    if (!given && !given_old)
        return NULL;
    const str *v = field_strs(rq, given ? "token_bound_cidrs" : "bound_cidrs", &n);

    TRY(token_cidrs_parse(rq, v, n, &r->token.bound_cidrs));
    r->token.n_bound_cidrs = n;
    r->old_bound_cidrs = given_old ? r->token.bound_cidrs : NULL;
    r->n_old_bound_cidrs = given_old ? n : 0;
    return NULL;
}

static struct error *parse_token_fields(struct request *rq, struct token_role *r)
{
    TRY(parse_cidrs(rq, r));
    TRY(parse_type(rq, r));
    parse_time(rq, "token_period", "period", &r->token.period_ns, &r->old_period_ns);
    parse_time(rq, "token_explicit_max_ttl", "explicit_max_ttl", &r->token.explicit_max_ttl_ns,
               &r->old_explicit_max_ttl_ns);
    if (field_given(rq, "token_no_default_policy"))
        r->token.no_default_policy = field_bool(rq, "token_no_default_policy");
    if (field_given(rq, "token_num_uses"))
        r->token.num_uses = field_int(rq, "token_num_uses");
    if (r->token.num_uses < 0)
        return fail(rq, ERR_BAD_REQUEST, "error parsing role fields: 'token_num_uses' cannot be negative");
    return NULL;
}

static struct error *check_batch(struct request *rq, const struct token_role *r)
{
    const char *what = !r->orphan                         ? "non-orphan tokens"
                       : r->token.period_ns > 0           ? "periodic tokens"
                       : r->renewable                     ? "renewable tokens"
                       : r->token.explicit_max_ttl_ns > 0 ? "tokens with an explicit max TTL"
                                                          : NULL;

    if (r->token.type != TYPE_BATCH || !what)
        return NULL;
    return fail(rq, ERR_BAD_REQUEST, "'token_type' cannot be 'batch' when role is set to generate %s", what);
}

static void warn_max_ttl(struct request *rq, struct response *rs, const struct token_role *r)
{
    int64_t max = mount_max_ttl_ns(rq, rq->mount);

    if (r->token.explicit_max_ttl_ns > max)
        response_warn(
            rq, rs,
            "Given explicit max TTL of %lld is greater than system/mount allowed value of %lld "
            "seconds; until this is fixed attempting to create tokens against this role will result "
            "in an error",
            (long long)(r->token.explicit_max_ttl_ns / NS_PER_S), (long long)(max / NS_PER_S));
}

static struct error *role_write(struct request *rq, struct response *rs)
{
    struct view v = txn_view(rq->txn, SPACE_TOKEN);
    str name = field_str(rq, "role_name");
    struct token_role *r;
    struct json *stored;

    TRY(load(rq, name, &r, &stored));
    bool is_new = !r;

    if (is_new) {
        stored = json_object(rq->arena);
        r = ARENA_NEW(rq->arena, struct token_role);
        r->name = name;
        r->token.type = TYPE_DEFAULT_SERVICE;
    }
    TRY(parse_own(rq, r, is_new));
    parse_lists(rq, r, is_new);
    TRY(parse_token_fields(rq, r));
    TRY(check_batch(rq, r));
    warn_max_ttl(rq, rs, r);
    encode(rq->arena, r, stored);
    return view_put_json(&v, role_path(rq, name), stored);
}

/* ---- reading ---- */

static struct error *role_read(struct request *rq, struct response *rs)
{
    static const char *const types[] = {"default", "service", "batch", "default-service", "default-batch"};
    struct arena *a = rq->arena;
    struct token_role *r;

    TRY(token_role_load(rq, field_str(rq, "role_name"), &r));
    if (!r)
        return fail_absent(rq);
    struct json *d = response_data(rq, rs);

    json_set_str(a, d, STR("name"), r->name);
    json_set_str(a, d, STR("path_suffix"), r->path_suffix);
    json_set_bool(a, d, STR("orphan"), r->orphan);
    json_set_bool(a, d, STR("renewable"), r->renewable);
    json_set(a, d, STR("allowed_policies"), json_strings(a, r->allowed, r->n_allowed));
    json_set(a, d, STR("allowed_policies_glob"), json_strings(a, r->allowed_globs, r->n_allowed_globs));
    json_set(a, d, STR("disallowed_policies"), json_strings(a, r->disallowed, r->n_disallowed));
    json_set(a, d, STR("disallowed_policies_glob"),
             json_strings(a, r->disallowed_globs, r->n_disallowed_globs));
    set_strs(a, d, "allowed_entity_aliases", r->entity_aliases, r->n_entity_aliases);
    json_set_int(a, d, STR("period"), r->old_period_ns / NS_PER_S);
    json_set_int(a, d, STR("token_period"), r->token.period_ns / NS_PER_S);
    json_set_int(a, d, STR("explicit_max_ttl"), r->old_explicit_max_ttl_ns / NS_PER_S);
    json_set_int(a, d, STR("token_explicit_max_ttl"), r->token.explicit_max_ttl_ns / NS_PER_S);
    json_set_bool(a, d, STR("token_no_default_policy"), r->token.no_default_policy);
    json_set_str(a, d, STR("token_type"), str_from_cstr(types[r->token.type]));
    if (r->token.n_bound_cidrs > 0)
        set_strs(a, d, "token_bound_cidrs", r->token.bound_cidrs, r->token.n_bound_cidrs);
    if (r->n_old_bound_cidrs > 0)
        set_strs(a, d, "bound_cidrs", r->old_bound_cidrs, r->n_old_bound_cidrs);
    if (r->token.num_uses > 0)
        json_set_int(a, d, STR("token_num_uses"), r->token.num_uses);
    return NULL;
}

static struct error *role_delete(struct request *rq, struct response *rs)
{
    struct view v = txn_view(rq->txn, SPACE_TOKEN);

    (void)rs;
    return view_delete(&v, role_path(rq, field_str(rq, "role_name")));
}

static struct error *role_list(struct request *rq, struct response *rs)
{
    struct view v = txn_view(rq->txn, SPACE_TOKEN);
    str *names;
    size_t n;

    TRY(view_list(&v, STR("roles/"), &names, &n));
    return response_list(rq, rs, names, n);
}

static struct error *role_exists(struct request *rq, bool *ret)
{
    struct view v = txn_view(rq->txn, SPACE_TOKEN);

    return view_has(&v, role_path(rq, rq->params[0]), ret);
}

static const struct field role_fields[] = {
    {"role_name", FT_NAME, FIELD_PATH | FIELD_REQUIRED, .help = "Name of the role."},
    {"allowed_policies", FT_STRINGS, .help = "Policies that may be asked for; nothing asked: all of these."},
    {"allowed_policies_glob", FT_STRINGS, .help = "The same as patterns with \"*\"."},
    {"disallowed_policies", FT_STRINGS, .help = "Policies that must not be asked for."},
    {"disallowed_policies_glob", FT_STRINGS, .help = "The same as patterns with \"*\"."},
    {"allowed_entity_aliases", FT_STRINGS, .help = "Entity aliases that may be asked for, patterns too."},
    {"orphan", FT_BOOL, .help = "Tokens have no parent.", .dflt = "false"},
    {"renewable", FT_BOOL, .help = "Tokens may be renewed.", .dflt = "true"},
    {"path_suffix", FT_STRING, .help = "Put behind the path of the tokens: revoked together by that prefix."},
    {"token_bound_cidrs", FT_STRINGS, .help = "Addresses or blocks that the tokens may be used from."},
    {"token_explicit_max_ttl", FT_SECONDS, .help = "Hard end of a token's life, with all renewals."},
    {"token_no_default_policy", FT_BOOL, .help = "Leave the policy \"default\" out."},
    {"token_num_uses", FT_INT, .help = "How often a token may be used; 0: without limit."},
    {"token_period", FT_SECONDS, .help = "Makes periodic tokens: each renewal gives this much."},
    {"token_type", FT_STRING,
     .help = "Kind of the tokens: service, batch, default-service or default-batch."},
    {"bound_cidrs", FT_STRINGS, FIELD_DEPRECATED, .help = "Use token_bound_cidrs."},
    {"explicit_max_ttl", FT_SECONDS, FIELD_DEPRECATED, .help = "Use token_explicit_max_ttl."},
    {"period", FT_SECONDS, FIELD_DEPRECATED, .help = "Use token_period."},
    {0},
};

const struct route token_role_routes[] = {
    {"roles", NULL, .ops = {[OP_LIST] = {role_list, .help = "Lists the token roles."}},
     .help = "The token roles."},
    {"roles/{role_name}", role_fields,
     .ops = {[OP_READ] = {role_read, .help = "Shows a role."},
             [OP_UPDATE] = {role_write, .help = "Makes or changes a role."},
             [OP_DELETE] = {role_delete, .help = "Deletes a role."}},
     .exists = role_exists, .help = "A token role: what tokens made against it may be."},
    {0},
};
