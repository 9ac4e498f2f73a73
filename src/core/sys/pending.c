/* pending: work in steps that was cut short is finished after activation. Only core/coffer-pending/ is looked
 * at. */
#include "base/log.h"
#include "core/active_private.h"
#include "core/sys/sys.h"

/* Mounts whose data is not in their engine's form: an upgrade was cut short, or another program changed the
 * version. */
static struct error *upgrade_mounts(struct request *rq, bool *ret_done)
{
    const struct mount_table *t = request_mounts(rq);

    for (size_t i = 0; i < t->n; i++) {
        const struct mount *m = &t->mounts[i];

        *ret_done = true;
        if (m->engine && m->engine->upgrade && !m->tainted)
            TRY(m->engine->upgrade(rq, m, ret_done));
        if (!*ret_done)
            return NULL;
    }
    return NULL;
}

struct error *pending_resume(struct request *rq, struct response *rs)
{
    struct view core = txn_view(rq->txn, SPACE_CORE);
    struct json *entry;
    str *names;
    size_t n;
    bool done = true;

    TRY(view_list(&core, STR("coffer-pending/"), &names, &n));
    if (n == 0) {
        TRY(upgrade_mounts(rq, &done));
        return done ? NULL : response_again(rs);
    }
    str path = arena_fmt(rq->arena, "coffer-pending/%.*s", PSTR(names[0]));

    TRY(view_get_json(&core, path, &entry));
    str what = json_get_str(entry, STR("what"));

    if (str_eq(what, STR("unmount"))) {
        TRY(unmount_step(rq, json_get_str(entry, STR("path")), &done));
    } else if (str_eq(what, STR("token-revoke"))) {
        TRY(token_resume(rq, entry, &done));
    } else {
        log_warn("core", "an unknown kind of unfinished work is left alone", F_STR("what", what));
        return NULL;
    }
    if (done)
        TRY(view_delete(&core, path)); /* the step may have done so: no error */
    return response_again(rs);
}
