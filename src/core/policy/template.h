/* template: paths of rules that name the identity behind a token: `secret/{{identity.entity.name}}/x`.
 *
 * Source: docs/formats/policy.md, "Templates". A value is one literal piece of a segment: what the rule's
 * wildcards are is decided by its text alone.
 */
#pragma once
#include "core/identity/identity.h"

struct path_part { /* of a templated path, without the '/' it may begin with and the '*' it may end with */
    str text;
    bool is_name; /* of a value; else text as it is */
};

/* The parts of a path; ret_templated: one of them is a name. Errors: braces that do not pair. */
struct error *template_parse(struct arena *a, str path, struct path_part **ret, size_t *ret_n,
                             bool *ret_templated) MUST_USE;
/* The path with a letter in place of each name: its wildcards are those of every rendering. */
str template_shape(struct arena *a, const struct path_part *v, size_t n);

struct template_values { /* sorted by name; a value that is empty: there is none */
    const str *names, *values;
    size_t n;
};

/* Empty: there is none. */
str template_value(str name, const struct entity *e, const struct group *const *groups, size_t n_groups);
/* Of each of these names, sorted. The groups are looked up only if one is asked for. */
struct error *template_values_of(struct request *rq, const struct entity *e, const str *names, size_t n,
                                 struct template_values *ret) MUST_USE;

struct policy_rule;
/* The rule with its values, ret->path in `a`; false: it says nothing. */
bool template_render(struct arena *a, const struct policy_rule *r, const struct template_values *values,
                     struct policy_rule *ret);
