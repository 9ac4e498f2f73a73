/* policy: from text to rules. The order of the checks is Vault's, because the first one that fails is the
 * error. */
#include "core/policy/policy.h"

#include "base/buf.h"
#include "base/clock.h"
#include "config/hcl.h"

enum { ERROR_TEXT_MAX = 64 * 1024 };

struct word {
    const char *text;
    unsigned bits;
};

static const struct word capability_words[] = {
    {"create", CAP_CREATE}, {"read", CAP_READ}, {"update", CAP_UPDATE}, {"delete", CAP_DELETE},
    {"list", CAP_LIST},     {"sudo", CAP_SUDO}, {"patch", CAP_PATCH},   {"deny", CAP_DENY},
};
static const struct word old_words[] = {
    {"deny", CAP_DENY},
    {"read", CAP_READ | CAP_LIST},
    {"write", CAP_CREATE | CAP_READ | CAP_UPDATE | CAP_DELETE | CAP_LIST},
    {"sudo", CAP_CREATE | CAP_READ | CAP_UPDATE | CAP_DELETE | CAP_LIST | CAP_SUDO},
};

/* ---- errors ---- */

/* A block has no position of its own in HashiCorp's parser, and another type name. */
static struct error *wrong_type(struct arena *a, const struct hcl_item *item, const struct hcl_value *v,
                                const char *what)
{
    if (!item->assigned && item->value == v)
        return error_new(a, ERR_BAD_REQUEST, "At -: %s*ast.ObjectList", what);
    return hcl_error(a, v->pos, "%s%s", what, hcl_type_name(v));
}

/* Errors of unknown keys are collected, those of one path each named with it. */
static struct error *check_keys(struct arena *a, const char *before, const struct hcl_value *object,
                                const char *const *known)
{
    struct buf text;
    size_t n = 0;

    buf_init(&text, a, ERROR_TEXT_MAX);
    if (object->type != HCL_OBJECT)
        return error_new(a, ERR_BAD_REQUEST, "%scannot check HCL keys of type %s", before,
                         hcl_type_name(object));
    for (const struct hcl_item *i = object->first; i; i = i->next) {
        const char *const *k = known;

        while (*k && !str_eq(i->keys[0].text, str_from_cstr(*k)))
            k++;
        if (*k)
            continue;
        n++;
        if (!text.full)
            buf_put_fmt(&text, "\n\t* %sinvalid key \"%.*s\" on line %u", before, PSTR(i->keys[0].text),
                        i->assigned ? i->keys[0].pos.line : 0);
    }
    if (n == 0)
        return NULL;
    return error_new(a, ERR_BAD_REQUEST, "%zu error%s occurred:%.*s\n\n", n, n == 1 ? "" : "s",
                     PSTR(buf_str(&text)));
}

/* ---- typed values ---- */

static struct error *string_of(struct arena *a, const struct hcl_item *item, const struct hcl_value *v,
                               const char *name, str *ret)
{
    if (v->type == HCL_NULL)
        return NULL;
    if (hcl_str(v, ret))
        return NULL;
    return wrong_type(a, item, v, arena_fmt(a, "root.%s: unknown type for string ", name).p);
}

/* A list of texts. An empty block counts as an empty list. */
static struct error *check_strings(struct arena *a, const struct hcl_item *item, const char *name)
{
    const struct hcl_value *v = item->value;
    str ignored;

    if (v->type == HCL_NULL || (v->type == HCL_OBJECT && !v->first))
        return NULL;
    if (v->type == HCL_OBJECT)
        return wrong_type(a, item, v, arena_fmt(a, "root.%s[0]: unknown type for string ", name).p);
    if (v->type != HCL_LIST)
        return hcl_error(a, v->pos, "unknown slice type: %s", hcl_type_name(v));
    for (size_t i = 0; i < v->n; i++)
        if (!hcl_str(v->items[i], &ignored))
            return wrong_type(a, item, v->items[i],
                              arena_fmt(a, "root.%s[%zu]: unknown type for string ", name, i).p);
    return NULL;
}

static struct error *check_parameters(struct arena *a, const struct hcl_item *item)
{
    const struct hcl_value *v = item->value;

    if (v->type == HCL_NULL)
        return NULL;
    if (v->type != HCL_OBJECT)
        return hcl_error(a, v->pos, "root.%.*s: not an object type for map (%s)", PSTR(item->keys[0].text),
                         hcl_type_name(v));
    for (const struct hcl_item *i = v->first; i; i = i->next)
        if (i->value->type != HCL_LIST && i->value->type != HCL_OBJECT && i->value->type != HCL_NULL)
            return hcl_error(a, i->value->pos, "unknown slice type: %s", hcl_type_name(i->value));
    return NULL;
}

static struct error *wrapping_ttl(struct arena *a, const struct hcl_item *item, int64_t *ret_ns)
{
    const struct hcl_value *v = item->value;
    const struct error *e = NULL;

    if (v->type == HCL_NULL)
        return NULL;
    str text = v->type == HCL_FLOAT ? str_slice(v->text, 0, str_index(v->text, '.'))
                                    : v->text; /* fractions are cut */

    if (v->type == HCL_LIST || v->type == HCL_OBJECT || v->type == HCL_BOOL)
        e = error_new(a, ERR_BAD_REQUEST, "could not parse duration from input");
    else
        e = duration_parse(a, text, ret_ns);
    return e ? error_new(a, ERR_BAD_REQUEST, "error parsing %.*s: %.*s", PSTR(item->keys[0].text),
                         PSTR(e->text))
             : NULL;
}

/* ---- control_group ---- */

static const struct hcl_item *member(const struct hcl_value *object, const char *key)
{
    const struct hcl_item *found = NULL;

    for (const struct hcl_item *i = object->type == HCL_OBJECT ? object->first : NULL; i; i = i->next)
        if (str_eq(i->keys[0].text, str_from_cstr(key)))
            found = i;
    return found;
}

static bool has_elements(const struct hcl_item *list)
{
    return list && list->value->type == HCL_LIST && list->value->n > 0;
}

static struct error *check_factor(struct arena *a, const struct hcl_value *factor)
{
    const struct hcl_item *identity = member(factor, "identity");
    int64_t approvals = 0;

    if (!identity)
        return error_new(a, ERR_BAD_REQUEST, "no control_group identity factor provided");
    const struct hcl_item *number = member(identity->value, "approvals");

    if (number && !hcl_int_from_str(number->value->text, &approvals))
        approvals = 0;
    if (approvals <= 0 || (!has_elements(member(identity->value, "group_names")) &&
                           !has_elements(member(identity->value, "group_ids"))))
        return error_new(a, ERR_BAD_REQUEST, "must provide more than one identity group and approvals > 0");
    return NULL;
}

static struct error *check_control_group(struct arena *a, const struct hcl_item *item)
{
    const struct hcl_item *ttl = member(item->value, "ttl");
    size_t factors = 0;
    int64_t ns;

    if (ttl) {
        const struct error *e = duration_parse(a, ttl->value->text, &ns);

        if (e)
            return error_new(a, ERR_BAD_REQUEST, "error parsing control group max ttl: %.*s", PSTR(e->text));
    }
    for (const struct hcl_item *i = item->value->first; i; i = i->next)
        if (str_eq(i->keys[0].text, STR("factor"))) {
            TRY(check_factor(a, i->value));
            factors++;
        }
    return factors ? NULL : error_new(a, ERR_BAD_REQUEST, "no control group factors provided");
}

/* ---- one path ---- */

struct words { /* capabilities as written, in order: deny ends the rule before a later word is looked at */
    str *v;
    size_t n;
};

static struct error *add_capabilities(struct arena *a, const struct hcl_item *item, struct words *w)
{
    const struct hcl_value *v = item->value;
    size_t n = v->type == HCL_LIST ? v->n : 0;

    TRY(check_strings(a, item, "Capabilities"));
    w->v = arena_grow(a, w->v, w->n * sizeof(str), (w->n + n) * sizeof(str));
    for (size_t i = 0; i < n; i++)
        w->v[w->n++] = v->items[i]->text;
    return NULL;
}

struct block { /* what a path block says; the last of a repeated key counts, lists add up */
    str old_policy;
    struct words capabilities;
    const struct hcl_item *min_ttl, *max_ttl, *control_group;
};

static struct error *read_item(struct arena *a, const struct hcl_item *i, struct block *b)
{
    str key = i->keys[0].text;

    if (str_eq(key, STR("policy")))
        return string_of(a, i, i->value, "Policy", &b->old_policy);
    if (str_eq(key, STR("capabilities")))
        return add_capabilities(a, i, &b->capabilities);
    if (str_eq(key, STR("allowed_parameters")) || str_eq(key, STR("denied_parameters")))
        return check_parameters(a, i);
    if (str_eq(key, STR("required_parameters")) || str_eq(key, STR("mfa_methods")))
        return check_strings(a, i, arena_str(a, key).p);
    if (str_eq(key, STR("min_wrapping_ttl")))
        b->min_ttl = i;
    else if (str_eq(key, STR("max_wrapping_ttl")))
        b->max_ttl = i;
    else if (str_eq(key, STR("control_group"))) {
        if (i->value->type != HCL_OBJECT)
            return hcl_error(a, i->value->pos, "root.control_group: not an object type for struct (%s)",
                             hcl_type_name(i->value));
        b->control_group = i;
    }
    return NULL;
}

static struct error *capabilities_of(struct arena *a, str path, const struct block *b, unsigned *ret)
{
    unsigned bits = 0, old = 0;

    for (size_t i = 0; b->old_policy.n && i < COUNT_OF(old_words); i++)
        if (str_eq(b->old_policy, str_from_cstr(old_words[i].text)))
            old = old_words[i].bits;
    if (b->old_policy.n && !old)
        return error_new(a, ERR_BAD_REQUEST, "path \"%.*s\": invalid policy \"%.*s\"", PSTR(path),
                         PSTR(b->old_policy));
    for (size_t i = 0; old != CAP_DENY && i < b->capabilities.n; i++) {
        str word = b->capabilities.v[i];
        unsigned bit = 0;

        for (size_t k = 0; k < COUNT_OF(capability_words); k++)
            if (str_eq(word, str_from_cstr(capability_words[k].text)))
                bit = capability_words[k].bits;
        if (!bit)
            return error_new(a, ERR_BAD_REQUEST, "path \"%.*s\": invalid capability \"%.*s\"", PSTR(path),
                             PSTR(word));
        bits |= bit;
        if (bit == CAP_DENY)
            break;
    }
    *ret = (bits | old) & CAP_DENY ? CAP_DENY : bits | old;
    return NULL;
}

/* As Vault does, nothing is looked at after a deny. */
static struct error *limits_of(struct arena *a, const struct block *b, struct policy_rule *r)
{
    if (r->capabilities == CAP_DENY)
        return NULL;
    if (b->min_ttl)
        TRY(wrapping_ttl(a, b->min_ttl, &r->min_wrapping_ttl_ns));
    if (b->max_ttl)
        TRY(wrapping_ttl(a, b->max_ttl, &r->max_wrapping_ttl_ns));
    if (b->control_group)
        TRY(check_control_group(a, b->control_group));
    if (r->min_wrapping_ttl_ns && r->max_wrapping_ttl_ns && r->max_wrapping_ttl_ns < r->min_wrapping_ttl_ns)
        return error_new(a, ERR_BAD_REQUEST, "max_wrapping_ttl cannot be less than min_wrapping_ttl");
    return NULL;
}

static struct error *shape_of(struct arena *a, str path, struct policy_rule *r)
{
    if (str_starts(path, STR("/")))
        path = str_from(path, 1);
    if (str_find(path, STR("+*")) < path.n)
        return error_new(a, ERR_BAD_REQUEST, "path \"%.*s\": invalid use of wildcards ('+*' is forbidden)",
                         PSTR(path));
    r->prefix = str_ends(path, STR("*"));
    r->path = str_slice(path, 0, path.n - r->prefix);
    str shape = r->templated ? template_shape(a, r->parts, r->n_parts) : r->path;

    r->segments =
        str_eq(shape, STR("+")) || str_starts(shape, STR("+/")) || str_find(shape, STR("/+")) < shape.n;
    return NULL;
}

static struct error *parse_path(struct arena *a, const struct hcl_item *item, struct policy_rule *r)
{
    static const char *const known[] = {"comment",
                                        "policy",
                                        "capabilities",
                                        "allowed_parameters",
                                        "denied_parameters",
                                        "required_parameters",
                                        "min_wrapping_ttl",
                                        "max_wrapping_ttl",
                                        "mfa_methods",
                                        "control_group",
                                        NULL};
    str path = item->keys[item->n_keys > 1].text;
    const char *before = arena_fmt(a, "path \"%.*s\": ", PSTR(path)).p;
    struct block b = {0};

    TRY(template_parse(a, path, &r->parts, &r->n_parts, &r->templated));
    TRY(check_keys(a, before, item->value, known));
    for (const struct hcl_item *i = item->value->first; i; i = i->next) {
        const struct error *e = read_item(a, i, &b);

        if (e)
            return error_new(a, ERR_BAD_REQUEST, "%s%.*s", before, PSTR(e->text));
    }
    TRY(shape_of(a, path, r));
    TRY(capabilities_of(a, path, &b, &r->capabilities));
    TRY(parameters_of(a, item->value, &r->parameters));
    return limits_of(a, &b, r);
}

static struct error *parse_root(struct arena *a, str text, struct policy *p)
{
    static const char *const known[] = {"name", "path", NULL};
    struct hcl_value *root;

    TRY(hcl_parse(a, text, &root));
    TRY(check_keys(a, "", root, known));
    p->rules = ARENA_ARRAY(a, struct policy_rule, root->n);
    for (const struct hcl_item *i = root->first; i; i = i->next) {
        str ignored;

        if (str_eq(i->keys[0].text, STR("name")))
            TRY(string_of(a, i, i->value, "name", &ignored));
    }
    for (const struct hcl_item *i = root->first; i; i = i->next) {
        struct policy_rule *r = &p->rules[p->n];

        if (!str_eq(i->keys[0].text, STR("path")))
            continue;
        TRY(parse_path(a, i, r));
        p->templated = p->templated || r->templated;
        p->n++;
    }
    return NULL;
}

struct error *policy_parse(struct arena *a, str name, str text, struct policy **ret)
{
    struct policy *p = ARENA_NEW(a, struct policy);

    p->name = name;
    p->raw = text;
    const struct error *e = parse_root(a, text, p);

    if (e)
        return error_new(a, ERR_BAD_REQUEST, "failed to parse policy: %.*s", PSTR(e->text));
    *ret = p;
    return NULL;
}
