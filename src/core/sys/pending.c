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

/* One step of what an entry asks for. ret_known false: nothing was done. */
static struct error *resume_one(struct request *rq, struct view *core, str path, bool *ret_known)
{
    struct json *entry;
    bool done = true;

    TRY(view_get_json(core, path, &entry));
    str what = json_get_str(entry, STR("what"));

    *ret_known = true;
    if (str_eq(what, STR("unmount"))) {
        TRY(unmount_step(rq, json_get_str(entry, STR("path")), &done));
    } else if (str_eq(what, STR("token-revoke"))) {
        TRY(token_resume(rq, entry, &done));
    } else {
        *ret_known = false;
        log_warn("core", "an unknown kind of unfinished work is left alone", F_STR("what", what));
        return NULL;
    }
    return done ? view_delete(core, path) : NULL; /* the step may have done so: no error */
}

struct error *pending_resume(struct request *rq, struct response *rs)
{
    struct view core = txn_view(rq->txn, SPACE_CORE);
    str *names;
    size_t n;
    bool known = false, done = true;

    TRY(view_list(&core, STR("coffer-pending/"), &names, &n));
    for (size_t i = 0; i < n && !known; i++)
        TRY(resume_one(rq, &core, arena_fmt(rq->arena, "coffer-pending/%.*s", PSTR(names[i])), &known));
    if (known)
        return response_again(rs);
    TRY(upgrade_mounts(rq, &done));
    return done ? NULL : response_again(rs);
}
