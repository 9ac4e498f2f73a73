/* acl_reference: the rules of ACL matching said once more, slowly: every rule is tried for every question. */
#pragma once
#include "core/policy/policy.h"

#include <stdlib.h>

struct reference_rule {
    const struct policy_rule *rule;
    unsigned capabilities;
};

static inline size_t split(struct arena *a, str path, str **ret)
{
    size_t n = 1;

    for (size_t i = 0; i < path.n; i++)
        n += path.p[i] == '/';
    *ret = ARENA_ARRAY(a, str, n);
    for (size_t i = 0; i < n; i++)
        str_cut(path, '/', &(*ret)[i], &path);
    return n;
}

static inline bool reference_matches(struct arena *a, const struct policy_rule *r, str path)
{
    str *segments, *parts;

    if (!r->segments)
        return r->prefix && str_starts(path, r->path);
    size_t n = split(a, r->path, &segments), n_parts = split(a, path, &parts);

    if (n_parts < n || (n_parts > n && !r->prefix))
        return false;
    for (size_t i = 0; i < n; i++) {
        bool last_of_prefix = r->prefix && i == n - 1;

        if (!str_eq(segments[i], STR("+")) && !str_eq(segments[i], parts[i]) &&
            !(last_of_prefix && str_starts(parts[i], segments[i])))
            return false;
    }
    return true;
}

static inline size_t pluses(struct arena *a, const struct policy_rule *r)
{
    str *segments;
    size_t n = split(a, r->path, &segments), count = 0;

    for (size_t i = 0; i < n && r->segments; i++)
        count += str_eq(segments[i], STR("+"));
    return count;
}

/* Is x preferred over y? */
static inline bool reference_better(struct arena *a, const struct policy_rule *x, const struct policy_rule *y)
{
    size_t at_x = x->segments ? str_index(x->path, '+') : x->path.n,
           at_y = y->segments ? str_index(y->path, '+') : y->path.n;

    if (at_x != at_y)
        return at_x > at_y;
    if (x->prefix != y->prefix)
        return !x->prefix;
    if (pluses(a, x) != pluses(a, y))
        return pluses(a, x) < pluses(a, y);
    if (x->path.n != y->path.n)
        return x->path.n > y->path.n;
    return str_cmp(x->path, y->path) > 0;
}

static inline bool same_path(const struct policy_rule *x, const struct policy_rule *y)
{
    return str_eq(x->path, y->path) && x->prefix == y->prefix && x->segments == y->segments;
}

/* The capabilities of the deciding rule; 0 when none matches. */
static inline unsigned reference_capabilities(const struct policy *const *policies, size_t n, str path,
                                              bool list)
{
    struct arena *a = arena_new(0);
    const struct policy_rule *best = NULL;
    unsigned capabilities = 0;
    str shorter = list && str_ends(path, STR("/")) ? str_slice(path, 0, path.n - 1) : path;

    for (int pass = 0; pass < 3 && !best; pass++)
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < policies[i]->n; k++) {
                const struct policy_rule *r = &policies[i]->rules[k];
                bool exact = !r->prefix && !r->segments;

                if (r->templated)
                    continue;
                if (pass < 2 ? exact && str_eq(r->path, pass ? shorter : path)
                             : reference_matches(a, r, path) && (!best || reference_better(a, r, best)))
                    best = r;
            }
    for (size_t i = 0; best && i < n; i++)
        for (size_t k = 0; k < policies[i]->n; k++)
            if (!policies[i]->rules[k].templated && same_path(best, &policies[i]->rules[k]))
                capabilities |= policies[i]->rules[k].capabilities;
    arena_free(a);
    return capabilities & CAP_DENY ? CAP_DENY : capabilities;
}

static inline unsigned capability_of(enum op op)
{
    switch (op) {
    case OP_READ: return CAP_READ;
    case OP_CREATE: return CAP_CREATE;
    case OP_UPDATE: return CAP_UPDATE;
    case OP_PATCH: return CAP_PATCH;
    case OP_DELETE: return CAP_DELETE;
    case OP_LIST: return CAP_LIST;
    default: return 0;
    }
}

/* Aborts when the compiled set answers otherwise. */
static inline void reference_check(const struct acl *acl, const struct policy *const *policies, size_t n,
                                   enum op op, str path)
{
    struct acl_result r;
    str bare = path;

    while (str_starts(bare, STR("/")))
        bare = str_from(bare, 1);
    unsigned want = reference_capabilities(policies, n, bare, op == OP_LIST);

    acl_decide(acl, op, path, &r);
    if (op == OP_HELP) {
        if (!r.allowed)
            abort();
        return;
    }
    if (r.capabilities != want || r.allowed != ((want & capability_of(op)) != 0) ||
        r.sudo != ((want & CAP_SUDO) != 0) || (r.n_granting > 0) != r.allowed)
        abort();
}
