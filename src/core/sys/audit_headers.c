/* audit_headers: sys/config/auditing/request-headers: which request headers audit entries show. Stored form:
 * docs/formats/audit.md. */
#include "core/active.h"
#include "core/audit/audit.h"
#include "core/sys/sys.h"

static struct error *load(struct request *rq, struct json **ret)
{
    struct view v = txn_view(rq->txn, SPACE_SYS);

    TRY(view_get_json(&v, AUDITED_HEADERS_PATH, ret));
    if (!*ret || (*ret)->type != JSON_OBJECT)
        *ret = json_object(rq->arena);
    return NULL;
}

static void publish(struct active *a, void *arg)
{
    active_publish_audit_set(a, arg);
}

static void drop(void *arg)
{
    audit_set_unref(arg);
}

static struct error *save(struct request *rq, struct json *headers)
{
    struct view v = txn_view(rq->txn, SPACE_SYS);
    struct audit_set *now;

    TRY(view_put_json(&v, AUDITED_HEADERS_PATH, headers));
    now = active_audit_set(rq->active);
    txn_on_commit(rq->txn, publish, drop, audit_set_with_headers(now, headers));
    audit_set_unref(now);
    return NULL;
}

static struct json *shown(struct arena *a, const struct json *stored)
{
    struct json *o = json_object(a);

    json_set_bool(a, o, STR("hmac"), json_get_bool(stored, STR("hmac")));
    return o;
}

static struct error *headers_list(struct request *rq, struct response *rs)
{
    struct json *all, *out = json_object(rq->arena);

    TRY(load(rq, &all));
    for (uint32_t i = 0; i < all->n; i++)
        json_set(rq->arena, out, all->members[i].key, shown(rq->arena, all->members[i].value));
    json_set(rq->arena, response_data(rq, rs), STR("headers"), out);
    return NULL;
}

static struct error *header_read(struct request *rq, struct response *rs)
{
    str name = field_str(rq, "header");
    struct json *all, *one;

    TRY(load(rq, &all));
    one = json_get(all, arena_lower(rq->arena, name));
    if (!one)
        return fail(rq, ERR_BAD_REQUEST, "Could not find header in config");
    json_set(rq->arena, response_data(rq, rs), name, shown(rq->arena, one));
    return NULL;
}

static struct error *header_write(struct request *rq, struct response *rs)
{
    str name = arena_lower(rq->arena, field_str(rq, "header"));
    struct json *all, *one;

    (void)rs;
    TRY(txn_exclusive(rq->txn)); /* entries are made with what is in memory */
    TRY(load(rq, &all));
    one = json_get(all, name);
    if (!one || one->type != JSON_OBJECT)
        json_set(rq->arena, all, name, one = json_object(rq->arena));
    json_set_bool(rq->arena, one, STR("hmac"), field_bool(rq, "hmac"));
    return save(rq, all);
}

static struct error *header_delete(struct request *rq, struct response *rs)
{
    str name = arena_lower(rq->arena, field_str(rq, "header"));
    struct json *all;

    (void)rs;
    TRY(txn_exclusive(rq->txn));
    TRY(load(rq, &all));
    if (!json_get(all, name))
        return NULL;
    json_unset(all, name);
    return save(rq, all);
}

static const struct field header_fields[] = {
    {"header", FT_STRING, FIELD_PATH, "Name of the header."},
    {"hmac", FT_BOOL, 0, "Whether its values are hashed.", "false"},
    {0},
};

/* clang-format off */
const struct route sys_audit_header_routes[] = {
    {"config/auditing/request-headers", .ops = {[OP_READ] = {headers_list}},
     .flags = ROUTE_SUDO | ROUTE_TOP_LEVEL, .help = "The request headers that audit entries show."},
    {"config/auditing/request-headers/{header...}", header_fields,
     .ops = {[OP_READ] = {header_read}, [OP_UPDATE] = {header_write}, [OP_DELETE] = {header_delete}},
     .flags = ROUTE_SUDO | ROUTE_TOP_LEVEL, .help = "Whether audit entries show a request header.",
     .about = "Headers are in no entry unless they are named here. The one that carries the token is always hashed."},
    {0},
};
/* clang-format on */
