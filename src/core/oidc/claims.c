/* claims: templates of identity tokens: JSON text with {{identity.entity.…}} and {{time.now…}} in it; each
 * stands for a JSON value. */
#include "base/log.h"
#include "core/oidc/oidc_private.h"

static const char *const reserved[] = {"iat",       "aud",   "exp",       "iss",     "sub",
                                       "namespace", "nonce", "auth_time", "at_hash", "c_hash"};

struct rendering {
    struct request *rq;
    const struct entity *entity;
    const struct group *const *groups;
    size_t n_groups;
    int64_t now_ns;
    struct buf out;
};

static bool cut_start(str *s, str start)
{
    if (!str_starts(*s, start))
        return false;
    *s = str_from(*s, start.n);
    return true;
}

static struct error *no_value(struct rendering *r)
{
    return fail(r->rq, ERR_BAD_REQUEST, "no value could be found for one of the template directives");
}

static struct error *put_string(struct rendering *r, str s)
{
    json_write_string(&r->out, s);
    return NULL;
}

static struct error *put_pairs(struct rendering *r, const struct identity_pair *v, size_t n)
{
    struct json *j = json_object(r->rq->arena);

    for (size_t i = 0; i < n; i++)
        json_set_str(r->rq->arena, j, v[i].key, v[i].value);
    json_write(&r->out, j);
    return NULL;
}

/* name: "metadata", "metadata.KEY" after that word. */
static struct error *put_metadata(struct rendering *r, str rest, const struct identity_pair *v, size_t n)
{
    bool found;

    if (rest.n == 0)
        return put_pairs(r, v, n);
    return cut_start(&rest, STR(".")) ? put_string(r, identity_pair_get(v, n, rest, &found)) : no_value(r);
}

static struct error *put_groups(struct rendering *r, bool names)
{
    struct json *j = r->n_groups ? json_array(r->rq->arena) : json_null(r->rq->arena); /* as Vault: no list */

    for (size_t i = 0; i < r->n_groups; i++)
        json_append(r->rq->arena, j,
                    json_string(r->rq->arena, names ? r->groups[i]->name : r->groups[i]->id));
    json_write(&r->out, j);
    return NULL;
}

/* rest: "ACCESSOR.name" and so on. An alias that the entity does not have is one of empty values. */
static struct error *put_alias(struct rendering *r, str rest)
{
    static const struct entity_alias none = {0};
    str accessor, name;

    if (!str_cut(rest, '.', &accessor, &name))
        return fail(r->rq, ERR_BAD_REQUEST, "invalid alias selector");
    const struct entity_alias *a = entity_alias_of(r->entity, accessor);

    a = a ? a : &none;
    if (str_eq(name, STR("id")))
        return put_string(r, a->id);
    if (str_eq(name, STR("name")))
        return put_string(r, a->name);
    if (cut_start(&name, STR("metadata")))
        return put_metadata(r, name, a->metadata, a->n_metadata);
    if (cut_start(&name, STR("custom_metadata")))
        return put_metadata(r, name, a->custom_metadata, a->n_custom_metadata);
    return no_value(r);
}

static struct error *put_entity(struct rendering *r, str name)
{
    const struct entity *e = r->entity;

    if (str_eq(name, STR("id")))
        return put_string(r, e->id);
    if (str_eq(name, STR("name")))
        return put_string(r, e->name);
    if (str_eq(name, STR("groups.names")))
        return put_groups(r, true);
    if (str_eq(name, STR("groups.ids")))
        return put_groups(r, false);
    if (cut_start(&name, STR("metadata")))
        return put_metadata(r, name, e->metadata, e->n_metadata);
    return cut_start(&name, STR("aliases.")) ? put_alias(r, name) : no_value(r);
}

/* "now", "now.plus.1h", "now.minus.5m": Unix seconds. */
static struct error *put_time(struct rendering *r, str name)
{
    str word, op, duration;
    int64_t ns = 0, at_ns = r->now_ns;

    str_cut(name, '.', &word, &duration);
    if (!str_eq(word, STR("now")))
        return fail(r->rq, ERR_BAD_REQUEST, "invalid time selector \"%.*s\"", PSTR(word));
    if (word.n < name.n) {
        if (!str_cut(duration, '.', &op, &duration))
            return fail(r->rq, ERR_BAD_REQUEST, "missing time operand");
        struct error *e = duration_parse(r->rq->arena, duration, &ns);

        if (e)
            return error_wrap(r->rq->arena, e, "invalid duration: %.*s", PSTR(e->text));
        if (!str_eq(op, STR("plus")) && !str_eq(op, STR("minus")))
            return fail(r->rq, ERR_BAD_REQUEST, "invalid time operator \"%.*s\"", PSTR(op));
        if (str_eq(op, STR("plus")) ? __builtin_add_overflow(at_ns, ns, &at_ns)
                                    : __builtin_sub_overflow(at_ns, ns, &at_ns))
            return fail(r->rq, ERR_BAD_REQUEST, "invalid duration: too long");
    }
    buf_put_fmt(&r->out, "%lld", (long long)(at_ns / NS_PER_S));
    return NULL;
}

static struct error *put_value(struct rendering *r, str name)
{
    if (cut_start(&name, STR("identity.entity.")))
        return put_entity(r, name);
    if (str_starts(name, STR("identity.groups."))) /* single groups are for policies */
        return fail(r->rq, ERR_BAD_REQUEST,
                    "string contains groups template directives but no groups were provided");
    return cut_start(&name, STR("time.")) ? put_time(r, name) : no_value(r);
}

static struct error *unbalanced(struct rendering *r)
{
    return fail(r->rq, ERR_BAD_REQUEST, "unbalanced templating characters");
}

struct error *claims_render(struct request *rq, str template, const struct entity *e, str *ret)
{
    static const struct entity nobody = {0};
    struct rendering r = {.rq = rq, .entity = e ? e : &nobody, .now_ns = clock_wall_ns(rq->clock)};
    str left = template;

    if (e && str_find(template, STR("groups.")) < template.n)
        TRY(identity_groups_for(rq, e, &r.groups, &r.n_groups));
    buf_init(&r.out, rq->arena, SIZE_MAX);
    for (;;) {
        size_t open = str_find(left, STR("{{"));

        if (str_find(left, STR("}}")) < open)
            return unbalanced(&r);
        buf_put_str(&r.out, str_slice(left, 0, open));
        if (open == left.n)
            break;
        left = str_from(left, open + 2);
        size_t end = str_find(left, STR("}}"));

        if (end == left.n || str_find(str_slice(left, 0, end), STR("{{")) < end)
            return unbalanced(&r);
        TRY(put_value(&r, str_trim(str_slice(left, 0, end))));
        left = str_from(left, end + 2);
    }
    *ret = buf_str(&r.out);
    return NULL;
}

static struct error *parse(struct request *rq, str text, struct json **ret)
{
    static const char *const names[] = {
        [JSON_BOOL] = "bool", [JSON_NUMBER] = "number", [JSON_STRING] = "string", [JSON_ARRAY] = "array"};

    TRY(json_parse(rq->arena, text, false, ret));
    if ((*ret)->type != JSON_OBJECT && (*ret)->type != JSON_NULL)
        return fail(rq, ERR_BAD_REQUEST,
                    "json: cannot unmarshal %s into Go value of type map[string]interface {}",
                    names[(*ret)->type]);
    return NULL;
}

static bool is_reserved(str key)
{
    for (size_t i = 0; i < COUNT_OF(reserved); i++)
        if (str_eq(key, str_from_cstr(reserved[i])))
            return true;
    return false;
}

static struct error *renamed(struct request *rq, struct error *e, const char *what)
{
    if (!e || e->kind == ERR_WOULD_BLOCK)
        return e;
    return error_wrap(rq->arena, e, "error parsing template%s: %.*s", what, PSTR(e->text));
}

struct error *claims_check(struct request *rq, str template)
{
    struct json *j;
    str text;

    if (template.n == 0)
        return NULL;
    TRY(renamed(rq, claims_render(rq, template, NULL, &text), ""));
    TRY(renamed(rq, parse(rq, text, &j), " JSON"));
    for (uint32_t i = 0; j->type == JSON_OBJECT && i < j->n; i++)
        if (is_reserved(j->members[i].key))
            return fail(rq, ERR_BAD_REQUEST,
                        "top level key \"%.*s\" not allowed. Restricted keys: iat, aud, exp, iss, sub, "
                        "namespace, nonce, auth_time, at_hash, c_hash",
                        PSTR(j->members[i].key));
    return NULL;
}

struct error *claims_add(struct request *rq, str template, const struct entity *e, struct json *payload)
{
    struct json *j = NULL;
    str text;

    if (template.n == 0)
        return NULL;
    struct error *bad = claims_render(rq, template, e, &text);

    if (!bad)
        bad = parse(rq, text, &j);
    if (bad && bad->kind != ERR_BAD_REQUEST)
        return bad;
    if (bad) /* the token is good without: whoever asks for it cannot help it */
        log_warn("identity", "the template of an identity token is left out", F_STR("request_id", rq->id),
                 F_STR("error", bad->text));
    for (uint32_t i = 0; !bad && j->type == JSON_OBJECT && i < j->n; i++)
        if (!is_reserved(j->members[i].key))
            json_set(rq->arena, payload, j->members[i].key, j->members[i].value);
    return NULL;
}
