#include "core/lease/ttl.h"
#include "core/mount.h"
#include "core/policy/policy.h"
#include "core/token/token_form.h"
#include "core/token/token_private.h"

#include <stdlib.h>

const struct field token_create_fields[] = {
    {"id", FT_STRING, .help = "The token's id; root and sudo only. Without it a random one is made."},
    {"display_name", FT_STRING, .help = "Name shown in look-ups and audit, after \"token-\"."},
    {"entity_alias", FT_STRING, .help = "Name of the entity alias to use; only with a token role."},
    {"explicit_max_ttl", FT_STRING, .help = "Hard end of the token's life; it cannot be renewed past it."},
    {"lease", FT_STRING, FIELD_DEPRECATED, .help = "Use ttl."},
    {"meta", FT_KV, .help = "Names and values shown in look-ups and audit."},
    {"no_default_policy", FT_BOOL, .help = "Leave the policy \"default\" out."},
    {"no_parent", FT_BOOL, .help = "Make an orphan; root and sudo only."},
    {"num_uses", FT_INT, .help = "How often the token may be used; 0: without limit."},
    {"period", FT_STRING, .help = "Each renewal gives this much; root and sudo only."},
    {"policies", FT_LIST, .help = "Names of the token's policies; without any, those of the parent."},
    {"renewable", FT_BOOL, .help = "May the token be renewed?", .dflt = "true"},
    {"ttl", FT_STRING, .help = "How long the token lives."},
    {"type", FT_STRING, .help = "Kind of token: service."},
    {0},
};

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
    str *v;
    size_t n;
};

static int compare(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

static bool has(struct names names, str name)
{
    for (size_t i = 0; i < names.n; i++)
        if (str_eq(names.v[i], name))
            return true;
    return false;
}

/* Trimmed, lower case, sorted, each once; root stands alone. `extra` is added unless empty. */
static struct names canonical(struct arena *a, const str *v, size_t n, str extra)
{
    struct names out = {ARENA_ARRAY(a, str, n + 1), 0};

    for (size_t i = 0; i < n; i++) {
        str name = arena_lower(a, str_trim(v[i]));

        if (str_eq(name, STR("root"))) {
            out.v[0] = name;
            out.n = 1;
            return out;
        }
        if (name.n && !has(out, name))
            out.v[out.n++] = name;
    }
    if (extra.n && !has(out, extra))
        out.v[out.n++] = extra;
    if (out.n > 1)
        qsort(out.v, out.n, sizeof(str), compare);
    return out;
}

static bool is_sudo(const struct request *rq)
{
    struct acl_result r;

    if (rq->is_root || !rq->acl)
        return rq->is_root;
    acl_decide(rq->acl, rq->op, rq->path, &r);
    return r.sudo;
}

static struct error *choose_policies(struct request *rq, bool sudo, struct names *ret)
{
    const struct token_entry *parent = rq->token;
    struct names held = canonical(rq->arena, parent->policies, parent->n_policies, (str){0}), out;
    str dflt = field_bool(rq, "no_default_policy") ? (str){0} : STR("default");
    size_t n;
    const str *asked = field_strs(rq, "policies", &n);

    if (n == 0) {
        out = held; /* `default` only if the parent has it */
    } else if (sudo) {
        out = canonical(rq->arena, asked, n, dflt);
    } else {
        out = canonical(rq->arena, asked, n, (str){0});
        for (size_t i = 0; i < out.n; i++)
            if (!has(held, out.v[i]))
                return fail(rq, ERR_BAD_REQUEST, "child policies must be subset of parent");
        out = canonical(rq->arena, out.v, out.n, has(held, dflt) ? dflt : (str){0});
    }
    if (has(out, STR("root")) && !has(held, STR("root")))
        return fail(rq, ERR_BAD_REQUEST, "root tokens may not be created without parent token being root");
    if (out.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "token must have at least one policy");
    for (size_t i = 0; i < out.n; i++)
        if (str_eq(out.v[i], STR("response-wrapping")) || str_eq(out.v[i], STR("control-group")))
            return fail(rq, ERR_BAD_REQUEST, "cannot assign policy \"%.*s\"", PSTR(out.v[i]));
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

static struct error *check_type(struct request *rq, const struct names *policies)
{
    str type = field_str(rq, "type");

    if (type.n == 0 || str_eq(type, STR("service")))
        return NULL;
    if (!str_eq(type, STR("batch")))
        return fail(rq, ERR_BAD_REQUEST, "invalid 'token_type' value");
    if (has(*policies, STR("root")))
        return fail(rq, ERR_BAD_REQUEST, "batch tokens cannot be root tokens");
    return fail(rq, ERR_BAD_REQUEST, "batch tokens are not supported by this server");
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
    if (field_str(rq, "entity_alias").n)
        return fail(rq, ERR_BAD_REQUEST, "'entity_alias' is only allowed in combination with token role");
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

static struct error *decide_times(struct request *rq, struct response *rs, struct token_spec *spec)
{
    int64_t max = mount_max_ttl_ns(rq, rq->mount);
    bool root = str_eq(spec->policies[0], STR("root"));

    if (spec->explicit_max_ttl_ns > max) {
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
    return NULL;
}

static struct error *create(struct request *rq, struct response *rs, bool orphan)
{
    struct token_spec spec = {.path = rq->path, .renewable = field_bool(rq, "renewable")};
    struct names policies = {0};
    bool sudo = is_sudo(rq);

    TRY(check_caller(rq));
    spec.meta = field_json(rq, "meta");
    spec.num_uses = field_int(rq, "num_uses");
    spec.display_name = display_name(rq->arena, field_str(rq, "display_name"));
    spec.no_default_policy = field_bool(rq, "no_default_policy");
    spec.id = field_str(rq, "id");
    TRY(check_id(rq, rs, sudo, spec.id));
    TRY(choose_policies(rq, sudo, &policies));
    TRY(check_type(rq, &policies));
    spec.policies = policies.v;
    spec.n_policies = policies.n;
    if (field_bool(rq, "no_parent") && !sudo)
        return fail(rq, ERR_BAD_REQUEST, "root or sudo privileges required to create orphan token");
    if (!orphan && !field_bool(rq, "no_parent")) {
        spec.parent = rq->token->id;
        spec.entity_id = rq->token->entity_id;
    }
    TRY(read_times(rq, sudo, &spec));
    TRY(decide_times(rq, rs, &spec));
    TRY(warn_missing_policies(rq, rs, &spec));
    return token_create(rq, rs, &spec);
}

struct error *token_create_handler(struct request *rq, struct response *rs)
{
    return create(rq, rs, false);
}

struct error *token_create_orphan_handler(struct request *rq, struct response *rs)
{
    return create(rq, rs, true);
}
