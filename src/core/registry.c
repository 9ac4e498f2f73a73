/* registry: the engines of this program, their routes compiled once, for the life of the core. */
#include "base/log.h"
#include "core/active_private.h"
#include "core/identity/identity.h"

#include <stdlib.h>

static size_t count_tables(const struct engine *e)
{
    size_t n = e->routes ? 1 : 0;

    for (const struct route *const *t = e->more_routes; t && *t; t++)
        n++;
    return n;
}

static void compile_engine(struct engine_entry *entry, const struct engine *e)
{
    size_t n = 0;
    const struct route **tables = calloc(count_tables(e) + 1, sizeof(*tables));

    if (!tables)
        die("out of memory");
    if (e->routes)
        tables[n++] = e->routes;
    for (const struct route *const *t = e->more_routes; t && *t; t++)
        tables[n++] = *t;
    entry->engine = e;
    entry->routes = route_table_new(tables, n);
    free(tables);
}

void core_compile_engines(struct core *c)
{
    static const struct engine *const own[] = {&sys_engine, &token_engine, &cubbyhole_engine,
                                               &identity_engine};
    size_t n = COUNT_OF(own), more = 0, methods = 0;

    while (c->config.engines && c->config.engines[more])
        more++;
    while (c->config.methods && c->config.methods[methods])
        methods++;
    c->engines = calloc(n + more + methods + 1, sizeof(*c->engines));
    if (!c->engines)
        die("out of memory");
    for (size_t i = 0; i < n; i++)
        compile_engine(&c->engines[i], own[i]);
    for (size_t i = 0; i < more; i++)
        compile_engine(&c->engines[n + i], c->config.engines[i]);
    for (size_t i = 0; i < methods; i++)
        compile_engine(&c->engines[n + more + i], c->config.methods[i]);
}

const struct engine_entry *core_engine_find(struct core *c, str type, enum engine_kind kind)
{
    for (const struct engine_entry *e = c->engines; e->engine; e++)
        if (e->engine->kind == kind && str_eq(str_from_cstr(e->engine->type), type))
            return e;
    return NULL;
}
