/* remount: sys/remount: a mount gets another path; its data stays where it is. */
#include "core/active_private.h"
#include "core/mount_store.h"
#include "core/quota/quota.h"
#include "core/sys/sys.h"

#include <stdlib.h>

/* Moves are done in one transaction here, after the leases of the old path have been revoked in steps, so the
 * status of every move that was begun is success. What is kept
 * is which moves those
 * were, for the life of this activation, the newest first. */
enum { MOVES_MAX = 256 };

struct move {
    char id[UUID_TEXT_BYTES];
    str from, to; /* behind this struct */
    struct move *next;
};

static str with_slash(struct request *rq, str path)
{
    return str_ends(path, STR("/")) ? path : arena_join(rq->arena, path, STR("/"));
}

static struct error *check_move(struct request *rq, str from, str to)
{
    static const char *const kept[] = {"audit/", "auth/token/", "sys/", "cubbyhole/", "identity/"};
    bool auth = str_starts(from, STR("auth/"));

    for (size_t i = 0; i < COUNT_OF(kept); i++)
        if (str_starts(from, str_from_cstr(kept[i])))
            return fail(rq, ERR_BAD_REQUEST, "cannot remount \"%.*s\"", PSTR(from));
    for (size_t i = 0; i < COUNT_OF(kept); i++)
        if (str_starts(to, str_from_cstr(kept[i])))
            return fail(rq, ERR_BAD_REQUEST, "cannot remount to destination %.*s", PSTR(to));
    if (auth != str_starts(to, STR("auth/")))
        return fail(rq, ERR_BAD_REQUEST, "cannot remount to destination %.*s", PSTR(to));
    return mount_path_reachable(rq, to);
}

static struct error *check_target(struct request *rq, str to)
{
    const struct mount_table *t = request_mounts(rq);

    for (size_t i = 0; i < t->n; i++)
        if (str_starts(to, t->mounts[i].path) || str_starts(t->mounts[i].path, to))
            return fail(rq, ERR_BAD_REQUEST, "path already in use at \"%.*s\"", PSTR(t->mounts[i].path));
    return NULL;
}

static void remember(struct active *a, void *arg)
{
    struct move *m = arg;

    mutex_lock(&a->moves_mutex);
    m->next = a->moves;
    a->moves = m;
    unsigned n = 0;

    for (struct move **at = &a->moves; *at; n++)
        if (n < MOVES_MAX) {
            at = &(*at)->next;
        } else {
            free(*at);
            *at = NULL;
        }
    mutex_unlock(&a->moves_mutex);
}

void moves_free(struct active *a)
{
    for (struct move *m = a->moves, *next; m; m = next) {
        next = m->next;
        free(m);
    }
}

static struct move *move_new(str id, str from, str to)
{
    struct move *m = malloc(sizeof(*m) + from.n + to.n);

    if (!m)
        die("out of memory");
    char *text = (char *)(m + 1);

    memcpy(m->id, id.p, UUID_TEXT_BYTES);
    memcpy(text, from.p, from.n);
    memcpy(text + from.n, to.p, to.n);
    m->from = (str){text, from.n};
    m->to = (str){text + from.n, to.n};
    return m;
}

static struct error *move_write(struct request *rq, struct response *rs)
{
    str from = field_str(rq, "from"), to = field_str(rq, "to");
    struct mount_tables tables;
    enum table_kind kind;
    bool freed;

    if (from.n == 0 || to.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "both 'from' and 'to' path must be specified as a string");
    from = with_slash(rq, str_trim(from));
    to = with_slash(rq, str_trim(to));
    TRY(check_move(rq, from, to));
    TRY(txn_exclusive(rq->txn));
    if (!mount_exact(rq, from))
        return fail(rq, ERR_BAD_REQUEST, "no matching mount at \"%.*s\"", PSTR(from));
    TRY(check_target(rq, to));
    TRY(lease_revoke_prefix_step(rq, from, &freed)); /* what it gave out is bound to its path */
    if (!freed)
        return response_again(rs);
    TRY(mount_tables_load(rq->txn, &tables));
    struct json *entry = mount_tables_find(&tables, from, &kind);

    if (!entry)
        return fail(rq, ERR_INTERNAL, "the mount at %.*s is not in its table", PSTR(from));
    json_set_str(rq->arena, entry, STR("path"), str_starts(to, STR("auth/")) ? str_from(to, 5) : to);
    tables.changed[kind] = true;
    TRY(mount_tables_save(rq->txn, &tables));
    TRY(quota_mount_moved(rq, from, to));
    mount_tables_publish(rq, &tables);
    str id = rng_uuid_str(rq->rng, rq->arena);

    txn_on_commit(rq->txn, remember, free, move_new(id, from, to));
    json_set_str(rq->arena, response_data(rq, rs), STR("migration_id"), id);
    response_warn(rq, rs,
                  "Mount move has been queued. Progress will be reported in Vault's server log, tagged with "
                  "the returned migration_id");
    return NULL;
}

static struct error *status_read(struct request *rq, struct response *rs)
{
    str id = field_str(rq, "migration_id");
    struct active *a = rq->active;
    struct json *info = NULL;

    mutex_lock(&a->moves_mutex);
    for (const struct move *m = a->moves; m && !info; m = m->next)
        if (str_eq((str){m->id, UUID_TEXT_BYTES}, id)) {
            info = json_object(rq->arena);
            json_set_str(rq->arena, info, STR("source_mount"), arena_str(rq->arena, m->from));
            json_set_str(rq->arena, info, STR("target_mount"), arena_str(rq->arena, m->to));
            json_set_str(rq->arena, info, STR("status"), STR("success"));
        }
    mutex_unlock(&a->moves_mutex);
    if (!info)
        return fail_absent(rq);
    json_set_str(rq->arena, response_data(rq, rs), STR("migration_id"), id);
    json_set(rq->arena, response_data(rq, rs), STR("migration_info"), info);
    return NULL;
}

static const struct field move_fields[] = {
    {"from", FT_STRING, .help = "the mount as it is, auth methods with auth/ in front"},
    {"to", FT_STRING, .help = "where it shall be"},
    {0},
};

static const struct field status_fields[] = {
    {"migration_id", FT_STRING, FIELD_PATH, .help = "what sys/remount answered"},
    {0},
};

const struct route sys_remount_routes[] = {
    {"remount", move_fields, .ops = {[OP_UPDATE] = {move_write, ROUTE_BULK}},
     .flags = ROUTE_SUDO | ROUTE_TOP_LEVEL, .help = "moves a mount to another path"},
    {"remount/status/{migration_id}", status_fields, .ops = {[OP_READ] = {status_read}},
     .help = "how a move went"},
    {0},
};
