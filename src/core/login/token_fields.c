/* token_fields: the token fields of users and roles: parsed, stored, shown. Source:
 * docs/formats/userpass.md. */
#include "base/ip_range.h"
#include "core/engine.h"
#include "core/lease/member.h"

static const char *const types[] = {"default", "service", "batch", "default-service", "default-batch"};

struct error *token_cidrs_parse(struct request *rq, const str *v, size_t n, const str **ret)
{
    str *out = ARENA_ARRAY(rq->arena, str, n + 1);
    struct ip_range range;

    for (size_t i = 0; i < n; i++) {
        /* what has a '/' is taken for the path of a socket at worst: no address is in it */
        if (!ip_range_parse(v[i], &range) && str_index(v[i], '/') == v[i].n)
            return fail(
                rq, ERR_BAD_REQUEST,
                "error parsing address \"%.*s\": Unable to convert \"%.*s\" to an IPv4 or IPv6 address, "
                "or a UNIX Socket",
                PSTR(v[i]), PSTR(v[i]));
        out[i] = v[i];
        for (const char *const *whole = (const char *const[]){"/32", "/128", NULL}; *whole; whole++)
            if (str_ends(v[i], str_from_cstr(*whole)) &&
                (str_index(v[i], ':') < v[i].n) == (strlen(*whole) == 4))
                out[i].n -= strlen(*whole);
    }
    *ret = out;
    return NULL;
}

bool token_cidrs_allow(const struct request *rq, const struct token_fields *f)
{
    for (size_t i = 0; i < f->n_bound_cidrs; i++)
        if (ip_text_is_in(f->bound_cidrs[i], rq->peer.remote_address))
            return true;
    return f->n_bound_cidrs == 0;
}

static struct error *parse_type(struct request *rq, struct token_fields *f)
{
    str text = field_str(rq, "token_type");

    if (!field_given(rq, "token_type"))
        return NULL;
    if (text.n == 0)
        text = STR("default");
    for (int i = 0; i <= 2; i++)
        if (str_eq(text, str_from_cstr(types[i]))) {
            f->type = i;
            return NULL;
        }
    return fail(rq, ERR_BAD_REQUEST, "invalid 'token_type' value \"%.*s\"", PSTR(text));
}

static struct error *check(struct request *rq, const struct token_fields *f)
{
    bool batch = f->type == 2 || f->type == 4;

    if (batch && f->period_ns != 0)
        return fail(rq, ERR_BAD_REQUEST,
                    "'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic tokens");
    if (batch && f->num_uses != 0)
        return fail(
            rq, ERR_BAD_REQUEST,
            "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with limited "
            "use count");
    if (f->ttl_ns > 0 && f->max_ttl_ns > 0 && f->ttl_ns > f->max_ttl_ns)
        return fail(rq, ERR_BAD_REQUEST, "'token_ttl' cannot be greater than 'token_max_ttl'");
    if (f->num_uses < 0)
        return fail(rq, ERR_BAD_REQUEST, "'token_num_uses' cannot be negative");
    return NULL;
}

static void take_ns(const struct request *rq, const char *name, int64_t *ns)
{
    if (field_given(rq, name))
        *ns = field_ns(rq, name);
}

struct error *token_fields_parse(struct request *rq, struct token_fields *f)
{
    const str *v;
    size_t n;

    if (field_given(rq, "token_bound_cidrs")) {
        v = field_strs(rq, "token_bound_cidrs", &n);
        TRY(token_cidrs_parse(rq, v, n, &f->bound_cidrs));
        f->n_bound_cidrs = n;
    }
    take_ns(rq, "token_explicit_max_ttl", &f->explicit_max_ttl_ns);
    take_ns(rq, "token_max_ttl", &f->max_ttl_ns);
    take_ns(rq, "token_period", &f->period_ns);
    take_ns(rq, "token_ttl", &f->ttl_ns);
    if (field_given(rq, "token_no_default_policy"))
        f->no_default_policy = field_bool(rq, "token_no_default_policy");
    if (field_given(rq, "token_policies"))
        f->policies = field_strs(rq, "token_policies", &f->n_policies);
    if (field_given(rq, "token_num_uses"))
        f->num_uses = field_int(rq, "token_num_uses");
    TRY(parse_type(rq, f));
    return check(rq, f);
}

void token_fields_load(struct arena *a, const struct json *stored, struct token_fields *ret)
{
    *ret = (struct token_fields){
        .ttl_ns = member_int(stored, "token_ttl"),
        .max_ttl_ns = member_int(stored, "token_max_ttl"),
        .explicit_max_ttl_ns = member_int(stored, "token_explicit_max_ttl"),
        .period_ns = member_int(stored, "token_period"),
        .num_uses = member_int(stored, "token_num_uses"),
        .type = (int)member_int(stored, "token_type"),
        .no_default_policy = member_bool(stored, "token_no_default_policy"),
    };
    ret->policies = member_strs(a, stored, "token_policies", &ret->n_policies);
    ret->bound_cidrs = member_strs(a, stored, "token_bound_cidrs", &ret->n_bound_cidrs);
    if (ret->type < 0 || ret->type >= (int)COUNT_OF(types))
        ret->type = 0;
}

static struct json *strings_or_null(struct arena *a, const str *v, size_t n)
{
    return n ? json_strings(a, v, n) : json_null(a);
}

void token_fields_save(struct arena *a, struct json *stored, const struct token_fields *f)
{
    json_set(a, stored, STR("token_bound_cidrs"), strings_or_null(a, f->bound_cidrs, f->n_bound_cidrs));
    json_set_int(a, stored, STR("token_explicit_max_ttl"), f->explicit_max_ttl_ns);
    json_set_int(a, stored, STR("token_max_ttl"), f->max_ttl_ns);
    json_set_bool(a, stored, STR("token_no_default_policy"), f->no_default_policy);
    json_set_int(a, stored, STR("token_num_uses"), f->num_uses);
    json_set_int(a, stored, STR("token_period"), f->period_ns);
    json_set(a, stored, STR("token_policies"), strings_or_null(a, f->policies, f->n_policies));
    json_set_int(a, stored, STR("token_ttl"), f->ttl_ns);
    json_set_int(a, stored, STR("token_type"), f->type);
}

void token_fields_show(struct arena *a, struct json *data, const struct token_fields *f)
{
    json_set(a, data, STR("token_bound_cidrs"), json_strings(a, f->bound_cidrs, f->n_bound_cidrs));
    json_set_int(a, data, STR("token_explicit_max_ttl"), f->explicit_max_ttl_ns / NS_PER_S);
    json_set_int(a, data, STR("token_max_ttl"), f->max_ttl_ns / NS_PER_S);
    json_set_bool(a, data, STR("token_no_default_policy"), f->no_default_policy);
    json_set_int(a, data, STR("token_num_uses"), f->num_uses);
    json_set_int(a, data, STR("token_period"), f->period_ns / NS_PER_S);
    json_set(a, data, STR("token_policies"), json_strings(a, f->policies, f->n_policies));
    json_set_int(a, data, STR("token_ttl"), f->ttl_ns / NS_PER_S);
    json_set_str(a, data, STR("token_type"), str_from_cstr(types[f->type]));
}
