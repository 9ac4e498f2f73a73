/* audit_routes: sys/audit and sys/audit-hash. Tables core/audit and core/local-audit: docs/formats/audit.md.
 */
#include "base/clock.h"
#include "base/encode.h"
#include "core/audit/audit_private.h"
#include "core/route.h"
#include "core/stored.h"

static const str table_names[] = {{"audit", 5}, {"local-audit", 11}};

/* ---- tables ---- */

/* Both tables; an absent one, and an absent list of entries, is made. */
static struct error *load_tables(struct request *rq, struct json *ret[2])
{
    struct view core = txn_view(rq->txn, SPACE_CORE);

    for (size_t i = 0; i < 2; i++) {
        TRY(stored_table_load(&core, table_names[i], rq->arena, &ret[i]));
        if (!ret[i]) {
            ret[i] = json_object_ordered(rq->arena);
            json_set_str(rq->arena, ret[i], STR("type"), STR("audit"));
        }
        if (json_is_null(json_get(ret[i], STR("entries"))))
            json_set(rq->arena, ret[i], STR("entries"), json_array(rq->arena));
    }
    return NULL;
}

static struct error *save_table(struct request *rq, size_t which, struct json *table)
{
    struct view core = txn_view(rq->txn, SPACE_CORE);

    if (json_get(table, STR("entries"))->n == 0)
        json_set(rq->arena, table, STR("entries"), json_null(rq->arena));
    return stored_table_save(&core, table_names[which], table);
}

static str clean_path(struct request *rq)
{
    str path = field_str(rq, "path");

    while (str_starts(path, STR("/")))
        path = str_from(path, 1);
    return str_ends(path, STR("/")) ? path : arena_join(rq->arena, path, STR("/"));
}

/* ---- publication ---- */

static void publish(struct active *a, void *arg)
{
    active_publish_audit_set(a, arg);
}

static void drop(void *arg)
{
    audit_set_unref(arg);
}

static void change_set(struct request *rq, struct audit_device *own_more, str without)
{
    struct audit_set *now = active_audit_set(rq->active);

    txn_on_commit(rq->txn, publish, drop, audit_set_changed(now, own_more, without));
    audit_set_unref(now);
}

/* ---- handlers ---- */

static struct error *audit_list(struct request *rq, struct response *rs)
{
    static const char *const shown[] = {"type", "description", "options", "local", "path"};
    struct json *tables[2], *data = response_data(rq, rs);

    TRY(load_tables(rq, tables));
    for (size_t t = 0; t < 2; t++) {
        const struct json *entries = json_get(tables[t], STR("entries"));

        for (uint32_t i = 0; i < entries->n; i++) {
            struct json *out = json_object(rq->arena);

            for (size_t k = 0; k < COUNT_OF(shown); k++) {
                str key = str_from_cstr(shown[k]);
                struct json *v = json_get(entries->items[i], key);

                json_set(rq->arena, out, key, v ? v : json_null(rq->arena));
            }
            json_set(rq->arena, data, json_get_str(entries->items[i], STR("path")), out);
        }
    }
    return NULL;
}

static struct error *check_path(struct request *rq, struct json *const tables[2], str path)
{
    if (str_eq(path, STR("/")))
        return fail(rq, ERR_BAD_REQUEST, "backend path must be specified");
    for (size_t t = 0; t < 2; t++) {
        const struct json *entries = json_get(tables[t], STR("entries"));

        for (uint32_t i = 0; i < entries->n; i++) {
            str other = json_get_str(entries->items[i], STR("path"));

            if (str_starts(other, path) || str_starts(path, other))
                return fail(rq, ERR_BAD_REQUEST, "path already in use");
        }
    }
    return NULL;
}

static struct json *new_entry(struct request *rq, str path, str uuid)
{
    struct arena *a = rq->arena;
    struct json *e = json_object_ordered(a);
    const struct json *options = field_json(rq, "options");
    str type = field_str(rq, "type");
    uint8_t id[4];

    rng_bytes(rq->rng, id, sizeof id);
    str suffix = hex_encode(a, (bytes){id, sizeof id});

    json_set_str(a, e, STR("table"), STR("audit"));
    json_set_str(a, e, STR("path"), path);
    json_set_str(a, e, STR("type"), type);
    json_set_str(a, e, STR("description"), field_str(rq, "description"));
    json_set_str(a, e, STR("uuid"), uuid);
    json_set_str(a, e, STR("backend_aware_uuid"), (str){0});
    json_set_str(a, e, STR("accessor"), arena_fmt(a, "audit_%.*s_%.*s", PSTR(type), PSTR(suffix)));
    json_set(a, e, STR("config"), json_object(a));
    json_set(a, e, STR("options"), options ? json_copy(a, options) : json_null(a));
    json_set_bool(a, e, STR("local"), field_bool(rq, "local"));
    json_set_bool(a, e, STR("seal_wrap"), false);
    json_set_str(a, e, STR("namespace_id"), STR("root"));
    return e;
}

static struct error *test_device(struct request *rq, const struct json *entry, struct audit_device *d)
{
    str skip = json_get_str(json_get(entry, STR("options")), STR("skip_test"));

    if (str_eq(skip, STR("true")))
        return NULL;
    return audit_device_test(rq->arena, d, rng_uuid_str(rq->rng, rq->arena), clock_wall_ns(rq->clock));
}

/* The device is opened last of all that can fail, so that a run which is repeated has rarely touched the
 * file. */
static struct error *audit_enable(struct request *rq, struct response *rs)
{
    struct view salts = txn_view(rq->txn, SPACE_AUDIT);
    size_t which = field_bool(rq, "local");
    str path = clean_path(rq), uuid, salt;
    struct json *tables[2], *entry;
    struct audit_device *d;

    (void)rs;
    TRY(txn_exclusive(rq->txn));
    TRY(load_tables(rq, tables));
    TRY(check_path(rq, tables, path));
    uuid = rng_uuid_str(rq->rng, rq->arena);
    salt = rng_uuid_str(rq->rng, rq->arena);
    entry = new_entry(rq, path, uuid);
    json_append(rq->arena, json_get(tables[which], STR("entries")), entry);
    TRY(save_table(rq, which, tables[which]));
    TRY(view_put(&salts, arena_fmt(rq->arena, "%.*s/salt", PSTR(uuid)), bytes_from_str(salt)));
    if (request_is_rehearsal(rq))
        return NULL;
    TRY(audit_device_new(rq->arena, entry, salt, &d));
    struct error *e = test_device(rq, entry, d);

    if (e) {
        audit_device_unref(d);
        return e;
    }
    change_set(rq, d, (str){0});
    return NULL;
}

static struct error *audit_disable(struct request *rq, struct response *rs)
{
    str path = clean_path(rq);
    struct json *tables[2];

    (void)rs;
    TRY(txn_exclusive(rq->txn));
    TRY(load_tables(rq, tables));
    for (size_t t = 0; t < 2; t++) {
        const struct json *entries = json_get(tables[t], STR("entries"));
        struct json *left = json_array(rq->arena);

        for (uint32_t i = 0; i < entries->n; i++)
            if (!str_eq(json_get_str(entries->items[i], STR("path")), path))
                json_append(rq->arena, left, entries->items[i]);
        if (left->n == entries->n)
            continue;
        json_set(rq->arena, tables[t], STR("entries"), left);
        TRY(save_table(rq, t, tables[t]));
        change_set(rq, NULL, path);
        return NULL;
    }
    return NULL;
}

static struct error *audit_hash_input(struct request *rq, struct response *rs)
{
    str input = field_str(rq, "input"), path = clean_path(rq);
    struct audit_set *set;

    if (input.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "the \"input\" parameter is empty");
    set = active_audit_set(rq->active);
    arena_defer(rq->arena, drop, set);
    struct audit_device *d = audit_set_find(set, path);

    if (!d)
        return fail(rq, ERR_BAD_REQUEST, "unknown audit backend \"%.*s\"", PSTR(path));
    json_set_str(rq->arena, response_data(rq, rs), STR("hash"), audit_hash(rq->arena, d, input));
    return NULL;
}

static const struct field enable_fields[] = {
    {"path", FT_STRING, FIELD_PATH, "Path of the device, e.g. file/."},
    {"type", FT_STRING, 0, "Type of the device: file, socket, syslog."},
    {"description", FT_STRING, 0, "Text for people."},
    {"options", FT_KV, 0, "Settings of the device, e.g. file_path."},
    {"local", FT_BOOL, 0, "Not taken along by replication.", "false"},
    {0},
};
static const struct field hash_fields[] = {
    {"path", FT_STRING, FIELD_PATH, "Path of the device whose salt is used."},
    {"input", FT_STRING, FIELD_SENSITIVE, "Text to hash."},
    {0},
};

/* clang-format off */
const struct route audit_routes[] = {
    {"audit", .ops = {[OP_READ] = {audit_list}}, .flags = ROUTE_SUDO | ROUTE_TOP_LEVEL, .help = "The audit devices."},
    {"audit/{path...}", enable_fields, .ops = {[OP_UPDATE] = {audit_enable}, [OP_DELETE] = {audit_disable}},
     .flags = ROUTE_SUDO, .help = "Enable or disable an audit device.",
     .about = "Every request and its answer are sent to all devices before the answer leaves. Secrets are hashed with the\n"
              "device's own salt; sys/audit-hash gives the hash of a known value."},
    {"audit-hash/{path...}", hash_fields, .ops = {[OP_UPDATE] = {audit_hash_input, ROUTE_READONLY}},
     .flags = ROUTE_TOP_LEVEL, .help = "The hash of a value as a device shows it."},
    {0},
};
/* clang-format on */
