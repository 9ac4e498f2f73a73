/* kv2_versions: delete/, undelete/, destroy/: single versions of a secret. */
#include "engine/kv/kv2_private.h"

/* The numbers of the field "versions". */
static struct error *versions_given(struct request *rq, const char *none, uint64_t **ret, size_t *ret_n)
{
    const str *texts = field_strs(rq, "versions", ret_n);
    int64_t v;

    if (*ret_n == 0)
        return fail(rq, ERR_BAD_REQUEST, "%s", none);
    *ret = ARENA_ARRAY(rq->arena, uint64_t, *ret_n);
    for (size_t i = 0; i < *ret_n; i++) {
        if (!str_parse_i64(texts[i], &v))
            return fail(rq, ERR_BAD_REQUEST,
                        "Field validation failed: error converting input for field \"versions\": cannot "
                        "parse '' as int: "
                        "strconv.ParseInt: parsing \"%.*s\": invalid syntax",
                        PSTR(texts[i]));
        (*ret)[i] = (uint64_t)v;
    }
    return NULL;
}

static struct error *open_key(struct request *rq, struct kv2 *s, Kv2__KeyMetadata **ret)
{
    TRY(kv2_open(rq, s));
    return kv2_meta_load(s, kv2_path(rq), ret);
}

static struct error *versions_delete(struct request *rq, struct response *rs)
{
    int64_t now_ns = clock_wall_ns(rq->clock);
    Kv2__KeyMetadata *m;
    uint64_t *numbers;
    struct kv2 s;
    size_t n;

    (void)rs;
    TRY(versions_given(rq, "No version number provided", &numbers, &n));
    TRY(open_key(rq, &s, &m));
    for (size_t i = 0; m && i < n; i++) {
        Kv2__VersionMetadata *v = kv2_meta_find(m, numbers[i]);

        if (v && !kv2_is_gone(&s, v))
            v->deletion_time = kv2_time(rq->arena, now_ns);
    }
    return m ? kv2_meta_save(&s, m) : NULL;
}

/* The time after which versions are deleted by themselves begins again. */
static struct error *versions_undelete(struct request *rq, struct response *rs)
{
    Kv2__Configuration *c;
    Kv2__KeyMetadata *m;
    uint64_t *numbers;
    struct kv2 s;
    size_t n;

    (void)rs;
    TRY(versions_given(rq, "No version number provided", &numbers, &n));
    TRY(open_key(rq, &s, &m));
    if (!m)
        return NULL;
    TRY(kv2_config_load(&s, &c));
    for (size_t i = 0; i < n; i++) {
        Kv2__VersionMetadata *v = kv2_meta_find(m, numbers[i]);

        if (v && !v->destroyed)
            v->deletion_time = kv2_deletion_time(&s, c, m, clock_wall_ns(rq->clock));
    }
    return kv2_meta_save(&s, m);
}

/* The entries of versions that are destroyed already are deleted again, as an interrupted backend may
 * have left them; not when there are more than one step takes: then each step takes those that are not
 * destroyed yet. */
static struct error *versions_destroy(struct request *rq, struct response *rs)
{
    struct kv2_dropped d = {0};
    Kv2__KeyMetadata *m;
    uint64_t *numbers;
    struct kv2 s;
    size_t n;

    TRY(versions_given(rq, "no version number provided", &numbers, &n));
    TRY(open_key(rq, &s, &m));
    for (size_t i = 0; m && i < n && !d.more; i++) {
        Kv2__VersionMetadata *v = kv2_meta_find(m, numbers[i]);

        if (!v || (v->destroyed && n > KV2_STEP_ENTRIES))
            continue;
        d.more = d.n == KV2_STEP_ENTRIES;
        if (d.more)
            continue;
        v->destroyed = true;
        d.numbers[d.n++] = numbers[i];
    }
    if (!m)
        return NULL;
    TRY(kv2_meta_save(&s, m));
    TRY(kv2_delete_dropped(&s, m, &d));
    return d.more ? response_again(rs) : NULL;
}

static const struct field versions_fields[] = {
    {"path", FT_STRING, FIELD_PATH, .help = "Where the secret lies in the mount."},
    {"versions", FT_STRINGS, .help = "Numbers of versions: a list, or separated by commas."},
    {0},
};

const struct route kv2_version_routes[] = {
    {"delete/{path...}", versions_fields,
     .ops = {[OP_UPDATE] = {versions_delete, .help = "Deletes versions; they can be undeleted."}},
     .help = "Deleting versions of a secret."},
    {"undelete/{path...}", versions_fields,
     .ops = {[OP_UPDATE] = {versions_undelete, .help = "Brings deleted versions back."}},
     .help = "Undeleting versions of a secret."},
    {"destroy/{path...}", versions_fields,
     .ops = {[OP_UPDATE] = {versions_destroy, ROUTE_BULK, "Removes the data of versions for ever."}},
     .help = "Destroying versions of a secret."},
    {0},
};
