#include "core/policy/template.h"

#include "base/buf.h"
#include "core/policy/policy.h"

/* ---- parsing ---- */

static struct error *unbalanced(struct arena *a)
{
    return error_new(a, ERR_BAD_REQUEST,
                     "failed to validate policy templating: unbalanced templating characters");
}

struct error *template_parse(struct arena *a, str path, struct path_part **ret, size_t *ret_n,
                             bool *ret_templated)
{
    struct path_part *v = NULL;
    size_t n = 0;
    str left = path;

    *ret_templated = false;
    for (;;) {
        size_t open = str_find(left, STR("{{"));

        if (str_find(left, STR("}}")) < open)
            return unbalanced(a);
        v = arena_grow(a, v, n * sizeof *v, (n + 2) * sizeof *v);
        v[n++] = (struct path_part){str_slice(left, 0, open), false};
        if (open == left.n)
            break;
        str inner = str_from(left, open + 2);
        size_t end = str_find(inner, STR("}}"));

        if (end == inner.n || str_find(str_slice(inner, 0, end), STR("{{")) < end)
            return unbalanced(a);
        v[n++] = (struct path_part){str_trim(str_slice(inner, 0, end)), true};
        left = str_from(inner, end + 2);
        *ret_templated = true;
    }
    if (str_starts(v[0].text, STR("/")))
        v[0].text = str_from(v[0].text, 1);
    if (str_ends(v[n - 1].text, STR("*")))
        v[n - 1].text.n--;
    *ret = v;
    *ret_n = n;
    return NULL;
}

str template_shape(struct arena *a, const struct path_part *v, size_t n)
{
    struct buf b;

    buf_init(&b, a, SIZE_MAX);
    for (size_t i = 0; i < n; i++)
        buf_put_str(&b, v[i].is_name ? STR("x") : v[i].text);
    return buf_str(&b);
}

/* ---- rendering ---- */

static str value_named(const struct template_values *values, str name)
{
    size_t low = 0, high = values->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int d = str_cmp(values->names[middle], name);

        if (d == 0)
            return values->values[middle];
        if (d < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return (str){0};
}

/* A value that is more than a piece of one segment, or reads as a wildcard where there are some, would
 * make the rule one for other paths: it then says nothing, unless it denies. */
bool template_render(struct arena *a, const struct policy_rule *r, const struct template_values *values,
                     struct policy_rule *ret)
{
    struct buf b;

    buf_init(&b, a, SIZE_MAX);
    for (size_t i = 0; i < r->n_parts; i++) {
        str text = r->parts[i].text;

        if (r->parts[i].is_name) {
            text = value_named(values, text);
            if (text.n == 0)
                return false;
            if (r->capabilities != CAP_DENY &&
                (memchr(text.p, '/', text.n) || (r->segments && memchr(text.p, '+', text.n))))
                return false;
        }
        buf_put_str(&b, text);
    }
    *ret = *r;
    ret->path = buf_str(&b);
    return true;
}
