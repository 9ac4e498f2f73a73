/* Any path in a table with all kinds of templates: the template of the route found, with the values put back,
 * is the path. */
#include "core/route.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct error *nothing(struct request *rq, struct response *rs)
{
    (void)rq;
    (void)rs;
    return NULL;
}

#define READ  .ops = {[OP_READ] = {nothing}}
#define LISTS .ops = {[OP_LIST] = {nothing}}

static const struct route routes[] = {
    {"a", READ},          {"a/{x}", READ},          {"a/b", READ},
    {"a/{x}/b", LISTS},   {"a/b/{y}/{z}", READ},    {"b/{x...}", READ},
    {"b/{x...}/t", READ}, {"b/{x...}/u/t", READ},   {"{x}", READ},
    {"{x}/a", READ},      {"{x}/{y}/{z...}", READ}, {0},
};
static const struct route *const tables[] = {routes};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct route_table *t = route_table_new(tables, 1);
    str path = {(const char *)data, size}, params[REQUEST_PARAMS_MAX] = {0}, built = {0};
    const struct route *r = route_match(t, path, params);

    if (r) {
        str template = str_from_cstr(r->path);
        struct route_segment s;
        size_t n = 0;

        while (route_next_segment(&template, &s)) {
            str part = s.kind == SEGMENT_LITERAL ? s.text : params[n++];

            if (s.kind == SEGMENT_NAME && (part.n == 0 || str_index(part, '/') < part.n))
                abort();
            built = arena_join(a, built, part);
            if (template.n || str_ends(str_from_cstr(r->path), STR("/")))
                built = arena_join(a, built, STR("/"));
        }
        if (!str_eq(built, path) && !str_eq(arena_join(a, built, STR("/")), path) &&
            !str_eq(built, arena_join(a, path, STR("/"))))
            abort();
    }
    route_table_free(t);
    arena_free(a);
    return 0;
}
