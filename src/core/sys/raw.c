/* raw: sys/raw/: any entry behind the barrier by its path, for those who repair a store. Only with
 * raw_storage_endpoint. What the server holds in memory does not follow until the next opening. */
#include "base/encode.h"
#include "core/active_private.h"
#include "core/stored.h"
#include "core/sys/sys.h"
#include "core/txn_private.h"

/* ---- where an entry is ---- */

/* The space whose readers must learn of a change at the path; a path of none: one for all the rest. */
static struct view view_of(struct request *rq, str path)
{
    struct space *best = active_mount_space(rq->active, (str){0});

    for (int i = 0; i < SPACE_CORE_COUNT_; i++) {
        struct space *s = active_space(rq->active, i);

        if (s->prefix.n > best->prefix.n && str_starts(path, s->prefix))
            best = s;
    }
    for (size_t i = 0; i < rq->mounts->n; i++) {
        struct space *s = rq->mounts->mounts[i].space;

        if (s->prefix.n > best->prefix.n && str_starts(path, s->prefix))
            best = s;
    }
    return (struct view){rq->txn, best};
}

static struct error *get(struct request *rq, str path, bytes *ret)
{
    struct view v = view_of(rq, path);

    return view_get(&v, str_from(path, v.space->prefix.n), ret);
}

static bool is_keyring(str path)
{
    return str_starts(path, STR("core/keyring"));
}

/* Keys, what the cluster's identity hangs on, and what is stored in the clear: a record there locks it up.
 * And what is in no store: shares given so far, logins that wait. */
static bool is_protected(str path)
{
    static const char *const prefixes[] = {"core/keyring",
                                           "core/cluster/local/info",
                                           "core/seal-config",
                                           "core/recovery-config",
                                           "core/recovery-key",
                                           "core/hsm/",
                                           "core/root-key",
                                           "core/master",
                                           "core/shamir-kek",
                                           "core/upgrade/",
                                           "core/coffer-root-change",
                                           "~mem"};

    for (size_t i = 0; i < COUNT_OF(prefixes); i++)
        if (str_starts(path, str_from_cstr(prefixes[i])))
            return true;
    return false;
}

static struct error *unsupported(struct request *rq)
{
    return fail_wrapped(rq, ERR_NOT_FOUND, "unsupported path");
}

/* ---- packed entries ---- */

static const char *packing_of(bytes b)
{
    if (b.n > 2 && b.p[0] == 'G' && b.p[1] == 0x1f && b.p[2] == 0x8b)
        return "gzip";
    return b.n > 2 && b.p[0] == 'S' && b.p[1] == 0xff && b.p[2] == 0x06 ? "snappy" : "";
}

static struct error *check_encoding(struct request *rq, bool *ret_base64)
{
    str encoding = field_str(rq, "encoding");

    *ret_base64 = str_eq(encoding, STR("base64"));
    if (encoding.n > 0 && !*ret_base64)
        return fail(rq, ERR_BAD_REQUEST, "invalid encoding \"%.*s\"", PSTR(encoding));
    return NULL;
}

static struct error *pack(struct request *rq, str type, bytes *io)
{
    if (str_eq(type, STR("gzip")))
        *io = stored_gzip(rq->arena, *io);
    else if (str_eq(type, STR("snappy")))
        *io = stored_snappy(rq->arena, *io);
    else if (type.n > 0)
        return fail(rq, ERR_BAD_REQUEST, "invalid compression type \"%.*s\"", PSTR(type));
    return NULL;
}

/* ---- routes ---- */

static struct error *raw_exists(struct request *rq, bool *ret)
{
    str path = rq->params[0];
    bytes value;

    *ret = false;
    if (!rq->core->config.config->raw_storage_endpoint)
        return NULL;
    if (is_keyring(path)) /* it does not open as an entry */
        return fail_wrapped(rq, ERR_INTERNAL, "internal error");
    if (is_protected(path)) /* to be refused */
        return NULL;
    TRY(get(rq, path, &value));
    *ret = value.p != NULL;
    return NULL;
}

/* For every operation: the endpoint is on, the path is none that it keeps its hands off. */
static struct error *check(struct request *rq, const char *verb)
{
    str path = field_str(rq, "path");

    if (!rq->core->config.config->raw_storage_endpoint)
        return unsupported(rq);
    if (is_protected(path))
        return fail(rq, ERR_BAD_REQUEST, "cannot %s \"%.*s\"", verb, PSTR(path));
    return NULL;
}

static struct error *raw_read(struct request *rq, struct response *rs)
{
    str path = field_str(rq, "path");
    bool base64;
    bytes value;

    TRY(check(rq, "read"));
    TRY(check_encoding(rq, &base64));
    TRY(get(rq, path, &value));
    if (!value.p)
        return fail_absent(rq);
    if (field_bool(rq, "compressed") && packing_of(value)[0])
        TRY(stored_unpack(rq->arena, path, value, &value));
    json_set_str(rq->arena, response_data(rq, rs), STR("value"),
                 base64 ? base64_encode(rq->arena, value) : str_from_bytes(value));
    return NULL;
}

static struct error *raw_write(struct request *rq, struct response *rs)
{
    str path = field_str(rq, "path"), text = field_str(rq, "value"), type = field_str(rq, "compression_type");
    struct view v = view_of(rq, path);
    bytes value = bytes_from_str(text), old;
    bool base64;

    (void)rs;
    TRY(check(rq, "write"));
    TRY(check_encoding(rq, &base64));
    if (base64 && !base64_decode(rq->arena, text, &value))
        return fail(rq, ERR_BAD_REQUEST, "illegal base64 data");
    TRY(get(rq, path, &old));
    if (old.p) {
        str packing = str_from_cstr(packing_of(old));

        if (type.n > 0 && !str_eq(type, packing))
            return fail(rq, ERR_BAD_REQUEST,
                        "the entry uses a different compression scheme then compression_type");
        if (!field_given(rq, "compression_type"))
            type = packing;
    }
    TRY(pack(rq, type, &value));
    return view_put(&v, str_from(path, v.space->prefix.n), value);
}

static struct error *raw_delete(struct request *rq, struct response *rs)
{
    str path = field_str(rq, "path");
    struct view v = view_of(rq, path);

    (void)rs;
    TRY(check(rq, "delete"));
    return view_delete(&v, str_from(path, v.space->prefix.n));
}

static struct error *raw_list(struct request *rq, struct response *rs)
{
    str path = field_str(rq, "path"), *names;
    size_t n;

    if (path.n > 0 && !str_ends(path, STR("/")))
        path = arena_join(rq->arena, path, STR("/"));
    TRY(check(rq, "list"));
    struct view v = view_of(rq, path);

    TRY(view_list(&v, str_from(path, v.space->prefix.n), &names, &n));
    return response_list(rq, rs, names, n);
}

static const struct field raw_fields[] = {
    {"path", FT_STRING, FIELD_PATH, .help = "Path of the entry."},
    {"value", FT_STRING, FIELD_SENSITIVE, .help = "What it holds."},
    {"compressed", FT_BOOL, FIELD_QUERY, .dflt = "true", .help = "Unpack an entry that is packed?"},
    {"encoding", FT_STRING, .help = "base64: the value is given, and shown, in that form."},
    {"compression_type", FT_STRING,
     .help = "How the entry is packed: gzip, snappy, or empty for not at all."},
    {0},
};

const struct route sys_raw_routes[] = {
    {"raw/{path...}", raw_fields,
     .ops = {[OP_READ] = {raw_read, ROUTE_SUDO, "Shows an entry."},
             [OP_CREATE] = {raw_write, ROUTE_SUDO, "Writes an entry."},
             [OP_UPDATE] = {raw_write, ROUTE_SUDO, "Writes an entry."},
             [OP_DELETE] = {raw_delete, ROUTE_SUDO, "Removes an entry."},
             [OP_LIST] = {raw_list, ROUTE_SUDO, "Lists one level."}},
     .exists = raw_exists, .help = "An entry of the store, as it is behind the barrier.",
     .about = "Off unless raw_storage_endpoint is on. A change may make the server unusable."},
    {0},
};
