/* policy_store: the policies of a server: stored entries, the built-in ones, and the routes below sys/policy
 * and sys/policies. */
#include "base/encode.h"
#include "core/policy/policy.h"

/* What every token may do unless it is made without: look at itself and its leases, use its cubbyhole and
 * wrapping. */
static const char default_text[] =
    "\n# What a token may do with itself\n"
    "path \"auth/token/lookup-self\" {\n    capabilities = [\"read\"]\n}\n"
    "path \"auth/token/renew-self\" {\n    capabilities = [\"update\"]\n}\n"
    "path \"auth/token/revoke-self\" {\n    capabilities = [\"update\"]\n}\n"
    "path \"sys/capabilities-self\" {\n    capabilities = [\"update\"]\n}\n"
    "\n# The entity it belongs to\n"
    "path \"identity/entity/id/{{identity.entity.id}}\" {\n    capabilities = [\"read\"]\n}\n"
    "path \"identity/entity/name/{{identity.entity.name}}\" {\n    capabilities = [\"read\"]\n}\n"
    "\n# All that its policies give together; for user interfaces\n"
    "path \"sys/internal/ui/resultant-acl\" {\n    capabilities = [\"read\"]\n}\n"
    "\n# Leases, for whoever knows their id\n"
    "path \"sys/renew\" {\n    capabilities = [\"update\"]\n}\n"
    "path \"sys/leases/renew\" {\n    capabilities = [\"update\"]\n}\n"
    "path \"sys/leases/lookup\" {\n    capabilities = [\"update\"]\n}\n"
    "\n# Its own cubbyhole\n"
    "path \"cubbyhole/*\" {\n    capabilities = [\"create\", \"read\", \"update\", \"delete\", \"list\"]\n}\n"
    "\n# Response wrapping\n"
    "path \"sys/wrapping/wrap\" {\n    capabilities = [\"update\"]\n}\n"
    "path \"sys/wrapping/lookup\" {\n    capabilities = [\"update\"]\n}\n"
    "path \"sys/wrapping/unwrap\" {\n    capabilities = [\"update\"]\n}\n"
    "\n# Tools\n"
    "path \"sys/tools/hash\" {\n    capabilities = [\"update\"]\n}\n"
    "path \"sys/tools/hash/*\" {\n    capabilities = [\"update\"]\n}\n"
    "\n# State of a control group request, for whoever has its accessor\n"
    "path \"sys/control-group/request\" {\n    capabilities = [\"update\"]\n}\n"
    "\n# Logging in through an OIDC provider\n"
    "path \"identity/oidc/provider/+/authorize\" {\n    capabilities = [\"read\", \"update\"]\n}\n";

/* What a token of a wrapped answer may do, and one of a control group. */
static const char wrapping_text[] =
    "path \"cubbyhole/response\" {\n    capabilities = [\"create\", \"read\"]\n}\n"
    "path \"sys/wrapping/unwrap\" {\n    capabilities = [\"update\"]\n}\n";
static const char control_text[] =
    "path \"cubbyhole/control-group\" {\n    capabilities = [\"create\", \"read\", \"update\"]\n}\n"
    "path \"sys/wrapping/unwrap\" {\n    capabilities = [\"update\"]\n}\n";

static const struct {
    const char *name, *text;
    bool fixed; /* set back at opening, can't be written or deleted, not listed */
} built_in[] = {{"default", default_text, false},
                {"response-wrapping", wrapping_text, true},
                {"control-group", control_text, true}};

static bool is_hidden(str name)
{
    for (size_t i = 0; i < COUNT_OF(built_in); i++)
        if (built_in[i].fixed && str_eq(name, str_from_cstr(built_in[i].name)))
            return true;
    return false;
}

static bool is_fixed(str name)
{
    return str_eq(name, STR("root")) || is_hidden(name);
}

/* ---- stored entries ---- */

bool policy_is_no_name(str name)
{
    return str_ends(name, STR("/"));
}

static struct error *load_raw(struct view *v, str name, str *ret_text, bool *ret_found)
{
    int64_t begun_ns = clock_mono_ns(clock_real());
    struct json *stored;

    *ret_text = (str){0};
    *ret_found = false;
    if (policy_is_no_name(name))
        return NULL;
    TRY(view_get_json(v, name, &stored));
    txn_time(v->txn, METRIC_POLICY_GET, begun_ns);
    *ret_found = stored != NULL;
    *ret_text = json_get_str(stored, STR("Raw"));
    return NULL;
}

struct error *policy_load(struct view *policies, struct arena *a, str name, struct policy **ret)
{
    bool found;
    str text;

    *ret = NULL;
    if (name.n == 0 || str_eq(name, STR("root")))
        return NULL;
    TRY(load_raw(policies, name, &text, &found));
    if (!found)
        return NULL;
    struct error *e = policy_parse(a, name, text, ret);

    return e ? error_new(a, ERR_INTERNAL, "policy \"%.*s\": %.*s", PSTR(name), PSTR(e->text)) : NULL;
}

static struct error *save(struct view *v, struct arena *a, str name, str text, bool templated)
{
    int64_t begun_ns = clock_mono_ns(clock_real());
    struct json *entry;

    TRY(view_get_json(v, name, &entry)); /* may have members that are not known here */
    if (!entry || entry->type != JSON_OBJECT)
        entry = json_object_ordered(a);
    json_set_int(a, entry, STR("Version"), 2);
    json_set_str(a, entry, STR("Raw"), text);
    json_set_bool(a, entry, STR("Templated"), templated);
    json_set_int(a, entry, STR("Type"), 0);
    TRY(view_put_json(v, name, entry));
    txn_time(v->txn, METRIC_POLICY_SET, begun_ns);
    return NULL;
}

/* Says the stored text the same as ours? The words may be another program's. */
static bool means_the_same(struct arena *a, str stored, const struct policy *ours)
{
    struct policy *p;

    if (policy_parse(a, ours->name, stored, &p) || p->n != ours->n)
        return false;
    for (size_t i = 0; i < p->n; i++)
        if (!str_eq(p->rules[i].path, ours->rules[i].path) || p->rules[i].prefix != ours->rules[i].prefix ||
            p->rules[i].capabilities != ours->rules[i].capabilities)
            return false;
    return true;
}

struct error *policy_open(struct txn *t, struct arena *a)
{
    struct view v = txn_view(t, SPACE_POLICY);

    for (size_t i = 0; i < COUNT_OF(built_in); i++) {
        str name = str_from_cstr(built_in[i].name), text = str_from_cstr(built_in[i].text), stored;
        struct policy *p;
        bool found;

        TRY(load_raw(&v, name, &stored, &found));
        TRY(policy_parse(a, name, text, &p));
        if (!found || (built_in[i].fixed && !means_the_same(a, stored, p)))
            TRY(save(&v, a, name, text, p->templated));
    }
    return NULL;
}

/* ---- routes ---- */

static struct error *acl_list(struct request *rq, struct response *rs)
{
    int64_t begun_ns = clock_mono_ns(clock_real());
    struct view v = txn_view(rq->txn, SPACE_POLICY);
    size_t n, kept = 0;
    str *names;

    TRY(view_list_all(&v, (str){0}, &names, &n));
    txn_time(rq->txn, METRIC_POLICY_LIST, begun_ns);
    for (size_t i = 0; i < n; i++)
        if (!is_hidden(names[i]))
            names[kept++] = names[i];
    names[kept++] = STR("root");
    return response_list(rq, rs, names, kept);
}

static struct error *old_list(struct request *rq, struct response *rs)
{
    TRY(acl_list(rq, rs));
    json_set(rq->arena, rs->data, STR("policies"), json_get(rs->data, STR("keys")));
    return NULL;
}

static struct error *read_as(struct request *rq, struct response *rs, str text_name)
{
    struct view v = txn_view(rq->txn, SPACE_POLICY);
    str name = arena_lower(rq->arena, field_str(rq, "name")), text = {0};
    bool found = str_eq(name, STR("root"));

    if (!found)
        TRY(load_raw(&v, name, &text, &found));
    if (!found)
        return fail_absent(rq);
    json_set_str(rq->arena, response_data(rq, rs), STR("name"), name);
    json_set_str(rq->arena, rs->data, text_name, text);
    return NULL;
}

static struct error *acl_read(struct request *rq, struct response *rs)
{
    return read_as(rq, rs, STR("policy"));
}

static struct error *old_read(struct request *rq, struct response *rs)
{
    return read_as(rq, rs, STR("rules"));
}

static struct error *write_text(struct request *rq, struct response *rs, str text)
{
    struct view v = txn_view(rq->txn, SPACE_POLICY);
    str sent = field_str(rq, "name"), name = arena_lower(rq->arena, sent);
    struct policy *p;
    bytes decoded;

    if (name.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "policy name must be provided in the URL");
    if (text.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "'policy' parameter not supplied or empty");
    if (!str_eq(sent, name))
        response_warn(rq, rs, "policy name was converted to %.*s", PSTR(name));
    if (base64_decode(rq->arena, text, &decoded))
        text = str_from_bytes(decoded);
    TRY(policy_parse(rq->arena, name, text, &p));
    if (is_fixed(name))
        return fail(rq, ERR_BAD_REQUEST, "cannot update \"%.*s\" policy", PSTR(name));
    TRY(txn_exclusive(rq->txn)); /* compiled sets are kept in memory */
    return save(&v, rq->arena, name, text, p->templated);
}

static struct error *acl_write(struct request *rq, struct response *rs)
{
    return write_text(rq, rs, field_str(rq, "policy"));
}

static struct error *old_write(struct request *rq, struct response *rs)
{
    str text = field_str(rq, "policy");

    if (text.n)
        return write_text(rq, rs, text);
    if (field_given(rq, "rules"))
        response_warn(rq, rs, "'rules' is deprecated, please use 'policy' instead");
    return write_text(rq, rs, field_str(rq, "rules"));
}

static struct error *policy_delete(struct request *rq, struct response *rs)
{
    int64_t begun_ns = clock_mono_ns(clock_real());
    struct view v = txn_view(rq->txn, SPACE_POLICY);
    str name = arena_lower(rq->arena, field_str(rq, "name"));

    (void)rs;
    if (policy_is_no_name(name))
        return NULL;
    if (is_fixed(name))
        return fail(rq, ERR_BAD_REQUEST, "cannot delete \"%.*s\" policy", PSTR(name));
    if (str_eq(name, STR("default")))
        return fail(rq, ERR_BAD_REQUEST, "cannot delete default policy");
    TRY(txn_exclusive(rq->txn));
    TRY(view_delete(&v, name));
    txn_time(rq->txn, METRIC_POLICY_DELETE, begun_ns);
    return NULL;
}

static struct error *enterprise_only(struct request *rq, struct response *rs)
{
    (void)rs;
    return fail(rq, ERR_NOT_FOUND, "enterprise-only feature");
}

static const struct field acl_fields[] = {
    {"name", FT_STRING, FIELD_PATH, "Name of the policy."},
    {"policy", FT_STRING, 0, "Text of the policy, as it is or in base64."},
    {0},
};
static const struct field old_fields[] = {
    {"name", FT_STRING, FIELD_PATH, "Name of the policy."},
    {"rules", FT_STRING, FIELD_DEPRECATED, "Text of the policy; `policy` is its name now."},
    {"policy", FT_STRING, 0, "Text of the policy, as it is or in base64."},
    {0},
};
static const struct field other_fields[] = {
    {"name", FT_STRING, FIELD_PATH, "Name of the policy."},
    {0},
};

/* clang-format off */
const struct route policy_routes[] = {
    {"policy", .ops = {[OP_READ] = {old_list}, [OP_LIST] = {old_list}}, .flags = ROUTE_TOP_LEVEL,
     .help = "Names of the policies."},
    {"policy/{name...}", old_fields, .flags = ROUTE_TOP_LEVEL,
     .ops = {[OP_READ] = {old_read}, [OP_UPDATE] = {old_write}, [OP_DELETE] = {policy_delete}},
     .help = "Read, write or delete a policy.",
     .about = "The older form of sys/policies/acl/NAME: reads call the text `rules`."},
    {"policies/acl", .ops = {[OP_READ] = {acl_list}, [OP_LIST] = {acl_list}},
     .help = "Names of the policies."},
    {"policies/acl/{name...}", acl_fields,
     .ops = {[OP_READ] = {acl_read}, [OP_UPDATE] = {acl_write}, [OP_DELETE] = {policy_delete}},
     .help = "Read, write or delete a policy.",
     .about = "A policy says what the tokens that carry it may do, path by path. Names are kept in lower case."},
    {"policies/rgp", .ops = {[OP_READ] = {enterprise_only}, [OP_LIST] = {enterprise_only}},
     .flags = ROUTE_HIDDEN, .help = "Not in this edition."},
    {"policies/rgp/{name...}", other_fields, .flags = ROUTE_HIDDEN, .help = "Not in this edition.",
     .ops = {[OP_READ] = {enterprise_only}, [OP_UPDATE] = {enterprise_only},
             [OP_DELETE] = {enterprise_only}}},
    {"policies/egp", .ops = {[OP_READ] = {enterprise_only}, [OP_LIST] = {enterprise_only}},
     .flags = ROUTE_HIDDEN, .help = "Not in this edition."},
    {"policies/egp/{name...}", other_fields, .flags = ROUTE_HIDDEN, .help = "Not in this edition.",
     .ops = {[OP_READ] = {enterprise_only}, [OP_UPDATE] = {enterprise_only},
             [OP_DELETE] = {enterprise_only}}},
    {0},
};
/* clang-format on */
