/* capabilities: what a token may do at a path: sys/capabilities, -self, -accessor, internal/ui/resultant-acl.
 * */
#include "core/identity/identity.h"
#include "core/login/policy_names.h"
#include "core/policy/policy.h"
#include "core/sys/sys.h"
#include "core/token/token.h"

/* In the order of their names. */
static const struct {
    unsigned bit;
    const char *name;
} capabilities[] = {
    {CAP_CREATE, "create"}, {CAP_DELETE, "delete"}, {CAP_LIST, "list"},     {CAP_PATCH, "patch"},
    {CAP_READ, "read"},     {CAP_SUDO, "sudo"},     {CAP_UPDATE, "update"},
};

struct json *capabilities_named(struct arena *a, unsigned bits)
{
    struct json *v = json_array(a);

    for (size_t i = 0; i < COUNT_OF(capabilities) && !(bits & CAP_DENY); i++)
        if (bits & capabilities[i].bit)
            json_append(a, v, json_string(a, str_from_cstr(capabilities[i].name)));
    if (v->n == 0)
        json_append(a, v, json_string(a, STR("deny")));
    return v;
}

static struct error *answer(struct request *rq, struct response *rs, const struct acl *acl)
{
    struct json *d = response_data(rq, rs);
    struct acl_result r;
    size_t n;
    const str *paths = field_strs(rq, "paths", &n);

    if (n == 0)
        paths = field_strs(rq, "path", &n);
    if (n == 0)
        return fail(rq, ERR_BAD_REQUEST, "paths must be supplied");
    for (size_t i = 0; i < n; i++) {
        acl_decide(acl, OP_LIST, paths[i], &r); /* a list also finds what is given without its slash */
        struct json *v = capabilities_named(rq->arena, r.capabilities);

        if (r.is_root)
            v = json_strings(rq->arena, &(const str){"root", 4}, 1);
        json_add(rq->arena, d, paths[i], v);
        if (n == 1)
            json_add(rq->arena, d, STR("capabilities"), v);
    }
    json_unique(rq->arena, d);
    return NULL;
}

static struct error *self_read(struct request *rq, struct response *rs)
{
    return answer(rq, rs, rq->acl);
}

struct error *capabilities_acl_of(struct request *rq, const struct token_entry *te, const str **ret_policies,
                                  size_t *ret_n, const struct acl **ret)
{
    const struct entity *e = NULL;
    const str *more;
    size_t n_more;

    *ret_policies = te->policies;
    *ret_n = te->n_policies;
    if (te->entity_id.n) {
        TRY(identity_entity_for(rq, te->entity_id, &e));
        if (!e || e->disabled)
            return fail_wrapped(rq, ERR_BAD_REQUEST, "invalid token");
    }
    if (e && !te->no_identity_policies) {
        TRY(identity_policies_for(rq, e, &more, &n_more));
        *ret_n = policy_names_join(rq->arena, te->policies, te->n_policies, more, n_more, ret_policies);
    }
    return acl_for_entity(rq, *ret_policies, *ret_n, e, ret);
}

static struct error *acl_of(struct request *rq, const struct token_entry *te, const struct acl **ret)
{
    const str *policies;
    size_t n;

    return capabilities_acl_of(rq, te, &policies, &n, ret);
}

static struct error *token_read(struct request *rq, struct response *rs)
{
    const struct token_entry *te;
    const struct acl *acl;

    if (field_str(rq, "token").n == 0)
        return fail_wrapped(rq, ERR_INTERNAL, "no token found");
    TRY(token_find_live(rq, field_str(rq, "token"), &te));
    if (!te)
        return fail_wrapped(rq, ERR_BAD_REQUEST, "invalid token");
    TRY(acl_of(rq, te, &acl));
    return answer(rq, rs, acl);
}

static struct error *accessor_read(struct request *rq, struct response *rs)
{
    const struct token_entry *te;
    const struct acl *acl;

    if (field_str(rq, "accessor").n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing accessor");
    TRY(token_find_accessor(rq, field_str(rq, "accessor"), &te));
    if (!te)
        return fail_wrapped(rq, ERR_BAD_REQUEST, "invalid accessor");
    TRY(acl_of(rq, te, &acl));
    return answer(rq, rs, acl);
}

/* Rules with '+' are left out, as the page that asks expects it. */
static struct error *resultant_read(struct request *rq, struct response *rs)
{
    struct arena *a = rq->arena;
    struct json *d = response_data(rq, rs), *exact = json_object(a), *globs = json_object(a);
    struct acl_rule r;

    json_set_bool(a, d, STR("root"), rq->is_root);
    if (rq->is_root)
        return NULL;
    for (uint32_t i = 0; acl_rule_at(rq->acl, i, &r); i++) {
        struct json *v = json_object(a);

        json_set(a, v, STR("capabilities"), capabilities_named(a, r.capabilities));
        if (r.min_wrapping_ttl_ns > 0)
            json_set_int(a, v, STR("min_wrapping_ttl"), r.min_wrapping_ttl_ns / NS_PER_S);
        if (r.max_wrapping_ttl_ns > 0)
            json_set_int(a, v, STR("max_wrapping_ttl"), r.max_wrapping_ttl_ns / NS_PER_S);
        json_set(a, r.prefix ? globs : exact, r.path, v);
    }
    json_set(a, d, STR("exact_paths"), exact);
    json_set(a, d, STR("glob_paths"), globs);
    return NULL;
}

#define PATH_FIELDS                                                                                          \
    {"path", FT_STRINGS, FIELD_DEPRECATED, .help = "Use paths."},                                            \
    {                                                                                                        \
        "paths", FT_STRINGS, .help = "The paths that are asked about."                                       \
    }

static const struct field self_fields[] = {
    {"token", FT_STRING, FIELD_SENSITIVE, .help = "Not looked at: it is the caller's own."},
    PATH_FIELDS,
    {0}};
static const struct field token_fields[] = {
    {"token", FT_STRING, FIELD_SENSITIVE, .help = "The token that is asked about."}, PATH_FIELDS, {0}};
static const struct field accessor_fields[] = {
    {"accessor", FT_STRING, .help = "Accessor of the token that is asked about."}, PATH_FIELDS, {0}};

const struct route sys_capability_routes[] = {
    {"capabilities", token_fields, .ops = {[OP_UPDATE] = {token_read, ROUTE_READONLY}},
     .flags = ROUTE_TOP_LEVEL, .help = "what a token may do at some paths"},
    {"capabilities-self", self_fields, .ops = {[OP_UPDATE] = {self_read, ROUTE_READONLY}},
     .flags = ROUTE_TOP_LEVEL, .help = "what the calling token may do at some paths"},
    {"capabilities-accessor", accessor_fields, .ops = {[OP_UPDATE] = {accessor_read, ROUTE_READONLY}},
     .flags = ROUTE_TOP_LEVEL, .help = "what the token of an accessor may do at some paths"},
    {"internal/ui/resultant-acl", NULL, .ops = {[OP_READ] = {resultant_read}},
     .help = "all rules that the calling token has"},
    {0},
};
