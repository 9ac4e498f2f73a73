#include "auth/userpass/userpass_private.h"
#include "base/encode.h"

static str user_path(struct request *rq, str name)
{
    return arena_join(rq->arena, STR("user/"), name);
}

str user_name(const struct request *rq)
{
    return arena_lower(rq->arena, field_str(rq, "username"));
}

struct user *user_new(struct request *rq)
{
    struct user *u = ARENA_NEW(rq->arena, struct user);

    u->stored = json_object(rq->arena);
    return u;
}

static str text_of(const struct json *stored, const char *name)
{
    const struct json *v = json_get_nocase(stored, str_from_cstr(name));

    return v && v->type == JSON_STRING ? v->text : (str){0};
}

static int64_t ns_of(const struct json *stored, const char *name)
{
    const struct json *v = json_get_nocase(stored, str_from_cstr(name));
    int64_t ns = 0;

    return v && v->type == JSON_NUMBER && str_parse_i64(v->text, &ns) ? ns : 0;
}

/* BoundCIDRs are kept as objects by some versions, which say no more than token_bound_cidrs does. */
static const str *texts_of(struct request *rq, const struct json *stored, const char *name, size_t *ret_n)
{
    const struct json *v = json_get_nocase(stored, str_from_cstr(name));
    size_t n = v && v->type == JSON_ARRAY ? v->n : 0;
    str *texts = ARENA_ARRAY(rq->arena, str, n + 1);

    *ret_n = 0;
    for (size_t i = 0; i < n; i++)
        if (v->items[i]->type == JSON_STRING)
            texts[(*ret_n)++] = v->items[i]->text;
    return texts;
}

/* A user that was last written before the token fields had their names. */
static void upgrade(struct user *u)
{
    struct token_fields *f = &u->token;

    if (f->n_policies == 0) {
        f->policies = u->old_policies;
        f->n_policies = u->n_old_policies;
    }
    if (f->n_bound_cidrs == 0) {
        f->bound_cidrs = u->old_cidrs;
        f->n_bound_cidrs = u->n_old_cidrs;
    }
    if (f->ttl_ns == 0)
        f->ttl_ns = u->old_ttl_ns;
    if (f->max_ttl_ns == 0)
        f->max_ttl_ns = u->old_max_ttl_ns;
}

struct error *user_load(struct request *rq, str name, struct user **ret)
{
    struct user *u = user_new(rq);
    bytes hash = {0};

    *ret = NULL;
    TRY(view_get_json(rq->view, user_path(rq, name), &u->stored));
    if (!u->stored)
        return NULL;
    if (u->stored->type != JSON_OBJECT ||
        !base64_decode(rq->arena, text_of(u->stored, "PasswordHash"), &hash))
        return fail(rq, ERR_INTERNAL, "the stored user %.*s is damaged", PSTR(name));
    u->password_hash = str_from_bytes(hash);
    u->password = text_of(u->stored, "Password");
    u->old_policies = texts_of(rq, u->stored, "Policies", &u->n_old_policies);
    u->old_cidrs = texts_of(rq, u->stored, "BoundCIDRs", &u->n_old_cidrs);
    u->old_ttl_ns = ns_of(u->stored, "TTL");
    u->old_max_ttl_ns = ns_of(u->stored, "MaxTTL");
    token_fields_load(rq->arena, u->stored, &u->token);
    upgrade(u);
    *ret = u;
    return NULL;
}

static struct json *strings_or_null(struct arena *a, const str *v, size_t n)
{
    return n ? json_strings(a, v, n) : json_null(a);
}

struct error *user_save(struct request *rq, str name, struct user *u)
{
    struct arena *a = rq->arena;

    json_set_str(a, u->stored, STR("Password"), u->password);
    json_set_str(a, u->stored, STR("PasswordHash"), base64_encode(a, bytes_from_str(u->password_hash)));
    json_set(a, u->stored, STR("Policies"), strings_or_null(a, u->old_policies, u->n_old_policies));
    json_set(a, u->stored, STR("BoundCIDRs"), strings_or_null(a, u->old_cidrs, u->n_old_cidrs));
    json_set_int(a, u->stored, STR("TTL"), u->old_ttl_ns);
    json_set_int(a, u->stored, STR("MaxTTL"), u->old_max_ttl_ns);
    token_fields_save(a, u->stored, &u->token);
    return view_put_json(rq->view, user_path(rq, name), u->stored);
}

/* An old name counts when the new one is not given; given at all, it is shown from then on. Only the new
 * one: the old one goes. */
static void take_ns(const struct request *rq, const char *old, const char *new, int64_t *old_ns, int64_t *ns)
{
    if (field_given(rq, old) && !field_given(rq, new))
        *ns = field_ns(rq, old);
    if (field_given(rq, old))
        *old_ns = *ns;
    else if (field_given(rq, new))
        *old_ns = 0;
}

static void keep_strs(const struct request *rq, const char *old, const char *new, const str *v, size_t n,
                      const str **old_v, size_t *old_n)
{
    if (field_given(rq, old)) {
        *old_v = v;
        *old_n = n;
    } else if (field_given(rq, new)) {
        *old_n = 0;
    }
}

void user_take_old_policies(struct request *rq, struct user *u)
{
    struct token_fields *f = &u->token;

    if (field_given(rq, "policies") && !field_given(rq, "token_policies"))
        f->policies = field_strs(rq, "policies", &f->n_policies);
    keep_strs(rq, "policies", "token_policies", f->policies, f->n_policies, &u->old_policies,
              &u->n_old_policies);
}

struct error *user_take_old_fields(struct request *rq, struct user *u)
{
    struct token_fields *f = &u->token;

    user_take_old_policies(rq, u);
    take_ns(rq, "ttl", "token_ttl", &u->old_ttl_ns, &f->ttl_ns);
    take_ns(rq, "max_ttl", "token_max_ttl", &u->old_max_ttl_ns, &f->max_ttl_ns);
    if (field_given(rq, "bound_cidrs") && !field_given(rq, "token_bound_cidrs")) {
        const str *cidrs = field_strs(rq, "bound_cidrs", &f->n_bound_cidrs);

        TRY(token_cidrs_parse(rq, cidrs, f->n_bound_cidrs, &f->bound_cidrs));
    }
    keep_strs(rq, "bound_cidrs", "token_bound_cidrs", f->bound_cidrs, f->n_bound_cidrs, &u->old_cidrs,
              &u->n_old_cidrs);
    return NULL;
}

void user_show(struct request *rq, struct json *data, const struct user *u)
{
    struct arena *a = rq->arena;

    token_fields_show(a, data, &u->token);
    if (u->n_old_policies)
        json_set(a, data, STR("policies"), json_strings(a, u->old_policies, u->n_old_policies));
    if (u->n_old_cidrs)
        json_set(a, data, STR("bound_cidrs"), json_strings(a, u->old_cidrs, u->n_old_cidrs));
    if (u->old_ttl_ns)
        json_set_int(a, data, STR("ttl"), u->old_ttl_ns / NS_PER_S);
    if (u->old_max_ttl_ns)
        json_set_int(a, data, STR("max_ttl"), u->old_max_ttl_ns / NS_PER_S);
}
