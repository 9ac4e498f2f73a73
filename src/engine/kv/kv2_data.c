/* kv2_data: data/ and subkeys/: the versions of a secret. */
#include "engine/kv/kv2_private.h"

#include <stdlib.h>

enum { VERSIONS_KEPT = 10 /* when neither mount nor key says */, SUBKEYS_DEPTH_ALL = 0 };

/* Paths that end in a slash are not of data/ but of no route. */
static bool is_folder(str path)
{
    return path.n == 0 || str_ends(path, STR("/"));
}

/* ---- reading ---- */

/* {name: null, "metadata": {...}} for the version asked for; *ret_value is its data, or NULL when it is
 * gone: then the answer is 404 all the same. */
static struct error *read_version(struct request *rq, struct response *rs, str name, struct json **ret_value)
{
    int64_t wanted = field_int(rq, "version");
    struct json *about = json_object(rq->arena);
    Kv2__KeyMetadata *m;
    struct kv2 s;

    TRY(kv2_open(rq, &s));
    TRY(kv2_meta_load(&s, kv2_path(rq), &m));
    if (!m)
        return fail_absent(rq);
    uint64_t number = wanted > 0 ? (uint64_t)wanted : m->current_version;
    const Kv2__VersionMetadata *v = kv2_meta_find(m, number);

    if (!v)
        return fail_absent(rq);
    *ret_value = NULL;
    if (!kv2_is_gone(&s, v))
        TRY(kv2_version_load(&s, m, number, ret_value));
    else
        rs->status = 404;
    kv2_describe(&s, about, m, number, v);
    json_set(rq->arena, response_data(rq, rs), name, json_null(rq->arena));
    json_set(rq->arena, rs->data, STR("metadata"), about);
    return NULL;
}

static struct error *data_read(struct request *rq, struct response *rs)
{
    struct json *data;

    if (is_folder(kv2_path(rq)))
        return kv2_invalid(rq, rs);
    TRY(read_version(rq, rs, STR("data"), &data));
    if (data)
        json_set(rq->arena, rs->data, STR("data"), data);
    return NULL;
}

/* The tree without its values: what holds no members, or lies below the depth, becomes null. */
static struct json *prune(struct arena *a, const struct json *v, int64_t depth)
{
    struct json *o = json_object(a);

    for (uint32_t i = 0; i < v->n; i++) {
        const struct json *child = v->members[i].value;
        bool deeper = child->type == JSON_OBJECT && child->n > 0 && depth != 1;

        json_add(a, o, v->members[i].key,
                 deeper ? prune(a, child, depth > 0 ? depth - 1 : SUBKEYS_DEPTH_ALL) : json_null(a));
    }
    return o;
}

static struct error *subkeys_read(struct request *rq, struct response *rs)
{
    struct json *data;

    TRY(read_version(rq, rs, STR("subkeys"), &data));
    if (data && data->type == JSON_OBJECT)
        json_set(rq->arena, rs->data, STR("subkeys"), prune(rq->arena, data, field_int(rq, "depth")));
    return NULL;
}

/* ---- writing ---- */

static struct error *check_cas(struct request *rq, const Kv2__Configuration *c, const Kv2__KeyMetadata *m)
{
    const struct json *options = field_json(rq, "options"), *cas = json_get(options, STR("cas"));
    int64_t wanted = 0;

    if (!cas) {
        if (c->cas_required || m->cas_required)
            return fail(rq, ERR_BAD_REQUEST, "check-and-set parameter required for this call");
        return NULL;
    }
    if (cas->type == JSON_BOOL)
        wanted = cas->boolean;
    else if (cas->type != JSON_NULL && ((cas->type != JSON_NUMBER && cas->type != JSON_STRING) ||
                                        (cas->text.n > 0 && !str_parse_i64(cas->text, &wanted))))
        return fail(rq, ERR_BAD_REQUEST, "error parsing check-and-set parameter");
    if ((uint64_t)wanted != m->current_version)
        return fail(rq, ERR_BAD_REQUEST, "check-and-set parameter did not match the current version");
    return NULL;
}

/* The versions that a new one pushes out. Below them something may be left by a backend that was
 * interrupted. */
static struct error *make_room(struct kv2 *s, const Kv2__Configuration *c, Kv2__KeyMetadata *m,
                               struct kv2_dropped *ret)
{
    uint64_t next = m->current_version + 1, kept = MAX(m->max_versions, c->max_versions), left;
    bool some = true;

    *ret = (struct kv2_dropped){0};
    if (kept == 0)
        kept = VERSIONS_KEPT;
    if (next < kept || next - m->oldest_version < kept)
        return NULL;
    kv2_drop(m, next - kept, ret);
    left = ret->n ? ret->numbers[0] : next - kept + 1;
    while (some && left > 1 && !ret->more && ret->n < KV2_STEP_ENTRIES) {
        left--;
        TRY(view_has(&s->view, kv2_version_path(s, m, left), &some));
        if (some)
            ret->numbers[ret->n++] = left;
    }
    return NULL;
}

/* The version's entry first, then the metadata that makes it known, then what it pushes out. When that is
 * more than one step takes, it goes first, in steps of its own: each leaves a key with fewer old
 * versions. */
static struct error *add_version(struct kv2 *s, struct response *rs, Kv2__KeyMetadata *m,
                                 const struct json *data)
{
    struct request *rq = s->rq;
    Kv2__Version v = KV2__VERSION__INIT;
    Kv2__Configuration *c;
    struct kv2_dropped dropped;
    int64_t now_ns = clock_wall_ns(rq->clock);

    TRY(kv2_config_load(s, &c));
    TRY(check_cas(rq, c, m));
    TRY(make_room(s, c, m, &dropped));
    if (dropped.more) {
        TRY(kv2_meta_save(s, m));
        TRY(kv2_delete_dropped(s, m, &dropped));
        return response_again(rs);
    }
    str text = json_text(rq->arena, data);

    v.data = (ProtobufCBinaryData){text.n, (uint8_t *)arena_copy(rq->arena, text.p, text.n)};
    v.created_time = kv2_time(rq->arena, now_ns);
    v.deletion_time = kv2_deletion_time(s, c, m, now_ns);
    m->current_version++;
    m->updated_time = v.created_time;
    if (!m->created_time)
        m->created_time = v.created_time;
    Kv2__VersionMetadata *vm = kv2_meta_add(s, m, m->current_version);

    vm->created_time = v.created_time;
    vm->deletion_time = v.deletion_time;
    TRY(kv2_version_save(s, m, m->current_version, &v));
    TRY(kv2_meta_save(s, m));
    TRY(kv2_delete_dropped(s, m, &dropped));
    kv2_describe(s, response_data(rq, rs), m, m->current_version, vm);
    return NULL;
}

/* null is kept as null: it is no empty object. */
static const struct json *data_given(const struct request *rq)
{
    const struct json *sent = json_get(rq->data, STR("data"));

    return sent && sent->type == JSON_NULL ? sent : field_json(rq, "data");
}

static struct error *data_write(struct request *rq, struct response *rs)
{
    const struct json *data = data_given(rq);
    Kv2__KeyMetadata *m;
    struct kv2 s;

    if (!data)
        return fail(rq, ERR_BAD_REQUEST, "no data provided");
    TRY(kv2_open_to_write(rq, &s));
    TRY(kv2_meta_load(&s, kv2_path(rq), &m));
    if (!m)
        m = kv2_meta_new(&s, kv2_path(rq));
    return add_version(&s, rs, m, data);
}

static int compare_members(const void *x, const void *y)
{
    return str_cmp(((const struct json_member *)x)->key, ((const struct json_member *)y)->key);
}

/* Copies of the members in order, so that two objects of any size meet in one pass. */
static struct json_member *sorted_members(struct arena *a, const struct json *v)
{
    struct json_member *m = ARENA_ARRAY(a, struct json_member, v->n + 1);

    if (v->n)
        memcpy(m, v->members, v->n * sizeof(*m));
    qsort(m, v->n, sizeof(*m), compare_members);
    return m;
}

struct json *kv2_merge(struct arena *a, const struct json *target, const struct json *patch)
{
    struct json *o = json_object(a), nothing = {.type = JSON_OBJECT};

    if (!target || target->type != JSON_OBJECT)
        target = &nothing;
    const struct json_member *old = sorted_members(a, target), *new = sorted_members(a, patch);

    for (uint32_t i = 0, k = 0; i < target->n || k < patch->n;) {
        int order = i == target->n ? 1 : k == patch->n ? -1 : str_cmp(old[i].key, new[k].key);
        struct json *before = order <= 0 ? old[i].value : NULL;
        const struct json_member *m = order < 0 ? &old[i] : &new[k];
        struct json *v = m->value;

        if (order >= 0 && v->type == JSON_OBJECT)
            v = kv2_merge(a, before, v);
        if (order < 0 || v->type != JSON_NULL)
            json_add(a, o, m->key, v);
        i += order <= 0;
        k += order >= 0;
    }
    return o;
}

static struct error *data_patch(struct request *rq, struct response *rs)
{
    const struct json *patch = field_json(rq, "data");
    Kv2__Configuration *c;
    Kv2__KeyMetadata *m;
    struct json *data;
    struct kv2 s;

    if (!patch)
        return fail(rq, ERR_BAD_REQUEST, "no data provided");
    TRY(kv2_open(rq, &s));
    TRY(kv2_meta_load(&s, kv2_path(rq), &m));
    rs->status = 404;
    if (!m)
        return NULL;
    TRY(kv2_config_load(&s, &c));
    TRY(check_cas(rq, c, m));
    const Kv2__VersionMetadata *v = kv2_meta_find(m, m->current_version);

    if (!v)
        return NULL;
    if (kv2_is_gone(&s, v)) {
        kv2_describe(&s, response_data(rq, rs), m, m->current_version, v);
        return NULL;
    }
    rs->status = 0;
    TRY(kv2_version_load(&s, m, m->current_version, &data));
    return add_version(&s, rs, m, kv2_merge(rq->arena, data, patch));
}

/* Marks the newest version; its data stays. */
static struct error *data_delete(struct request *rq, struct response *rs)
{
    Kv2__KeyMetadata *m;
    struct kv2 s;

    if (is_folder(kv2_path(rq)))
        return kv2_invalid(rq, rs);
    TRY(kv2_open(rq, &s));
    TRY(kv2_meta_load(&s, kv2_path(rq), &m));
    Kv2__VersionMetadata *v = m ? kv2_meta_find(m, m->current_version) : NULL;

    if (!v || kv2_is_gone(&s, v))
        return NULL;
    v->deletion_time = kv2_time(rq->arena, clock_wall_ns(rq->clock));
    return kv2_meta_save(&s, m);
}

static const struct field data_fields[] = {
    {"path", FT_STRING, FIELD_PATH, .help = "Where the secret lies in the mount."},
    {"version", FT_INT, FIELD_QUERY, .help = "Reads this version; 0: the newest."},
    {"data", FT_MAP, .help = "The secret: any JSON object."},
    {"options", FT_MAP,
     .help = "\"cas\": the write is done only if this is the newest version's number (0: only if there is "
             "none)."},
    {0},
};

static const struct field subkeys_fields[] = {
    {"path", FT_STRING, FIELD_PATH, .help = "Where the secret lies in the mount."},
    {"version", FT_INT, FIELD_QUERY, .help = "Reads this version; 0: the newest."},
    {"depth", FT_INT, FIELD_QUERY, .help = "Levels to show; 0: all."},
    {0},
};

const struct route kv2_data_routes[] = {
    {"data/{path...}", data_fields,
     .ops = {[OP_READ] = {data_read, .help = "Reads a version of a secret."},
             [OP_UPDATE] = {data_write, ROUTE_BULK, "Stores a new version of a secret."},
             [OP_PATCH] = {data_patch, ROUTE_BULK,
                           "Stores a new version: the newest one, changed by a JSON merge patch."},
             [OP_DELETE] = {data_delete, .help = "Deletes the newest version; it can be undeleted."},
             [OP_LIST] = {kv2_invalid, ROUTE_HIDDEN, "Has no meaning: names are listed below metadata/."}},
     .exists = kv2_exists, .help = "Secrets, each with its versions.",
     .about = "Each write makes a new version; the oldest are dropped when there are more than max_versions. "
              "A deleted version "
              "keeps its data until it is dropped or destroyed."},
    {"subkeys/{path...}", subkeys_fields,
     .ops = {[OP_READ] = {subkeys_read, .help = "Reads the names in a secret without its values."}},
     .help = "The structure of a secret."},
    {0},
};
