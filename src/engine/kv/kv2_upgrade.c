/* kv2_upgrade: what version 1 stored becomes version 1 of its key, some entries a step. An entry is
 * deleted in the transaction that stores its successor, so what is left of an interrupted upgrade is what
 * is still to be done. */
#include "engine/kv/kv2.h"
#include "engine/kv/kv2_private.h"

enum { UPGRADE_STEP_KEYS = KV2_STEP_ENTRIES / 3, UPGRADE_DEPTH_MAX = 256 };

struct found {
    str keys[UPGRADE_STEP_KEYS];
    size_t n;
};

static struct error *find_keys(struct kv2 *s, str prefix, unsigned depth, struct found *f)
{
    str *names;
    size_t n;

    if (depth > UPGRADE_DEPTH_MAX)
        return fail(s->rq, ERR_INTERNAL, "the folder %.*s is nested too deep", PSTR(prefix));
    TRY(view_list(&s->view, prefix, &names, &n));
    for (size_t i = 0; i < n && f->n < UPGRADE_STEP_KEYS; i++) {
        str path = arena_join(s->rq->arena, prefix, names[i]);

        if (str_eq(path, s->base))
            continue;
        if (names[i].n > 0 && str_ends(path, STR("/")))
            TRY(find_keys(s, path, depth + 1, f));
        else
            f->keys[f->n++] = path;
    }
    return NULL;
}

/* Metadata that is there already was written by a step of which the backend lost the end. */
static struct error *upgrade_key(struct kv2 *s, str key)
{
    Kv2__Version v = KV2__VERSION__INIT;
    Kv2__KeyMetadata *m;
    bytes data;

    TRY(view_get(&s->view, key, &data));
    TRY(kv2_meta_load(s, key, &m));
    if (data.p && !m) {
        str text = str_trim(str_from_bytes(data));

        v.data = (ProtobufCBinaryData){text.n, (uint8_t *)arena_copy(s->rq->arena, text.p, text.n)};
        v.created_time = kv2_time(s->rq->arena, clock_wall_ns(s->rq->clock));
        m = kv2_meta_new(s, key);
        kv2_meta_add(s, m, 1)->created_time = v.created_time;
        m->current_version = m->oldest_version = 1;
        m->created_time = m->updated_time = v.created_time;
        TRY(kv2_version_save(s, m, 1, &v));
        TRY(kv2_meta_save(s, m));
    }
    return view_delete(&s->view, key);
}

struct error *kv2_upgrade_step(struct request *rq, const struct mount *m, bool *ret_done)
{
    Kv2__UpgradeInfo *info;
    struct found f = {.n = 0};
    struct kv2 s;

    TRY(kv2_open_unchecked(rq, m, &s));
    TRY(kv2_upgrade_info_load(&s, &info));
    *ret_done = info->done;
    if (info->done)
        return NULL;
    TRY(find_keys(&s, (str){0}, 0, &f));
    if (!info->started_time)
        info->started_time = kv2_time(rq->arena, clock_wall_ns(rq->clock));
    info->done = *ret_done = f.n == 0;
    TRY(kv2_upgrade_info_save(&s, info));
    if (f.n > 0)
        TRY(kv2_complete(&s));
    for (size_t i = 0; i < f.n; i++)
        TRY(upgrade_key(&s, f.keys[i]));
    return NULL;
}
