#include "sweep.h"

#include "core/active_private.h"
#include "crypto/crypto.h"

/* ---- what stands for a value ---- */

static const struct {
    const char *name, *value;
} path_values[] = {{"tag", "root"}, {"source", "platform"}, {"urlbytes", "16"}, {"urlalgorithm", "sha2-256"}};

static str usual(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(path_values); i++)
        if (strcmp(path_values[i].name, name) == 0)
            return str_from_cstr(path_values[i].value);
    return STR("sweep");
}

static const struct {
    const char *mount, *route, *body;
} bodies[] = {
    {"sys/", "mounts/{path...}", "{\"type\":\"kv\"}"},
    {"sys/", "auth/{path...}", "{\"type\":\"userpass\"}"},
    {"sys/", "audit/{path...}", "{\"type\":\"file\",\"options\":{\"file_path\":\"/dev/null\"}}"},
    {"sys/", "policy/{name...}", "{\"policy\":\"path \\\"a\\\" { }\"}"},
    {"sys/", "policies/acl/{name...}", "{\"policy\":\"path \\\"a\\\" { }\"}"},
    {"sys/", "config/ui/headers/{header}", "{\"values\":[\"a\"]}"},
    {"sys/", "tools/hash", "{\"input\":\"YQ==\"}"},
    {"sys/", "tools/hash/{urlalgorithm}", "{\"input\":\"YQ==\"}"},
    {"sys/", "remount", "{\"from\":\"nosuch\",\"to\":\"other\"}"},
    {"sys/", "wrapping/wrap", "{\"v\":\"w\"}"},
    {"sys/", "quotas/rate-limit/{name}", "{\"rate\":1000000000,\"path\":\"cubbyhole/sweep\"}"},
    {"secret/", "{path...}", "{\"v\":\"1\"}"},
    {"cubbyhole/", "{path...}", "{\"v\":\"1\"}"},
    {"kv2/", "data/{path...}", "{\"data\":{\"v\":\"1\"}}"},
    {"kv2/", "metadata/{path...}", "{\"max_versions\":3}"},
    {"kv2/", "delete/{path...}", "{\"versions\":[1]}"},
    {"kv2/", "undelete/{path...}", "{\"versions\":[1]}"},
    {"kv2/", "destroy/{path...}", "{\"versions\":[1]}"},
    {"auth/up/", "users/{username}/policies", "{\"policies\":\"a\"}"},
};

struct json *sweep_body(struct arena *a, const struct sweep_op *o)
{
    struct json *v = json_object(a);

    for (size_t i = 0; i < COUNT_OF(bodies) && o->op == OP_UPDATE; i++)
        if (strcmp(bodies[i].mount, o->mount) == 0 && strcmp(bodies[i].route, o->route->path) == 0)
            assert_ok(json_parse(a, str_from_cstr(bodies[i].body), false, &v));
    return v;
}

str sweep_path(struct arena *a, const struct sweep_op *o, const char *name, str value)
{
    str path = str_from_cstr(o->mount), t = str_from_cstr(o->route->path);
    struct route_segment s;
    bool first = true;

    while (route_next_segment(&t, &s)) {
        str text = s.text;

        if (s.kind != SEGMENT_LITERAL)
            text = name && str_eq(s.text, str_from_cstr(name)) ? value : usual(arena_cstr(a, s.text));
        path = arena_fmt(a, "%.*s%s%.*s", PSTR(path), first ? "" : "/", PSTR(text));
        first = false;
    }
    return path;
}

/* ---- the list ---- */

bool sweep_op_writes(const struct sweep_op *o)
{
    return o->op == OP_UPDATE || o->op == OP_PATCH || o->op == OP_DELETE;
}

bool sweep_op_stops(const struct sweep_op *o)
{
    return (o->flags & ROUTE_CONTROL) != 0;
}

static void add_route(const struct mount *m, const struct route *r, const char *mount, struct sweep_op *v,
                      size_t *n)
{
    for (int op = 0; op < OP_COUNT_; op++) {
        bool has = r->ops[op].fn != NULL;

        if (op == OP_CREATE || (op == OP_UPDATE && !has && r->ops[OP_CREATE].fn))
            has = op == OP_UPDATE;
        if (has && v)
            v[*n] = (struct sweep_op){mount, m->engine, r, (enum op)op, r->flags | r->ops[op].flags};
        *n += has;
    }
}

static void add_table(const struct mount *m, const struct route *t, const char *mount, struct sweep_op *v,
                      size_t *n)
{
    for (const struct route *r = t; r && r->path; r++)
        add_route(m, r, mount, v, n);
}

static void add_all(struct harness *h, struct sweep_op *v, size_t *n)
{
    struct snapshot *s = snapshot_hold(h->core->active);
    const struct mount_table *t = &s->mounts->table;

    *n = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct mount *m = &t->mounts[i];
        const char *mount = arena_cstr(h->arena, m->path);

        if (!m->engine)
            continue;
        add_table(m, m->engine->routes, mount, v, n);
        for (const struct route *const *more = m->engine->more_routes; more && *more; more++)
            add_table(m, *more, mount, v, n);
    }
    snapshot_drop(s);
}

const struct sweep_op *sweep_of(struct harness *h, size_t *ret_n)
{
    add_all(h, NULL, ret_n);
    struct sweep_op *v = ARENA_ARRAY(h->arena, struct sweep_op, *ret_n);

    add_all(h, v, ret_n);
    assert_true(*ret_n > 100);
    return v;
}

void sweep_mounts(struct harness *h)
{
    harness_mount(h, "secret", "kv");
    harness_must(h, 204, OP_UPDATE, "sys/mounts/kv2", "{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}");
    harness_must(h, 204, OP_UPDATE, "sys/auth/up", "{\"type\":\"userpass\"}");
    harness_must(h, 204, OP_UPDATE, "auth/up/users/ann", "{\"password\":\"right\"}");
    harness_must(h, 204, OP_UPDATE, "sys/auth/ar", "{\"type\":\"approle\"}");
    harness_must(h, 204, OP_UPDATE, "auth/ar/role/sweep", "{\"role_id\":\"sweep\"}");
    harness_must(h, 204, OP_UPDATE, "secret/kept", "{\"v\":\"kept\"}");
}

/* ---- the store ---- */

static void put_store(struct harness *h, struct arena *a, str prefix, struct buf *b)
{
    str *names;
    size_t n;

    assert_ok(storage_list(h->storage, a, prefix, &names, &n));
    for (size_t i = 0; i < n; i++) {
        str path = arena_join(a, prefix, names[i]);
        bytes value;

        if (str_ends(names[i], STR("/"))) {
            put_store(h, a, path, b);
            continue;
        }
        assert_ok(storage_get(h->storage, a, path, &value));
        buf_put_fmt(b, "%.*s %zu ", PSTR(path), value.n);
        buf_put_str(b, str_from_bytes(value));
    }
}

str sweep_store_digest(struct harness *h, struct arena *a)
{
    uint8_t digest[SHA256_BYTES];
    struct buf b;

    buf_init(&b, a, SIZE_MAX);
    put_store(h, a, (str){0}, &b);
    sha256(digest, bytes_from_str(buf_str(&b)), (bytes){0});
    return hex_encode(a, (bytes){digest, sizeof(digest)});
}
