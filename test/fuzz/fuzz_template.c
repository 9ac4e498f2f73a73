/* A path with names, a value for all of them, and a path asked for, one a line. Whatever the value: a rule
 * that is no prefix allows paths of as many segments as its text has, and one without '+' only paths that
 * begin and end as its text does. */
#include "core/policy/policy.h"

#include <assert.h>

static size_t slashes(str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '/';
    return n;
}

static void check(struct arena *a, const struct policy *p, str value, str asked)
{
    const struct policy_rule *r = &p->rules[0];
    struct acl *plain = acl_compile(&p, 1, false, NULL);
    size_t n;
    const str *names = acl_templates(plain, &n);
    str *values = ARENA_ARRAY(a, str, n);
    str shape = r->templated ? template_shape(a, r->parts, r->n_parts) : r->path;
    struct acl_result d;

    for (size_t i = 0; i < n; i++)
        values[i] = value;
    struct acl *acl = acl_compile(&p, 1, false, &(struct template_values){names, values, n});

    acl_decide(acl, OP_READ, asked, &d);
    while (str_starts(asked, STR("/")))
        asked = str_from(asked, 1);
    if (d.allowed) {
        assert(r->prefix ? slashes(asked) >= slashes(shape) : slashes(asked) == slashes(shape));
        assert(!r->templated || acl_template_may_match(plain, asked));
        if (r->templated && !r->segments) {
            assert(str_starts(asked, r->parts[0].text));
            assert(r->prefix || str_ends(asked, r->parts[r->n_parts - 1].text));
        }
    }
    acl_unref(acl);
    acl_unref(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(16 * 1024 * 1024);
    str rest = {(const char *)data, size}, path, value;
    struct json *root = json_object(a), *paths = json_object(a), *rule = json_object(a),
                *read = json_array(a);
    struct policy *p;

    str_cut(rest, '\n', &path, &rest);
    str_cut(rest, '\n', &value, &rest);
    json_append(a, read, json_string(a, STR("read")));
    json_set(a, rule, STR("capabilities"), read);
    json_set(a, paths, path, rule);
    json_set(a, root, STR("path"), paths);
    if (!policy_parse(a, STR("p"), json_text(a, root), &p) && p->n == 1)
        check(a, p, value, rest);
    arena_free(a);
    return 0;
}
