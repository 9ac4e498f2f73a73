/* lockout_routes: sys/locked-users: who is locked, and letting one in again. */
#include "core/login/lockout_private.h"
#include "core/mount.h"

struct error *lockout_count_locked(struct request *rq, size_t *ret_n)
{
    struct view core = txn_view(rq->txn, SPACE_CORE);
    str *names;

    return view_list_all(&core, STR(LOCKED_FOLDER), &names, ret_n);
}

static struct error *count_mount(struct request *rq, struct json *mounts, str accessor, int64_t *total)
{
    struct view core = txn_view(rq->txn, SPACE_CORE);
    struct json *one = json_object(rq->arena);
    str *names;
    size_t n;

    TRY(view_list(&core, arena_fmt(rq->arena, LOCKED_FOLDER "%.*s/", PSTR(accessor)), &names, &n));
    if (n == 0)
        return NULL;
    json_set_str(rq->arena, one, STR("mount_accessor"), accessor);
    json_set_int(rq->arena, one, STR("counts"), (int64_t)n);
    json_set(rq->arena, one, STR("alias_identifiers"), json_strings(rq->arena, names, n));
    json_append(rq->arena, mounts, one);
    *total += (int64_t)n;
    return NULL;
}

static struct error *locked_read(struct request *rq, struct response *rs)
{
    struct view core = txn_view(rq->txn, SPACE_CORE);
    struct json *data = response_data(rq, rs), *spaces = json_array(rq->arena),
                *root = json_object(rq->arena);
    struct json *mounts = json_array(rq->arena);
    str only = field_str(rq, "mount_accessor"), *accessors;
    int64_t total = 0;
    size_t n;

    TRY(view_list(&core, STR(LOCKED_FOLDER), &accessors, &n));
    for (size_t i = 0; i < n; i++) {
        str accessor = str_slice(accessors[i], 0, str_index(accessors[i], '/'));

        if (only.n == 0 || str_eq(only, accessor))
            TRY(count_mount(rq, mounts, accessor, &total));
    }
    json_set_str(rq->arena, root, STR("namespace_id"), STR("root"));
    json_set_str(rq->arena, root, STR("namespace_path"), (str){0});
    json_set_int(rq->arena, root, STR("counts"), total);
    json_set(rq->arena, root, STR("mount_accessors"), mounts);
    if (total > 0)
        json_append(rq->arena, spaces, root);
    json_set(rq->arena, data, STR("by_namespace"), spaces);
    json_set_int(rq->arena, data, STR("total"), total);
    return NULL;
}

static struct error *unlock_write(struct request *rq, struct response *rs)
{
    (void)rs;
    return lockout_clear(rq, field_str(rq, "mount_accessor"), field_str(rq, "alias_identifier"));
}

static const struct field locked_fields[] = {
    {"mount_accessor", FT_STRING, FIELD_QUERY, .help = "only those of this mount"},
    {0},
};

static const struct field unlock_fields[] = {
    {"mount_accessor", FT_STRING, FIELD_PATH, .help = "accessor of the auth method's mount"},
    {"alias_identifier", FT_STRING, FIELD_PATH, .help = "the user's name, or the role's id"},
    {0},
};

const struct route lockout_routes[] = {
    {"locked-users", locked_fields, .ops = {[OP_READ] = {locked_read}},
     .help = "users locked after too many failed logins"},
    {"locked-users/{mount_accessor}/unlock/{alias_identifier...}", unlock_fields,
     .ops = {[OP_UPDATE] = {unlock_write}}, .help = "lets a locked user in again"},
    {0},
};
