#include "core/cubbyhole/cubbyhole.h"

#include "base/encode.h"
#include "core/active.h"
#include "core/mount.h"
#include "core/wrapping/wrapping.h"
#include "crypto/crypto.h"

/* "ID/" of a token. Tokens with own ids have none stored: theirs is hex SHA-1(mount uuid, stored name of the
 * id). */
static str folder_of(struct request *rq, const struct mount *m, const struct token_entry *te)
{
    uint8_t digest[SHA1_BYTES];

    if (te->cubbyhole_id.n)
        return arena_join(rq->arena, te->cubbyhole_id, STR("/"));
    sha1(digest, bytes_from_str(m->uuid), bytes_from_str(str_from_cstr(te->hash)));
    return arena_join(rq->arena, hex_encode(rq->arena, (bytes){digest, sizeof(digest)}), STR("/"));
}

struct error *cubbyhole_clear(struct request *rq, const struct token_entry *te, unsigned max,
                              unsigned *ret_used, bool *ret_done)
{
    const struct mount *m = mount_find(request_mounts(rq), STR("cubbyhole/"));
    str *names;
    size_t n;

    *ret_used = 0;
    *ret_done = true;
    if (!m)
        return NULL;
    struct view v = txn_mount_view(rq->txn, m);
    str folder = folder_of(rq, m, te);

    TRY(view_list(&v, folder, &names, &n));
    if (n == 0)
        return NULL;
    *ret_used = max;
    return view_clear(&v, folder, max, ret_done);
}

/* The view of the mount and the entry's path in it. */
static struct error *place_of(struct request *rq, const struct token_entry *te, str name,
                              struct view *ret_view, str *ret_path)
{
    const struct mount *m = mount_find(request_mounts(rq), STR("cubbyhole/"));

    if (!m)
        return fail(rq, ERR_INTERNAL, "there is no cubbyhole");
    *ret_view = txn_mount_view(rq->txn, m);
    *ret_path = arena_join(rq->arena, folder_of(rq, m, te), name);
    return NULL;
}

struct error *cubbyhole_get(struct request *rq, const struct token_entry *te, str name, struct json **ret)
{
    struct view v;
    str path;

    TRY(place_of(rq, te, name, &v, &path));
    return view_get_json(&v, path, ret);
}

struct error *cubbyhole_put(struct request *rq, const struct token_entry *te, str name,
                            const struct json *value)
{
    struct view v;
    str path;

    TRY(place_of(rq, te, name, &v, &path));
    return view_put_json(&v, path, value);
}

/* The place of the request's path in the mount's view. */
static struct error *entry_path(struct request *rq, str *ret)
{
    if (rq->token->type == TOKEN_BATCH)
        return fail(rq, ERR_BAD_REQUEST,
                    "cubbyhole operations are only supported by \"service\" type tokens");
    *ret = arena_join(rq->arena, folder_of(rq, rq->mount, rq->token), rq->rel);
    return NULL;
}

static struct error *entry_read(struct request *rq, struct response *rs)
{
    str path;

    TRY(entry_path(rq, &path));
    if (rq->rel.n == 0 || str_ends(rq->rel, STR("/")))
        return fail_absent(rq);
    TRY(view_get_json(rq->view, path, &rs->data));
    if (!rs->data)
        return fail_absent(rq);
    if (str_eq(rq->rel, STR("response")) && wrapping_is_token(rq->token))
        response_warn(rq, rs,
                      "Reading from 'cubbyhole/response' is deprecated. Please use sys/wrapping/unwrap to "
                      "unwrap responses, as it provides additional security checks and other benefits.");
    return NULL;
}

static bool is_utf8(str s)
{
    while (s.n > 0) {
        size_t n = str_utf8_len(s);

        if (n == 0)
            return false;
        s = str_from(s, n);
    }
    return true;
}

static struct error *entry_write(struct request *rq, struct response *rs)
{
    str path;

    (void)rs;
    TRY(entry_path(rq, &path));
    if (!rq->data || rq->data->n == 0)
        return fail_wrapped(rq, ERR_INTERNAL, "missing data fields");
    if (!is_utf8(rq->rel))
        return fail_wrapped(rq, ERR_INTERNAL, "failed to write: key contains invalid UTF-8 characters");
    return view_put_json(rq->view, path, rq->data);
}

static struct error *entry_delete(struct request *rq, struct response *rs)
{
    str path;

    (void)rs;
    TRY(entry_path(rq, &path));
    return view_delete(rq->view, path);
}

static struct error *entry_list(struct request *rq, struct response *rs)
{
    str path, *names;
    size_t n;

    TRY(entry_path(rq, &path));
    if (!str_ends(path, STR("/")))
        path = arena_join(rq->arena, path, STR("/"));
    TRY(view_list(rq->view, path, &names, &n));
    return response_list(rq, rs, names, n);
}

static struct error *entry_exists(struct request *rq, bool *ret_exists)
{
    str path;

    *ret_exists = false;
    if (rq->token->type == TOKEN_BATCH) /* has no cubbyhole: the handler says so, to those who may ask */
        return NULL;
    TRY(entry_path(rq, &path));
    return view_has(rq->view, path, ret_exists);
}

static const struct field entry_fields[] = {
    {"path", FT_STRING, FIELD_PATH, .help = "Where the secret lies in the caller's cubbyhole."},
    {0},
};

static const struct route cubbyhole_routes[] = {
    {"{path...}", entry_fields,
     .ops = {[OP_READ] = {entry_read, .help = "Reads a secret of this token."},
             [OP_UPDATE] = {entry_write, .help = "Stores a secret for this token."},
             [OP_DELETE] = {entry_delete, .help = "Deletes a secret of this token."},
             [OP_LIST] = {entry_list, .help = "Lists the names below a path, folders with a slash."}},
     .flags = ROUTE_RAW_BODY, .exists = entry_exists, .help = "Secrets of the calling token alone.",
     .about = "Stores a secret for the calling token. No other token can read it, root neither, and it is "
              "deleted when the token ends."},
    {0},
};

const struct engine cubbyhole_engine = {
    .type = "cubbyhole",
    .kind = ENGINE_CORE,
    .routes = cubbyhole_routes,
    .help = "A store for each token that ends with the token.",
    .plugin_version = "v1.14.7+builtin.vault",
};
