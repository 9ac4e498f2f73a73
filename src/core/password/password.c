#include "core/password/password.h"

#include "base/secure.h"
#include "config/hcl.h"

#include <stdlib.h>

enum { DRAW_BYTES = 256, TRIES_PER_LOOK = 64 /* between looks at the clock */ };

/* ---- the words of the API's decoder ---- */

static const char *kind_of(const struct json *v)
{
    switch (v->type) {
    case JSON_STRING: return "string";
    case JSON_BOOL: return "bool";
    case JSON_NUMBER: {
        int64_t whole;

        return str_parse_i64(v->text, &whole) ? "int" : "float64";
    }
    case JSON_ARRAY:
        return v->n && v->items[0]->type == JSON_OBJECT ? "[]map[string]interface {}" : "[]interface {}";
    default: return "map[string]interface {}";
    }
}

static struct error *decoding_error(struct arena *a, const char *what, str why)
{
    return error_new(a, ERR_BAD_REQUEST, "%s1 error(s) decoding:\n\n* %.*s", what, PSTR(why));
}

static struct error *unconvertible(struct arena *a, const char *what, const char *name, const char *type,
                                   const struct json *v)
{
    str value = v->type == JSON_BOOL ? str_from_cstr(v->boolean ? "true" : "false")
                : v->type == JSON_STRING || v->type == JSON_NUMBER ? v->text
                                                                   : STR("[...]");

    return decoding_error(a, what,
                          arena_fmt(a, "'%s' expected type '%s', got unconvertible type '%s', value: '%.*s'",
                                    name, type, kind_of(v), PSTR(value)));
}

/* A whole number; what stands behind the point is cut. Absent: 0. */
static struct error *int_of(struct arena *a, const struct json *o, const char *what, const char *name,
                            int64_t *ret)
{
    struct json *v = json_get_nocase(o, str_from_cstr(name)), *one = json_object(a);

    if (v && v->type != JSON_NUMBER)
        return unconvertible(a, what, name, "int", v);
    if (v)
        json_set(a, one, STR("n"), v);
    *ret = json_get_int(one, STR("n"));
    return NULL;
}

/* A list of maps, which is what HCL makes of blocks. */
static struct error *check_maps(struct arena *a, const struct json *v, const char *what)
{
    if (v->type != JSON_ARRAY)
        return decoding_error(a, what,
                              arena_fmt(a, "'': source data must be an array or slice, got %s", kind_of(v)));
    for (uint32_t i = 0; i < v->n; i++)
        if (v->items[i]->type != JSON_OBJECT)
            return decoding_error(a, what,
                                  arena_fmt(a, "'[%u]' expected a map, got '%s'", i, kind_of(v->items[i])));
    return NULL;
}

/* ---- characters ---- */

/* One code point; what is no UTF-8 counts as unprintable. */
static uint32_t code_point(str s, size_t *ret_n)
{
    static const uint8_t masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    size_t n = str_utf8_len(s);
    uint32_t c = n ? (uint8_t)s.p[0] & masks[n] : 0;

    *ret_n = MAX(n, 1);
    for (size_t i = 1; i < n; i++)
        c = c << 6 | ((uint8_t)s.p[i] & 0x3f);
    return c;
}

static size_t utf8_put(char *out, uint32_t c)
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(first[n] | c);
    return n;
}

/* Letters, marks, digits, punctuation, symbols and the ASCII blank; no controls, no private use. */
static bool is_printable(uint32_t c)
{
    static const uint32_t others[][2] = {
        {0, 0x1f},        {0x7f, 0xa0},     {0xad, 0xad},     {0x600, 0x605},     {0x61c, 0x61c},
        {0x6dd, 0x6dd},   {0x70f, 0x70f},   {0x8e2, 0x8e2},   {0x1680, 0x1680},   {0x180e, 0x180e},
        {0x2000, 0x200f}, {0x2028, 0x202f}, {0x205f, 0x206f}, {0x3000, 0x3000},   {0xd800, 0xf8ff},
        {0xfeff, 0xfeff}, {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0xe00ff}, {0xf0000, 0x10ffff},
    };

    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (c >= others[i][0] && c <= others[i][1])
            return false;
    return true;
}

static int compare_code_points(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

    return a < b ? -1 : a > b;
}

static void unite(struct arena *a, struct password_policy *p)
{
    size_t n = 0, kept = 0;

    for (size_t i = 0; i < p->n_rules; i++)
        n += p->rules[i].n;
    uint32_t *all = ARENA_ARRAY(a, uint32_t, n + 1);

    n = 0;
    for (size_t i = 0; i < p->n_rules; i++)
        for (size_t k = 0; k < p->rules[i].n; k++)
            all[n++] = p->rules[i].charset[k];
    qsort(all, n, sizeof(*all), compare_code_points);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || all[kept - 1] != all[i])
            all[kept++] = all[i];
    p->charset = all;
    p->n_charset = kept;
}

/* ---- parsing ---- */

static struct error *charset_parse(struct arena *a, const struct json *rule, struct password_rule *ret)
{
    static const char what[] = "unable to parse rules: unable to parse rule charset: "
                               "failed to parse charset restriction: ";
    const struct json *charset = json_get_nocase(rule, STR("charset"));

    TRY(int_of(a, rule, what, "min-chars", &ret->chars_min));
    if (!charset)
        return NULL;
    if (charset->type == JSON_ARRAY && charset->n > 0)
        return unconvertible(a, what, "charset[0]", "int32", charset->items[0]);
    if (charset->type != JSON_STRING)
        return decoding_error(
            a, what,
            arena_fmt(a, "'charset': source data must be an array or slice, got %s", kind_of(charset)));
    uint32_t *v = ARENA_ARRAY(a, uint32_t, charset->text.n + 1);
    size_t n;

    for (str rest = charset->text; rest.n > 0; rest = str_from(rest, n))
        v[ret->n++] = code_point(rest, &n);
    ret->charset = v;
    return NULL;
}

static struct error *rule_parse(struct arena *a, const struct json *rule, struct password_rule *ret)
{
    if (rule->n == 0)
        return error_new(a, ERR_BAD_REQUEST,
                         "unable to parse rules: unable to get rule info: rule type not specified");
    str type = rule->members[0].key;
    const struct json *data = rule->members[0].value;

    TRY(check_maps(a, data, "unable to parse rules: unable to get rule info: unable to get rule data: "));
    if (data->n == 0)
        return error_new(a, ERR_BAD_REQUEST,
                         "unable to parse rules: unable to get rule info: rule info cannot be empty");
    if (!str_eq(type, STR("charset")))
        return error_new(a, ERR_BAD_REQUEST,
                         "unable to parse rules: unable to parse rule %.*s: unrecognized rule type %.*s",
                         PSTR(type), PSTR(type));
    return charset_parse(a, data->items[0], ret);
}

static struct error *check(struct arena *a, const struct password_policy *p)
{
    int64_t least = 0;
    str first = {0}, second = {0};

    for (size_t i = 0; i < p->n_rules; i++)
        if (__builtin_add_overflow(least, MAX(p->rules[i].chars_min, 0), &least))
            least = INT64_MAX;
    if (p->length <= 0)
        first = STR("\t* length must be > 0\n");
    else if (p->length < least)
        first = arena_fmt(a, "\t* specified rules require at least %lld characters but %lld is specified\n",
                          (long long)least, (long long)p->length);
    if (p->n_charset == 0)
        second = STR("\t* no charset specified\n");
    for (size_t i = 0; i < p->n_charset && second.n == 0; i++)
        if (!is_printable(p->charset[i]))
            second = STR("\t* non-printable character in charset\n");
    if (first.n == 0 && second.n == 0)
        return NULL;
    return error_new(a, ERR_BAD_REQUEST, "%s occurred:\n%.*s%.*s\n",
                     first.n && second.n ? "2 errors" : "1 error", PSTR(first), PSTR(second));
}

struct error *password_policy_parse(struct arena *a, str text, struct password_policy **ret)
{
    struct password_policy *p = ARENA_NEW(a, struct password_policy);
    struct hcl_value *root;
    struct json *tree = NULL;
    struct error *e = hcl_parse(a, text, &root);

    if (!e)
        e = hcl_to_json(a, root, &tree);
    if (e)
        return error_new(a, ERR_BAD_REQUEST, "unable to decode: %.*s", PSTR(e->text));
    TRY(int_of(a, tree, "failed to decode configuration: ", "length", &p->length));
    const struct json *rules = json_get(tree, STR("rule"));

    if (rules)
        TRY(check_maps(a, rules, "unable to retrieve rules: "));
    p->n_rules = rules ? rules->n : 0;
    p->rules = ARENA_ARRAY(a, struct password_rule, p->n_rules + 1);
    for (size_t i = 0; i < p->n_rules; i++)
        TRY(rule_parse(a, rules->items[i], &p->rules[i]));
    unite(a, p);
    TRY(check(a, p));
    *ret = p;
    return NULL;
}

/* ---- making one ---- */

struct draw { /* random bytes, many at a time */
    struct rng *rng;
    uint8_t bytes[DRAW_BYTES];
    size_t left;
};

/* Uniform below n (1..256): bytes past the last whole multiple of n are dropped. */
static uint8_t draw_below(struct draw *d, size_t n)
{
    size_t limit = 256 / n * n;

    for (;;) {
        if (d->left == 0) {
            rng_bytes(d->rng, d->bytes, sizeof(d->bytes));
            d->left = sizeof(d->bytes);
        }
        size_t b = d->bytes[--d->left];

        if (b < limit)
            return (uint8_t)(b % n);
    }
}

/* Per rule: which places of the united set are its own. */
static bool *members_of(struct arena *a, const struct password_policy *p)
{
    bool *in = ARENA_ARRAY(a, bool, p->n_rules * p->n_charset + 1);

    for (size_t i = 0; i < p->n_rules; i++)
        for (size_t k = 0; k < p->rules[i].n; k++) {
            const uint32_t *at =
                bsearch(&p->rules[i].charset[k], p->charset, p->n_charset, sizeof(*at), compare_code_points);

            in[i * p->n_charset + (size_t)(at - p->charset)] = true;
        }
    return in;
}

static bool passes(const struct password_policy *p, const bool *in, const uint8_t *places)
{
    for (size_t i = 0; i < p->n_rules; i++) {
        int64_t n = 0;

        for (int64_t k = 0; k < p->length; k++)
            n += in[i * p->n_charset + places[k]];
        if (n < p->rules[i].chars_min)
            return false;
    }
    return true;
}

void password_generate(struct arena *a, struct rng *rng, const struct password_policy *p, str *ret_password)
{
    struct draw *d = ARENA_NEW(a, struct draw);
    uint8_t places[PASSWORD_LENGTH_MAX];
    int64_t end = clock_mono_ns(clock_real()) + NS_PER_S;

    *ret_password = (str){0};
    if (p->n_charset > PASSWORD_CHARSET_MAX || p->length > PASSWORD_LENGTH_MAX)
        return;
    const bool *in = members_of(a, p);

    d->rng = rng;
    for (unsigned tries = 1;; tries++) {
        for (int64_t i = 0; i < p->length; i++)
            places[i] = draw_below(d, p->n_charset);
        if (passes(p, in, places))
            break;
        if (tries % TRIES_PER_LOOK == 0 && clock_mono_ns(clock_real()) >= end)
            return;
    }
    char *out = arena_alloc(a, 4 * sizeof(places));
    size_t n = 0;

    for (int64_t i = 0; i < p->length; i++)
        n += utf8_put(out + n, p->charset[places[i]]);
    wipe(places, sizeof(places));
    *ret_password = (str){out, n};
}
