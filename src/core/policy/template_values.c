/* template_values: what an identity gives for the names in a template. */
#include "core/policy/template.h"

static bool cut_start(str *s, str start)
{
    if (!str_starts(*s, start))
        return false;
    *s = str_from(*s, start.n);
    return true;
}

static str of_pairs(const struct identity_pair *v, size_t n, str key)
{
    bool found;

    return identity_pair_get(v, n, key, &found);
}

static str of_alias(str name, const struct entity_alias *a)
{
    if (str_eq(name, STR("id")))
        return a->id;
    if (str_eq(name, STR("name")))
        return a->name;
    if (cut_start(&name, STR("metadata.")))
        return of_pairs(a->metadata, a->n_metadata, name);
    if (cut_start(&name, STR("custom_metadata.")))
        return of_pairs(a->custom_metadata, a->n_custom_metadata, name);
    return (str){0};
}

static str of_entity(str name, const struct entity *e)
{
    if (str_eq(name, STR("id")))
        return e->id;
    if (str_eq(name, STR("name")))
        return e->name;
    if (cut_start(&name, STR("metadata.")))
        return of_pairs(e->metadata, e->n_metadata, name);
    str accessor, rest;

    if (!cut_start(&name, STR("aliases.")) || !str_cut(name, '.', &accessor, &rest))
        return (str){0};
    const struct entity_alias *alias = entity_alias_of(e, accessor);

    return alias ? of_alias(rest, alias) : (str){0};
}

static str of_group(str name, const struct group *const *groups, size_t n)
{
    bool by_id = cut_start(&name, STR("ids."));
    str which, rest;

    if ((!by_id && !cut_start(&name, STR("names."))) || !str_cut(name, '.', &which, &rest))
        return (str){0};
    for (size_t i = 0; i < n; i++) {
        const struct group *g = groups[i];

        if (!str_eq(by_id ? g->id : g->name, which))
            continue;
        if (str_eq(rest, STR("id")))
            return g->id;
        if (str_eq(rest, STR("name")))
            return g->name;
        return cut_start(&rest, STR("metadata.")) ? of_pairs(g->metadata, g->n_metadata, rest) : (str){0};
    }
    return (str){0};
}

str template_value(str name, const struct entity *e, const struct group *const *groups, size_t n_groups)
{
    if (cut_start(&name, STR("identity.entity.")))
        return of_entity(name, e);
    return cut_start(&name, STR("identity.groups.")) ? of_group(name, groups, n_groups) : (str){0};
}

struct error *template_values_of(struct request *rq, const struct entity *e, const str *names, size_t n,
                                 struct template_values *ret)
{
    const struct group *const *groups = NULL;
    str *values = ARENA_ARRAY(rq->arena, str, n);
    size_t n_groups = 0;
    bool asked = false;

    for (size_t i = 0; i < n; i++) {
        if (str_starts(names[i], STR("identity.groups.")) && !asked) {
            TRY(identity_groups_for(rq, e, &groups, &n_groups));
            asked = true;
        }
        values[i] = template_value(names[i], e, groups, n_groups);
    }
    *ret = (struct template_values){names, values, n};
    return NULL;
}
