#include "core/identity/identity.h"
#include "core/lease/ttl.h"
#include "core/login/policy_names.h"
#include "core/measure.h"
#include "core/mount.h"
#include "core/policy/policy.h"
#include "core/token/token_form.h"
#include "core/token/token_private.h"
#include "core/token/token_role.h"

/* clang-format off */
#define CREATE_FIELDS                                                                                       \
    {"id", FT_STRING, FIELD_SENSITIVE,                                                                       \
     .help = "The token's id; root and sudo only. Without it a random one is made."},                        \
    {"display_name", FT_STRING, .help = "Name shown in look-ups and audit, after \"token-\"."},              \
    {"entity_alias", FT_STRING, .help = "Name of the entity alias to use; only with a token role."},         \
    {"explicit_max_ttl", FT_STRING, .help = "Hard end of the token's life; it cannot be renewed past it."},  \
    {"lease", FT_STRING, FIELD_DEPRECATED, .help = "Use ttl."},                                              \
    {"meta", FT_KV, .help = "Names and values shown in look-ups and audit."},                                \
    {"no_default_policy", FT_BOOL, .help = "Leave the policy \"default\" out."},                             \
    {"no_parent", FT_BOOL, .help = "Make an orphan; root and sudo only."},                                   \
    {"num_uses", FT_INT, .help = "How often the token may be used; 0: without limit."},                      \
    {"period", FT_STRING, .help = "Each renewal gives this much; root and sudo only."},                      \
    {"policies", FT_LIST, .help = "Names of the token's policies; without any, those of the parent."},       \
    {"renewable", FT_BOOL, .help = "May the token be renewed?", .dflt = "true"},                             \
    {"ttl", FT_STRING, .help = "How long the token lives."},                                                 \
    {"type", FT_STRING, .help = "Kind of token: service or batch."},                                         \
    {0}
/* clang-format on */

const struct field token_create_fields[] = {CREATE_FIELDS};
const struct field token_create_role_fields[] = {
    {"role_name", FT_NAME, FIELD_PATH | FIELD_REQUIRED, .help = "Name of the token role."}, CREATE_FIELDS};

/* ---- names and policies ---- */

static str display_name(struct arena *a, str asked)
{
    struct buf b;

    if (asked.n == 0)
        return STR("token");
    buf_init(&b, a, asked.n + 8);
    buf_put_str(&b, STR("token-"));
    while (asked.n > 0) {
        char c = asked.p[0];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        buf_put_byte(&b, plain ? (uint8_t)c : '-');
        asked = str_from(asked, plain ? 1 : MAX(str_utf8_len(asked), 1));
    }
    if (b.n > 0 && b.p[b.n - 1] == '-')
        b.n--;
    return buf_str(&b);
}

struct names {
    const str *v;
    size_t n;
};

static bool has(struct names names, str name)
{
    return policy_names_have(names.v, names.n, name);
}

/* Trimmed, lower case, sorted, each once; root stands alone. */
static struct names canonical(struct arena *a, const str *v, size_t n, bool with_default)
{
    str *own = ARENA_ARRAY(a, str, n + 1);

    if (n)
        memcpy(own, v, n * sizeof(*own));
    return (struct names){own, policy_names_clean(a, own, n, with_default)};
}

static struct names without(struct arena *a, struct names names, str name)
{
    str *own = ARENA_ARRAY(a, str, names.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < names.n; i++)
        if (!str_eq(names.v[i], name))
            own[n++] = names.v[i];
    return (struct names){own, n};
}

static bool is_sudo(const struct request *rq)
{
    struct acl_result r;

    if (rq->is_root || !rq->acl)
        return rq->is_root;
    acl_decide(rq->acl, rq->op, rq->path, &r);
    return r.sudo;
}

/* ["a" "b"] */
static str list_text(struct arena *a, struct names names)
{
    struct buf b;

    buf_init(&b, a, SIZE_MAX);
    buf_put_byte(&b, '[');
    for (size_t i = 0; i < names.n; i++)
        buf_put_fmt(&b, "%s\"%.*s\"", i ? " " : "", PSTR(names.v[i]));
    buf_put_byte(&b, ']');
    return buf_str(&b);
}

static bool limits_policies(const struct token_role *r)
{
    return r && r->n_allowed + r->n_allowed_globs + r->n_disallowed + r->n_disallowed_globs > 0;
}

/* What a role allows goes before what the parent has. */
static struct error *choose_by_role(struct request *rq, const struct token_role *r, struct names asked,
                                    struct names held, struct names *ret)
{
    struct arena *a = rq->arena;
    bool dflt = !field_bool(rq, "no_default_policy") && !r->token.no_default_policy &&
                !policy_names_have(r->disallowed, r->n_disallowed, STR("default")) &&
                !token_globs_match(r->disallowed_globs, r->n_disallowed_globs, STR("default"));
    struct names allowed = canonical(a, r->allowed, r->n_allowed, dflt);
    struct names globs = canonical(a, r->allowed_globs, r->n_allowed_globs, false);
    bool allows = r->n_allowed + r->n_allowed_globs > 0;
    struct names out = asked.n  ? canonical(a, asked.v, asked.n, dflt)
                       : allows ? allowed
                                : canonical(a, held.v, held.n, dflt);

    for (size_t i = 0; i < out.n && asked.n && allows; i++)
        if (!has(allowed, out.v[i]) && !token_globs_match(globs.v, globs.n, out.v[i]))
            return fail(rq, ERR_BAD_REQUEST,
                        "token policies (%.*s) must be subset of the role's allowed policies (%.*s) or glob "
                        "policies (%.*s)",
                        PSTR(list_text(a, out)), PSTR(list_text(a, allowed)), PSTR(list_text(a, globs)));
    for (size_t i = 0; i < out.n; i++)
        if (policy_names_have(r->disallowed, r->n_disallowed, out.v[i]) ||
            token_globs_match(r->disallowed_globs, r->n_disallowed_globs, out.v[i]))
            return fail(rq, ERR_BAD_REQUEST, "token policy \"%.*s\" is disallowed by this role",
                        PSTR(out.v[i]));
    *ret = out;
    return NULL;
}

static struct error *choose_by_parent(struct request *rq, bool sudo, struct names asked, struct names held,
                                      struct names *ret)
{
    struct arena *a = rq->arena;
    struct names out = canonical(a, asked.v, asked.n, false);

    for (size_t i = 0; !sudo && i < out.n; i++)
        if (!has(held, out.v[i]))
            return fail(rq, ERR_BAD_REQUEST, "child policies must be subset of parent");
    *ret = canonical(a, out.v, out.n, sudo || has(held, STR("default")));
    return NULL;
}

static struct error *choose_policies(struct request *rq, bool sudo, const struct token_role *role,
                                     struct names *ret)
{
    const struct token_entry *parent = rq->token;
    struct names held = canonical(rq->arena, parent->policies, parent->n_policies, false), out = held, asked;

    asked.v = field_strs(rq, "policies", &asked.n);
    if (limits_policies(role))
        TRY(choose_by_role(rq, role, asked, held, &out));
    else if (asked.n)
        TRY(choose_by_parent(rq, sudo, asked, held, &out));
    if (field_bool(rq, "no_default_policy"))
        out = without(rq->arena, out, STR("default"));
    for (size_t i = 0; i < out.n; i++)
        if (str_eq(out.v[i], STR("response-wrapping")) || str_eq(out.v[i], STR("control-group")))
            return fail(rq, ERR_BAD_REQUEST, "cannot assign policy \"%.*s\"", PSTR(out.v[i]));
    if (has(out, STR("root")) && !has(held, STR("root")))
        return fail(rq, ERR_BAD_REQUEST, "root tokens may not be created without parent token being root");
    if (out.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "token must have at least one policy");
    *ret = out;
    return NULL;
}

static struct error *warn_missing_policies(struct request *rq, struct response *rs,
                                           const struct token_spec *spec)
{
    struct view v = txn_view(rq->txn, SPACE_POLICY);
    bool exists;

    for (size_t i = 0; i < spec->n_policies; i++) {
        if (str_eq(spec->policies[i], STR("root")))
            continue;
        TRY(view_has(&v, spec->policies[i], &exists));
        if (!exists)
            response_warn(rq, rs, "Policy \"%.*s\" does not exist", PSTR(spec->policies[i]));
    }
    return NULL;
}

/* ---- what may be asked ---- */

static struct error *duration_field(struct request *rq, const char *name, int64_t *ret_ns)
{
    TRY(duration_parse(rq->arena, field_str(rq, name), ret_ns));
    if (*ret_ns < 0)
        return fail(rq, ERR_BAD_REQUEST, "%s must be positive", name);
    return NULL;
}

static struct error *check_id(struct request *rq, struct response *rs, bool sudo, str id)
{
    if (id.n == 0)
        return NULL;
    if (!sudo)
        return fail(rq, ERR_BAD_REQUEST, "root or sudo privileges required to specify token id");
    for (const char *const *p = (const char *const[]){"hvs.", "s.", NULL}; *p; p++)
        if (str_starts(id, str_from_cstr(*p)))
            return fail(rq, ERR_BAD_REQUEST, "custom token ID cannot have the '%s' prefix", *p);
    if (str_index(id, '.') < id.n)
        return fail(rq, ERR_BAD_REQUEST, "custom token ID cannot have a '.' in the value");
    response_warn(rq, rs,
                  "Supplying a custom ID for the token uses the weaker SHA1 hashing instead of the more "
                  "secure SHA2-256 HMAC for "
                  "token obfuscation. SHA1 hashed tokens on the wire leads to less secure lookups.");
    return NULL;
}

enum { ROLE_SERVICE = 1, ROLE_BATCH = 2, ROLE_DEFAULT_BATCH = 4 };

static bool is_time_given(struct request *rq, const char *name)
{
    int64_t ns;

    return !duration_parse(rq->arena, field_str(rq, name), &ns) && ns != 0;
}

static struct error *choose_type(struct request *rq, const struct token_role *role, enum token_type *ret)
{
    str type = field_str(rq, "type");
    int of_role = role ? role->token.type : 0;

    *ret = TOKEN_SERVICE;
    if (of_role == ROLE_SERVICE || of_role == ROLE_BATCH || (type.n == 0 && of_role == ROLE_DEFAULT_BATCH))
        type = of_role == ROLE_SERVICE ? STR("service") : STR("batch");
    if (type.n == 0 || str_eq(type, STR("service")))
        return NULL;
    if (!str_eq(type, STR("batch")))
        return fail(rq, ERR_BAD_REQUEST, "invalid 'token_type' value");
    const char *bad = is_time_given(rq, "explicit_max_ttl") ? "explicit_max_ttl"
                      : field_int(rq, "num_uses") != 0      ? "num_uses"
                      : is_time_given(rq, "period")         ? "period"
                                                            : NULL;

    if (bad)
        return fail(rq, ERR_BAD_REQUEST, "batch tokens cannot have \"%s\" set", bad);
    *ret = TOKEN_BATCH;
    return NULL;
}

static struct error *check_caller(struct request *rq)
{
    if (!rq->token)
        return fail(rq, ERR_DENIED, "permission denied");
    if (rq->token->type == TOKEN_BATCH)
        return fail(rq, ERR_BAD_REQUEST, "batch tokens cannot create more tokens");
    if (rq->token->num_uses != 0)
        return fail(rq, ERR_BAD_REQUEST, "restricted use token cannot generate child tokens");
    if (field_int(rq, "num_uses") < 0)
        return fail(rq, ERR_BAD_REQUEST, "number of uses cannot be negative");
    return NULL;
}

/* The entity whose alias is asked for, made if there is none. */
static struct error *choose_entity(struct request *rq, const struct token_role *role, str *ret_id)
{
    str alias = arena_lower(rq->arena, field_str(rq, "entity_alias"));
    const struct entity *e;
    bool created;

    if (alias.n == 0)
        return NULL;
    if (!role)
        return fail(rq, ERR_BAD_REQUEST, "'entity_alias' is only allowed in combination with token role");
    if (!token_globs_match(role->entity_aliases, role->n_entity_aliases, alias))
        return fail(rq, ERR_BAD_REQUEST, "invalid 'entity_alias' value");
    struct identity_claim c = {.mount_accessor = rq->mount->accessor,
                               .mount_type = rq->mount->type,
                               .mount_path = rq->mount->path,
                               .name = alias,
                               .local = rq->mount->local};

    TRY(identity_of_login(rq, &c, &e, &created));
    if (e->disabled)
        return fail(rq, ERR_DENIED, "entity from the given entity alias is disabled");
    *ret_id = e->id;
    return NULL;
}

/* ---- times ---- */

static struct error *read_times(struct request *rq, bool sudo, struct token_spec *spec)
{
    TRY(duration_field(rq, "explicit_max_ttl", &spec->explicit_max_ttl_ns));
    TRY(duration_field(rq, "period", &spec->period_ns));
    if (spec->period_ns > 0 && !sudo)
        return fail(rq, ERR_BAD_REQUEST, "root or sudo privileges required to create periodic token");
    return duration_field(rq, field_str(rq, "ttl").n ? "ttl" : "lease", &spec->ttl_ns);
}

/* The shorter one counts; what the role alone says is not in the token's entry: it is looked up when the
 * token
 * is renewed. */
static void limit_by_role(int64_t *ns, int64_t role_ns, bool *ret_of_role)
{
    *ret_of_role = *ns == 0 && role_ns > 0;
    if (role_ns > 0 && (*ns == 0 || role_ns < *ns))
        *ns = role_ns;
}

static struct error *decide_times(struct request *rq, struct response *rs, struct token_spec *spec)
{
    int64_t max = mount_max_ttl_ns(rq, rq->mount);
    bool root = str_eq(spec->policies[0], STR("root"));

    if (spec->explicit_max_ttl_ns > max && spec->period_ns == 0) {
        response_warn(rq, rs,
                      "Explicit max TTL of %lld seconds is greater than system/mount allowed value; value is "
                      "being capped to %lld "
                      "seconds",
                      (long long)(spec->explicit_max_ttl_ns / NS_PER_S), (long long)(max / NS_PER_S));
        spec->explicit_max_ttl_ns = max;
    }
    if (spec->period_ns > 0 || spec->ttl_ns > 0 || !root) {
        struct ttl_ask ask = {.usual_ns = spec->ttl_ns,
                              .period_ns = spec->period_ns,
                              .explicit_max_ns = spec->explicit_max_ttl_ns,
                              .start_ns = clock_wall_ns(rq->clock),
                              .mount_default_ns = mount_default_ttl_ns(rq, rq->mount),
                              .mount_max_ns = max};

        TRY(ttl_decide(rq, rs, &ask, &spec->ttl_ns));
    } else {
        spec->ttl_ns = spec->explicit_max_ttl_ns;
    }
    if (spec->ttl_ns > 0)
        return NULL;
    if (rq->token->ttl_ns != 0)
        return fail(rq, ERR_BAD_REQUEST, "expiring root tokens cannot create non-expiring root tokens");
    spec->renewable = false;
    spec->n_bound_cidrs = 0;
    return NULL;
}

/* ---- creation ---- */

static void apply_role(struct request *rq, const struct token_role *r, struct token_spec *spec)
{
    int64_t uses = r->token.num_uses;

    spec->role = r->name;
    spec->renewable = spec->renewable && r->renewable;
    if (uses > 0 && spec->type != TOKEN_BATCH && (spec->num_uses == 0 || uses < spec->num_uses))
        spec->num_uses = uses;
    if (r->path_suffix.n)
        spec->path = arena_fmt(rq->arena, "%.*s/%.*s", PSTR(spec->path), PSTR(r->path_suffix));
    spec->bound_cidrs = r->token.bound_cidrs;
    spec->n_bound_cidrs = r->token.n_bound_cidrs;
    if (spec->type != TOKEN_BATCH) {
        limit_by_role(&spec->explicit_max_ttl_ns, r->token.explicit_max_ttl_ns, &spec->explicit_max_of_role);
        limit_by_role(&spec->period_ns, r->token.period_ns, &spec->period_of_role);
    }
}

/* Whose child it is, and what it has from its parent. */
static struct error *choose_parent(struct request *rq, bool sudo, bool orphan, const struct token_role *role,
                                   struct token_spec *spec)
{
    bool no_parent = field_bool(rq, "no_parent");

    if (!role && no_parent && !sudo)
        return fail(rq, ERR_BAD_REQUEST, "root or sudo privileges required to create orphan token");
    if (role ? role->orphan : orphan || no_parent)
        return NULL;
    spec->parent = rq->token->id;
    if (spec->entity_id.n == 0)
        spec->entity_id = rq->token->entity_id;
    if (!role) {
        spec->bound_cidrs = rq->token->bound_cidrs;
        spec->n_bound_cidrs = rq->token->n_bound_cidrs;
    }
    return NULL;
}

static struct error *create(struct request *rq, struct response *rs, bool orphan,
                            const struct token_role *role)
{
    struct token_spec spec = {.path = rq->path, .renewable = field_bool(rq, "renewable")};
    struct names policies = {0};
    bool sudo = is_sudo(rq);

    TRY(check_caller(rq));
    TRY(choose_type(rq, role, &spec.type));
    spec.meta = field_json(rq, "meta");
    spec.num_uses = field_int(rq, "num_uses");
    spec.display_name = display_name(rq->arena, field_str(rq, "display_name"));
    spec.no_default_policy = field_bool(rq, "no_default_policy");
    spec.id = field_str(rq, "id");
    spec.renewable = spec.renewable && spec.type != TOKEN_BATCH;
    TRY(check_id(rq, rs, sudo, spec.id));
    TRY(choose_policies(rq, sudo, role, &policies));
    spec.policies = policies.v;
    spec.n_policies = policies.n;
    TRY(choose_entity(rq, role, &spec.entity_id));
    TRY(choose_parent(rq, sudo, orphan, role, &spec));
    TRY(read_times(rq, sudo, &spec));
    if (role)
        apply_role(rq, role, &spec);
    TRY(decide_times(rq, rs, &spec));
    TRY(warn_missing_policies(rq, rs, &spec));
    TRY(token_create(rq, rs, &spec));
    measure_token_creation(rq, spec.type, spec.ttl_ns);
    if (has(policies, STR("root")))
        txn_count(rq->txn, METRIC_TOKEN_CREATE_ROOT);
    return NULL;
}

struct error *token_create_handler(struct request *rq, struct response *rs)
{
    return create(rq, rs, false, NULL);
}

struct error *token_create_orphan_handler(struct request *rq, struct response *rs)
{
    return create(rq, rs, true, NULL);
}

struct error *token_create_role_handler(struct request *rq, struct response *rs)
{
    str name = field_str(rq, "role_name");
    struct token_role *role;

    TRY(token_role_load(rq, name, &role));
    if (!role)
        return fail(rq, ERR_BAD_REQUEST, "unknown role %.*s", PSTR(name));
    return create(rq, rs, false, role);
}
