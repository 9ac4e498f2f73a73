/* explain: why a request of some token would be let in or kept out (docs/how-to/policy-explain.md). The
 * decision is acl_decide() and acl_judge(), which decide for real; this file finds words for it. */
#include "core/mount.h"
#include "core/policy/policy.h"
#include "core/route.h"
#include "core/sys/sys.h"
#include "core/token/token.h"

static const struct {
    const char *name;
    enum op op;
    enum capability capability;
} operations[] = {
    {"create", OP_CREATE, CAP_CREATE}, {"read", OP_READ, CAP_READ},       {"update", OP_UPDATE, CAP_UPDATE},
    {"patch", OP_PATCH, CAP_PATCH},    {"delete", OP_DELETE, CAP_DELETE}, {"list", OP_LIST, CAP_LIST},
};

struct question {
    const struct token_entry *token;
    const str *policies;
    size_t n_policies;
    const struct acl *acl;
    enum op op;
    enum capability capability;
    str path;
    unsigned route_flags;
    const struct json *data;
    int64_t wrap_ttl_ns;
};

static struct error *token_asked(struct request *rq, const struct token_entry **ret)
{
    str token = field_str(rq, "token"), accessor = field_str(rq, "accessor");

    if (token.n && accessor.n)
        return fail(rq, ERR_BAD_REQUEST, "give token or accessor, not both");
    *ret = rq->token;
    if (token.n)
        TRY(token_find_live(rq, token, ret));
    if (accessor.n)
        TRY(token_find_accessor(rq, accessor, ret));
    if (*ret)
        return NULL;
    return fail_wrapped(rq, ERR_BAD_REQUEST, "invalid %s", token.n ? "token" : "accessor");
}

static struct error *operation_asked(struct request *rq, struct question *q)
{
    str name = field_str(rq, "operation");

    for (size_t i = 0; i < COUNT_OF(operations); i++) {
        if (!str_eq(name, str_from_cstr(operations[i].name)))
            continue;
        q->op = operations[i].op;
        q->capability = operations[i].capability;
        return NULL;
    }
    return fail(
        rq, ERR_BAD_REQUEST,
        "operation must be one of create, read, update, patch, delete, list (a write is a create where "
        "nothing is there yet, else an update)");
}

/* What the route of the path asks for besides a policy. */
static unsigned flags_of(const struct request *rq, const struct question *q)
{
    struct request asked = *rq;
    const struct mount *m = mount_find(request_mounts(rq), q->path);

    if (sys_path_needs_no_token(q->op, q->path))
        return ROUTE_UNAUTH;
    if (!m || !m->engine)
        return 0;
    asked.op = q->op;
    asked.route =
        route_match(m->routes, q->path.n > m->path.n ? str_from(q->path, m->path.n) : (str){0}, asked.params);
    return request_route_flags(&asked);
}

static struct error *question_read(struct request *rq, struct question *q)
{
    str path = field_str(rq, "path");

    while (str_starts(path, STR("/")))
        path = str_from(path, 1);
    if (path.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing path");
    TRY(operation_asked(rq, q));
    TRY(token_asked(rq, &q->token));
    TRY(capabilities_acl_of(rq, q->token, &q->policies, &q->n_policies, &q->acl));
    q->path = q->op == OP_LIST && !str_ends(path, STR("/")) ? arena_join(rq->arena, path, STR("/")) : path;
    q->data = field_json(rq, "data");
    q->wrap_ttl_ns = field_ns(rq, "wrap_ttl");
    q->route_flags = flags_of(rq, q);
    return NULL;
}

/* ---- the answer ---- */

static void put_parameters(struct arena *a, struct json *o, const char *name, const struct parameter *v,
                           size_t n)
{
    struct json *names = json_array(a);

    for (size_t i = 0; i < n; i++)
        json_append(a, names, json_string(a, arena_str(a, v[i].key)));
    if (n)
        json_set(a, o, str_from_cstr(name), names);
}

static struct json *carriers(struct arena *a, const struct acl *acl, const struct acl_rule *r,
                             enum capability c)
{
    size_t n;
    const str *names = acl_rule_carriers(acl, r, c, &n);
    struct json *out = json_array(a);

    for (size_t i = 0; i < n; i++)
        json_append(a, out, json_string(a, arena_str(a, names[i])));
    return out;
}

/* The rule with who says what in it. Texts are copied: the acl may be gone when the answer is written. */
static struct json *rule_shown(struct arena *a, const struct acl *acl, const struct acl_rule *r)
{
    struct json *o = json_object(a), *by = json_object(a);
    const struct parameters *p = r->parameters;

    json_set_str(a, o, STR("path"), arena_fmt(a, "%.*s%s", PSTR(r->path), r->prefix ? "*" : ""));
    json_set(a, o, STR("capabilities"), capabilities_named(a, r->capabilities));
    for (unsigned bit = 1; bit <= CAP_PATCH; bit <<= 1)
        if (r->capabilities & bit)
            json_set(a, by, capabilities_named(a, bit)->items[0]->text, carriers(a, acl, r, bit));
    json_set(a, o, STR("policies"), by);
    if (r->min_wrapping_ttl_ns)
        json_set_int(a, o, STR("min_wrapping_ttl"), r->min_wrapping_ttl_ns / NS_PER_S);
    if (r->max_wrapping_ttl_ns)
        json_set_int(a, o, STR("max_wrapping_ttl"), r->max_wrapping_ttl_ns / NS_PER_S);
    if (!p)
        return o;
    put_parameters(a, o, "allowed_parameters", p->allowed, p->n_allowed);
    put_parameters(a, o, "denied_parameters", p->denied, p->n_denied);
    if (p->n_required)
        json_set(a, o, STR("required_parameters"), json_copy(a, json_strings(a, p->required, p->n_required)));
    return o;
}

static str reason(struct arena *a, const struct question *q, const struct acl_rule *r,
                  const struct acl_result *d, enum acl_lack lack)
{
    str name = capabilities_named(a, q->capability)->items[0]->text;

    if (d->is_root)
        return STR("the root policy allows everything");
    if (!r)
        return STR("no rule of these policies matches the path, and what no rule allows is denied");
    if (r->capabilities & CAP_DENY)
        return STR("the rule denies the path, whatever other policies say of the same path");
    switch (lack) {
    case ACL_LACKS_NOTHING: return arena_fmt(a, "the rule gives the capability \"%.*s\"", PSTR(name));
    case ACL_LACKS_CAPABILITY:
        return arena_fmt(a, "the rule does not have the capability \"%.*s\"", PSTR(name));
    case ACL_LACKS_DATA:
        return STR("the rule does not let these parameters in, or one that it requires is missing");
    case ACL_LACKS_WRAPPING:
        return STR("the rule bounds the wrapping TTL, and the one of this request is outside");
    case ACL_LACKS_SUDO:
        return STR("the path also needs the capability \"sudo\", which the rule does not have");
    }
    return (str){0};
}

/* What a rule would have to say more; a denied path lacks nothing that could be added. */
static struct json *missing(struct arena *a, const struct question *q, const struct acl_rule *r,
                            const struct acl_result *d, enum acl_lack lack)
{
    struct json *out = json_array(a);

    if (r && (r->capabilities & CAP_DENY))
        return out;
    if (lack == ACL_LACKS_CAPABILITY)
        json_append(a, out, capabilities_named(a, q->capability)->items[0]);
    if (lack != ACL_LACKS_NOTHING && (q->route_flags & ROUTE_SUDO) && !d->sudo)
        json_append(a, out, json_string(a, STR("sudo")));
    if (lack == ACL_LACKS_DATA)
        json_append(a, out, json_string(a, STR("parameters")));
    if (lack == ACL_LACKS_WRAPPING)
        json_append(a, out, json_string(a, STR("wrap_ttl")));
    return out;
}

static struct error *explain_read(struct request *rq, struct response *rs)
{
    struct arena *a = rq->arena;
    struct question q = {0};
    struct acl_result d;
    struct acl_rule rule;

    TRY(question_read(rq, &q));
    struct json *out = response_data(rq, rs);
    bool found = acl_rule_of(q.acl, q.op, q.path, &rule);

    acl_decide(q.acl, q.op, q.path, &d);
    enum acl_lack lack = acl_judge(&d, q.op, q.data, q.wrap_ttl_ns, q.route_flags & ROUTE_SUDO);
    bool open = q.route_flags & ROUTE_UNAUTH;

    json_set_str(a, out, STR("operation"), str_from_cstr(op_name(q.op)));
    json_set_str(a, out, STR("path"), q.path);
    json_set_bool(a, out, STR("allowed"), open || lack == ACL_LACKS_NOTHING);
    json_set_bool(a, out, STR("needs_sudo"), q.route_flags & ROUTE_SUDO);
    json_set(a, out, STR("policies"), json_copy(a, json_strings(a, q.policies, q.n_policies)));
    json_set(a, out, STR("rule"), found ? rule_shown(a, q.acl, &rule) : json_null(a));
    json_set_str(a, out, STR("reason"),
                 open ? STR("the path needs no token") : reason(a, &q, found ? &rule : NULL, &d, lack));
    json_set(a, out, STR("missing"), open ? json_array(a) : missing(a, &q, found ? &rule : NULL, &d, lack));
    return NULL;
}

static const struct field explain_fields[] = {
    {"token", FT_STRING, FIELD_SENSITIVE,
     .help = "The token asked about; neither it nor accessor: the caller's own."},
    {"accessor", FT_STRING, .help = "Accessor of the token asked about."},
    {"operation", FT_STRING, FIELD_REQUIRED, .help = "create, read, update, patch, delete or list."},
    {"path", FT_STRING, FIELD_REQUIRED, .help = "Path of the request, without /v1/."},
    {"data", FT_MAP, .help = "Data of the request, for rules about parameters."},
    {"wrap_ttl", FT_SECONDS, .help = "Wrapping TTL of the request, for rules about it."},
    {0}};

const struct route explain_routes[] = {
    {"coffer/explain", explain_fields, .ops = {[OP_UPDATE] = {explain_read, ROUTE_READONLY | ROUTE_SUDO}},
     .help = "which policy and which rule let a request in or keep it out",
     .about =
         "Judges a request that is not made: the operation and the path, for the token named. The answer "
         "has the rule that decides, the policies that carry it, and what is missing. It needs sudo: "
         "who may ask learns what any token may do."},
    {0},
};
