/* acl: a policy set compiled for one question, asked once per request. Exact paths stand in a hash table;
 * prefixes are sorted, each with a link to the longest shorter one that begins it; segment rules are sorted
 * by rank, so the first match wins. */
#include "base/log.h"
#include "core/policy/policy.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { GRANT_BITS = 8, NO_RULE = UINT32_MAX };

struct rule {
    str path; /* without the trailing '*' */
    bool prefix, segments;
    unsigned capabilities;
    uint32_t first_wildcard, wildcards;
    uint32_t parent; /* prefixes: the longest one that begins this one; NO_RULE */
    int64_t min_wrapping_ttl_ns, max_wrapping_ttl_ns;
    const struct parameters *parameters; /* NULL: none */
    struct {
        uint32_t from, n; /* in acl.names: who gives this capability */
    } grants[GRANT_BITS]; /* of a denied path only those of CAP_DENY */
};

struct acl {
    _Atomic(uint32_t) refs;
    bool is_root;
    uint32_t n_exact, n_prefix, n_segments, slot_mask;
    uint32_t n_templates, n_starts;
    struct rule *rules; /* exact, prefixes by path, segments by rank */
    uint32_t *slots;    /* open addressing: index of an exact rule, NO_RULE: free */
    str *names;
    str *templates;      /* names of values, sorted; then what each templated rule's paths begin with */
    struct arena *arena; /* of parameters; NULL: there are none */
};

static const str root_name = {"root", 4};

/* ---- compiling ---- */

struct source { /* one rule of one policy */
    const struct policy_rule *rule;
    str policy;
    size_t order;
};

struct left_out { /* of templated rules that were not rendered */
    str *names, *starts;
    size_t n_names, n_starts;
};

static int class_of(const struct policy_rule *r)
{
    return r->segments ? 2 : r->prefix;
}

static int by_class_and_path(const void *x, const void *y)
{
    const struct source *a = x, *b = y;
    int d = class_of(a->rule) - class_of(b->rule);

    if (d == 0)
        d = str_cmp(a->rule->path, b->rule->path);
    if (d == 0)
        d = a->rule->prefix - b->rule->prefix;
    return d ? d : (a->order > b->order) - (a->order < b->order);
}

static bool same_key(const struct policy_rule *a, const struct policy_rule *b)
{
    return class_of(a) == class_of(b) && a->prefix == b->prefix && str_eq(a->path, b->path);
}

/* > 0: a outranks b. */
static int rank(const struct rule *a, const struct rule *b)
{
    if (a->first_wildcard != b->first_wildcard)
        return a->first_wildcard > b->first_wildcard ? 1 : -1;
    if (a->prefix != b->prefix)
        return b->prefix ? 1 : -1;
    if (a->wildcards != b->wildcards)
        return a->wildcards < b->wildcards ? 1 : -1;
    if (a->path.n != b->path.n)
        return a->path.n > b->path.n ? 1 : -1;
    return str_cmp(a->path, b->path);
}

static int by_rank(const void *x, const void *y)
{
    return rank(y, x);
}

static int64_t shorter_ttl(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* The parameters of the rules of one path, in the acl's arena, which is made for the first of them. */
static const struct parameters *merge_parameters(const struct source *s, size_t n, struct arena **arena)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        found += s[i].rule->parameters != NULL;
    if (found == 0)
        return NULL;
    if (!*arena)
        *arena = arena_new(0);
    const struct parameters **v = ARENA_ARRAY(*arena, const struct parameters *, found);

    found = 0;
    for (size_t i = 0; i < n; i++)
        if (s[i].rule->parameters)
            v[found++] = s[i].rule->parameters;
    return parameters_merge(*arena, v, found);
}

/* The rules of one path in order of their policies: deny wins, capabilities unite, wrapping limits are the
 * smallest given. */
static struct rule merge(const struct source *s, size_t n, struct arena **arena)
{
    const struct policy_rule *first = s[0].rule;
    struct rule r = {
        .path = first->path, .prefix = first->prefix, .segments = first->segments, .parent = NO_RULE};
    str left = r.path, segment;

    for (size_t i = 0; i < n && r.capabilities != CAP_DENY; i++) {
        if (s[i].rule->capabilities == CAP_DENY) {
            r.capabilities = CAP_DENY;
            break;
        }
        r.capabilities |= s[i].rule->capabilities;
        r.min_wrapping_ttl_ns = shorter_ttl(r.min_wrapping_ttl_ns, s[i].rule->min_wrapping_ttl_ns);
        r.max_wrapping_ttl_ns = shorter_ttl(r.max_wrapping_ttl_ns, s[i].rule->max_wrapping_ttl_ns);
    }
    if (r.capabilities != CAP_DENY)
        r.parameters = merge_parameters(s, n, arena);
    r.first_wildcard = (uint32_t)(r.segments ? str_index(r.path, '+') : r.path.n);
    for (bool more = r.segments; more;) {
        more = str_cut(left, '/', &segment, &left);
        r.wildcards += str_eq(segment, STR("+"));
    }
    return r;
}

static void grant(struct acl *acl, struct rule *r, const struct source *s, size_t n, uint32_t *used)
{
    for (unsigned bit = 0; bit < GRANT_BITS; bit++) {
        if (!(r->capabilities & 1u << bit))
            continue;
        r->grants[bit].from = *used;
        for (size_t i = 0; i < n; i++)
            if (s[i].rule->capabilities & 1u << bit)
                acl->names[(*used)++] = s[i].policy;
        r->grants[bit].n = *used - r->grants[bit].from;
    }
}

static void link_prefixes(struct rule *v, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        uint32_t p = i - 1;

        while (p != NO_RULE && !str_starts(v[i].path, v[p].path))
            p = v[p].parent;
        v[i].parent = p;
    }
}

static void fill_slots(struct acl *acl)
{
    for (uint32_t i = 0; i <= acl->slot_mask; i++)
        acl->slots[i] = NO_RULE;
    for (uint32_t i = 0; i < acl->n_exact; i++) {
        uint32_t at = (uint32_t)str_hash(acl->rules[i].path) & acl->slot_mask;

        while (acl->slots[at] != NO_RULE)
            at = (at + 1) & acl->slot_mask;
        acl->slots[at] = i;
    }
}

struct sizes {
    size_t rules, exact, slots, names, templates, bytes;
};

static struct sizes measure(const struct source *s, size_t n, const struct left_out *out)
{
    struct sizes z = {.slots = 1, .templates = out->n_names + out->n_starts};

    for (size_t i = 0; i < out->n_names; i++)
        z.bytes += out->names[i].n;
    for (size_t i = 0; i < out->n_starts; i++)
        z.bytes += out->starts[i].n;

    for (size_t i = 0; i < n; i++) {
        bool new_key = i == 0 || !same_key(s[i].rule, s[i - 1].rule);

        z.names += (size_t)__builtin_popcount(s[i].rule->capabilities);
        z.rules += new_key;
        z.exact += new_key && class_of(s[i].rule) == 0;
        z.bytes += new_key ? s[i].rule->path.n : 0;
        z.bytes += s[i].policy.n;
    }
    while (z.slots < 2 * z.exact)
        z.slots *= 2;
    return z;
}

static struct acl *acl_alloc(const struct sizes *z, char **ret_text)
{
    size_t at_rules = sizeof(struct acl), at_names = at_rules + z->rules * sizeof(struct rule);
    size_t at_templates = at_names + z->names * sizeof(str);
    size_t at_slots = at_templates + z->templates * sizeof(str);
    size_t at_bytes = at_slots + z->slots * sizeof(uint32_t);
    struct acl *acl = calloc(1, at_bytes + z->bytes);
    char *base = (char *)acl;

    if (!acl)
        die("out of memory");
    atomic_init(&acl->refs, 1);

    acl->rules = (struct rule *)(void *)(base + at_rules);
    acl->names = (str *)(void *)(base + at_names);
    acl->templates = (str *)(void *)(base + at_templates);
    acl->slots = (uint32_t *)(void *)(base + at_slots);
    acl->slot_mask = (uint32_t)z->slots - 1;
    *ret_text = base + at_bytes;
    return acl;
}

static str keep(char **at, str s)
{
    str kept = {*at, s.n};

    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return kept;
}

static struct acl *build(struct source *s, size_t n, const struct left_out *out)
{
    struct sizes z = measure(s, n, out);
    char *text;
    struct acl *acl = acl_alloc(&z, &text);
    struct rule *r = acl->rules;
    uint32_t used = 0;

    for (size_t i = 0; i < n; i++)
        s[i].policy = keep(&text, s[i].policy);
    for (; acl->n_templates < out->n_names; acl->n_templates++)
        acl->templates[acl->n_templates] = keep(&text, out->names[acl->n_templates]);
    for (; acl->n_starts < out->n_starts; acl->n_starts++)
        acl->templates[acl->n_templates + acl->n_starts] = keep(&text, out->starts[acl->n_starts]);
    for (size_t i = 0, end; i < n; i = end, r++) {
        for (end = i + 1; end < n && same_key(s[end].rule, s[i].rule); end++)
            ;
        *r = merge(&s[i], end - i, &acl->arena);
        r->path = keep(&text, r->path);
        grant(acl, r, &s[i], end - i, &used);
        acl->n_exact += class_of(s[i].rule) == 0;
        acl->n_prefix += class_of(s[i].rule) == 1;
        acl->n_segments += class_of(s[i].rule) == 2;
    }
    link_prefixes(acl->rules + acl->n_exact, acl->n_prefix);
    if (acl->n_segments)
        qsort(acl->rules + acl->n_exact + acl->n_prefix, acl->n_segments, sizeof(struct rule), by_rank);
    fill_slots(acl);
    return acl;
}

static int by_text(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

static void leave_out(struct left_out *out, const struct policy_rule *r)
{
    for (size_t i = 0; i < r->n_parts; i++)
        if (r->parts[i].is_name)
            out->names[out->n_names++] = r->parts[i].text;
    out->starts[out->n_starts++] = str_slice(r->parts[0].text, 0, str_index(r->parts[0].text, '+'));
}

static void names_once(struct left_out *out)
{
    size_t kept = 0;

    if (out->n_names)
        qsort(out->names, out->n_names, sizeof(str), by_text);
    for (size_t i = 0; i < out->n_names; i++)
        if (kept == 0 || !str_eq(out->names[i], out->names[kept - 1]))
            out->names[kept++] = out->names[i];
    out->n_names = kept;
}

/* The rules to compile: those without names as they are, the others with their values or, without any,
 * left out. */
static size_t take_rules(struct arena *a, const struct policy *p, const struct template_values *values,
                         struct source *to, size_t order, struct left_out *out)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n; i++) {
        const struct policy_rule *r = &p->rules[i];
        struct policy_rule *rendered = r->templated && values ? ARENA_NEW(a, struct policy_rule) : NULL;

        if (r->templated && !values)
            leave_out(out, r);
        else if (!rendered || template_render(a, r, values, rendered)) {
            to[n] = (struct source){rendered ? rendered : r, p->name, order + n};
            n++;
        }
    }
    return n;
}

struct acl *acl_compile(const struct policy *const *policies, size_t n, bool is_root,
                        const struct template_values *values)
{
    struct arena *scratch = arena_new(0);
    size_t rules = 0, parts = 0, used = 0;

    for (size_t i = 0; i < n; i++) {
        rules += policies[i]->n;
        for (size_t k = 0; k < policies[i]->n; k++)
            parts += policies[i]->rules[k].n_parts;
    }
    struct source *s = ARENA_ARRAY(scratch, struct source, rules);
    struct left_out out = {ARENA_ARRAY(scratch, str, parts), ARENA_ARRAY(scratch, str, rules), 0, 0};

    for (size_t i = 0; i < n; i++)
        used += take_rules(scratch, policies[i], values, &s[used], used, &out);
    if (used)
        qsort(s, used, sizeof *s, by_class_and_path);
    names_once(&out);
    struct acl *acl = build(s, used, &out);

    acl->is_root = is_root;
    arena_free(scratch);
    return acl;
}

struct acl *acl_ref(struct acl *a)
{
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
    return a;
}

void acl_unref(struct acl *a)
{
    if (!a || atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1)
        return;
    arena_free(a->arena);
    free(a);
}

const str *acl_templates(const struct acl *a, size_t *ret_n)
{
    *ret_n = a->n_templates;
    return a->templates;
}

bool acl_template_may_match(const struct acl *a, str path)
{
    while (str_starts(path, STR("/")))
        path = str_from(path, 1);
    for (uint32_t i = 0; i < a->n_starts; i++)
        if (str_starts(path, a->templates[a->n_templates + i]))
            return true;
    return false;
}

/* ---- deciding ---- */

static const struct rule *find_exact(const struct acl *acl, str path)
{
    uint32_t at = (uint32_t)str_hash(path) & acl->slot_mask;

    for (; acl->slots[at] != NO_RULE; at = (at + 1) & acl->slot_mask)
        if (str_eq(acl->rules[acl->slots[at]].path, path))
            return &acl->rules[acl->slots[at]];
    return NULL;
}

/* The greatest prefix not above `path` begins with every prefix of `path` that is in the set; its links lead
 * to the longest. */
static const struct rule *find_prefix(const struct acl *acl, str path)
{
    const struct rule *v = acl->rules + acl->n_exact;
    uint32_t low = 0, high = acl->n_prefix;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (str_cmp(v[middle].path, path) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (uint32_t i = low ? low - 1 : NO_RULE; i != NO_RULE; i = v[i].parent)
        if (str_starts(path, v[i].path))
            return &v[i];
    return NULL;
}

static bool segments_match(const struct rule *r, str path)
{
    str left = r->path, segment, part;

    if (path.n < r->first_wildcard || memcmp(path.p, left.p, r->first_wildcard) != 0)
        return false;
    for (;;) {
        bool more = str_cut(left, '/', &segment, &left);
        bool more_path = str_cut(path, '/', &part, &path);

        if (!str_eq(segment, STR("+")) && !str_eq(segment, part) &&
            (more || !r->prefix || !str_starts(part, segment)))
            return false;
        if (!more)
            return r->prefix || !more_path;
        if (!more_path)
            return false;
    }
}

static const struct rule *find(const struct acl *acl, str path, bool list)
{
    const struct rule *r = find_exact(acl, path);
    const struct rule *segments = acl->rules + acl->n_exact + acl->n_prefix;

    if (!r && list && str_ends(path, STR("/")))
        r = find_exact(acl, str_slice(path, 0, path.n - 1));
    if (r)
        return r;
    r = find_prefix(acl, path);
    for (uint32_t i = 0; i < acl->n_segments && (!r || rank(&segments[i], r) > 0); i++)
        if (segments_match(&segments[i], path))
            return &segments[i];
    return r;
}

bool acl_reaches(const struct acl *acl, str path)
{
    uint32_t n = acl->n_exact + acl->n_prefix + acl->n_segments;
    const struct rule *r = acl->is_root ? NULL : find(acl, path, false);

    if (acl->is_root || (r && r->capabilities && !(r->capabilities & CAP_DENY)))
        return true;
    for (uint32_t i = 0; i < n; i++) {
        const struct rule *below = &acl->rules[i];
        str start = str_slice(below->path, 0, below->segments ? below->first_wildcard : below->path.n);
        bool allows = below->capabilities && !(below->capabilities & CAP_DENY);

        if (allows && (str_starts(start, path) || (below->segments && str_starts(path, start))))
            return true;
    }
    return false;
}

static struct acl_rule shown(const struct rule *r)
{
    return (struct acl_rule){
        r->path,       r->prefix, r->capabilities, r->min_wrapping_ttl_ns, r->max_wrapping_ttl_ns,
        r->parameters, r};
}

bool acl_rule_at(const struct acl *acl, uint32_t i, struct acl_rule *ret)
{
    if (i >= acl->n_exact + acl->n_prefix)
        return false;
    *ret = shown(&acl->rules[i]);
    return true;
}

static int grant_bit(enum op op)
{
    switch (op) {
    case OP_CREATE: return 0;
    case OP_READ: return 1;
    case OP_UPDATE: return 2;
    case OP_DELETE: return 3;
    case OP_LIST: return 4;
    case OP_PATCH: return 7;
    default: return -1;
    }
}

static const struct rule *rule_of(const struct acl *acl, enum op op, str path)
{
    while (str_starts(path, STR("/")))
        path = str_from(path, 1);
    return find(acl, path, op == OP_LIST);
}

bool acl_rule_of(const struct acl *acl, enum op op, str path, struct acl_rule *ret)
{
    const struct rule *r = acl->is_root || op == OP_HELP ? NULL : rule_of(acl, op, path);

    if (r)
        *ret = shown(r);
    return r != NULL;
}

const str *acl_rule_carriers(const struct acl *acl, const struct acl_rule *r, enum capability c,
                             size_t *ret_n)
{
    unsigned bit = (unsigned)__builtin_ctz(c);

    *ret_n = r->rule->grants[bit].n;
    return acl->names + r->rule->grants[bit].from;
}

void acl_decide(const struct acl *acl, enum op op, str path, struct acl_result *ret)
{
    _Static_assert(CAP_CREATE == 1 << 0 && CAP_READ == 1 << 1 && CAP_UPDATE == 1 << 2 &&
                       CAP_DELETE == 1 << 3 && CAP_LIST == 1 << 4 && CAP_PATCH == 1 << 7,
                   "grant_bit");
    int bit = grant_bit(op);

    *ret = (struct acl_result){0};
    if (acl->is_root) {
        *ret = (struct acl_result){
            .allowed = true, .is_root = true, .sudo = true, .granting = &root_name, .n_granting = 1};
        return;
    }
    if (op == OP_HELP) {
        ret->allowed = true;
        return;
    }
    const struct rule *r = rule_of(acl, op, path);

    if (!r)
        return;
    ret->capabilities = r->capabilities;
    ret->sudo = r->capabilities & CAP_SUDO;
    if (bit < 0 || !(r->capabilities & 1u << bit))
        return;
    ret->allowed = true;
    ret->granting = acl->names + r->grants[bit].from;
    ret->n_granting = r->grants[bit].n;
    ret->min_wrapping_ttl_ns = r->min_wrapping_ttl_ns;
    ret->max_wrapping_ttl_ns = r->max_wrapping_ttl_ns;
    ret->parameters = r->parameters;
}

bool acl_result_allows_wrapping(const struct acl_result *r, int64_t wrap_ttl_ns)
{
    if (r->max_wrapping_ttl_ns && (wrap_ttl_ns == 0 || wrap_ttl_ns > r->max_wrapping_ttl_ns))
        return false;
    return !r->min_wrapping_ttl_ns || wrap_ttl_ns >= r->min_wrapping_ttl_ns;
}

bool acl_result_allows_data(const struct acl_result *r, enum op op, const struct json *data)
{
    bool asked = op == OP_READ || op == OP_CREATE || op == OP_UPDATE || op == OP_PATCH;

    return !r->parameters || !asked || parameters_permit(r->parameters, data);
}

enum acl_lack acl_judge(const struct acl_result *r, enum op op, const struct json *data, int64_t wrap_ttl_ns,
                        bool needs_sudo)
{
    if (!r->allowed)
        return ACL_LACKS_CAPABILITY;
    if (!acl_result_allows_data(r, op, data))
        return ACL_LACKS_DATA;
    if (!acl_result_allows_wrapping(r, wrap_ttl_ns))
        return ACL_LACKS_WRAPPING;
    return needs_sudo && !r->sudo ? ACL_LACKS_SUDO : ACL_LACKS_NOTHING;
}
