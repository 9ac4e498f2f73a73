/* kv2_metadata: metadata/: what is kept about a key beside its versions. */
#include "engine/kv/kv2_private.h"

#include <stdlib.h>

enum { CUSTOM_PRINT_MAX = 4096 };

/* ---- custom_metadata ---- */

static int compare_keys(const void *x, const void *y)
{
    return str_cmp((*(const struct json_member *const *)x)->key,
                   (*(const struct json_member *const *)y)->key);
}

/* As Go prints values with %v: the error text for a value that is no text repeats it. */
static void put_go(struct buf *b, struct arena *a, const struct json *v)
{
    const struct json_member **sorted;

    switch (v->type) {
    case JSON_NULL: buf_put_str(b, STR("<nil>")); break;
    case JSON_BOOL: buf_put_str(b, v->boolean ? STR("true") : STR("false")); break;
    case JSON_NUMBER:
    case JSON_STRING: buf_put_str(b, v->text); break;
    case JSON_ARRAY:
        buf_put_byte(b, '[');
        for (uint32_t i = 0; i < v->n && !b->full; i++) {
            buf_put_str(b, i ? STR(" ") : STR(""));
            put_go(b, a, v->items[i]);
        }
        buf_put_byte(b, ']');
        break;
    case JSON_OBJECT:
        sorted = ARENA_ARRAY(a, const struct json_member *, v->n + 1);
        for (uint32_t i = 0; i < v->n; i++)
            sorted[i] = &v->members[i];
        qsort(sorted, v->n, sizeof(*sorted), compare_keys);
        buf_put_str(b, STR("map["));
        for (uint32_t i = 0; i < v->n && !b->full; i++) {
            buf_put_fmt(b, "%s%.*s:", i ? " " : "", PSTR(sorted[i]->key));
            put_go(b, a, sorted[i]->value);
        }
        buf_put_byte(b, ']');
    }
}

static str scalar_text(const struct json *v)
{
    if (v->type == JSON_BOOL)
        return v->boolean ? STR("1") : STR("0");
    return v->type == JSON_NULL ? (str){0} : v->text;
}

/* Texts instead of numbers and booleans; null stays for a patch. */
static struct error *custom_texts(struct request *rq, bool is_patch, struct json **ret)
{
    const struct json *given = field_json(rq, "custom_metadata");
    struct json *o = json_object(rq->arena);

    for (uint32_t i = 0; i < given->n; i++) {
        const struct json *v = given->members[i].value;
        struct buf b;

        if (v->type == JSON_OBJECT || v->type == JSON_ARRAY) {
            buf_init(&b, rq->arena, CUSTOM_PRINT_MAX);
            put_go(&b, rq->arena, v);
            return fail(rq, ERR_BAD_REQUEST,
                        "custom_metadata validation failed: '' expected type 'string', got unconvertible "
                        "type '%s', value: '%.*s'",
                        v->type == JSON_OBJECT ? "map[string]interface {}" : "[]interface {}",
                        PSTR(buf_str(&b)));
        }
        if (v->type != JSON_NULL || !is_patch)
            json_add(rq->arena, o, given->members[i].key, json_string(rq->arena, scalar_text(v)));
    }
    *ret = o;
    return NULL;
}

static char *cstr_of(struct arena *a, str s)
{
    char *p = arena_zalloc(a, s.n + 1);

    if (s.n)
        memcpy(p, s.p, s.n);
    return p;
}

static void custom_set(struct arena *a, Kv2__KeyMetadata *m, const struct json *texts)
{
    m->custom_metadata = ARENA_ARRAY(a, Kv2__CustomEntry *, texts->n + 1);
    m->n_custom_metadata = texts->n;
    for (uint32_t i = 0; i < texts->n; i++) {
        Kv2__CustomEntry *e = arena_alloc(a, sizeof(*e));

        kv2__custom_entry__init(e);
        e->key = cstr_of(a, texts->members[i].key);
        e->value = cstr_of(a, texts->members[i].value->text);
        m->custom_metadata[i] = e;
    }
}

/* A patch must send texts: what passed as a text above fails when it is merged. */
static struct error *custom_patch(struct request *rq, Kv2__KeyMetadata *m)
{
    const struct json *patch = field_json(rq, "custom_metadata");
    struct json *old = json_object(rq->arena), *merged;

    for (uint32_t i = 0; i < patch->n; i++) {
        const struct json *v = patch->members[i].value;

        if (v->type == JSON_NUMBER || v->type == JSON_BOOL)
            return fail_wrapped(
                rq, ERR_INTERNAL,
                "json: cannot unmarshal %s into Go struct field KeyMetadata.custom_metadata of type string",
                v->type == JSON_BOOL ? "bool" : "number");
    }
    for (size_t i = 0; i < m->n_custom_metadata; i++)
        json_set_str(rq->arena, old, str_from_cstr(m->custom_metadata[i]->key),
                     str_from_cstr(m->custom_metadata[i]->value));
    merged = kv2_merge(rq->arena, old, patch);
    custom_set(rq->arena, m, merged);
    return NULL;
}

/* ---- handlers ---- */

static struct error *meta_read(struct request *rq, struct response *rs)
{
    struct arena *a = rq->arena;
    Kv2__KeyMetadata *m;
    struct kv2 s;

    TRY(kv2_open(rq, &s));
    TRY(kv2_meta_load(&s, kv2_path(rq), &m));
    if (!m)
        return fail_absent(rq);
    struct json *o = response_data(rq, rs), *versions = json_object(a), *custom = json_null(a);

    for (size_t i = 0; i < m->n_versions; i++) {
        const Kv2__VersionMetadata *v = m->versions[i]->value;
        struct json *one = json_object(a);

        json_add(a, one, STR("created_time"), json_string(a, kv2_time_text(a, v->created_time)));
        json_add(a, one, STR("deletion_time"), json_string(a, kv2_time_text(a, v->deletion_time)));
        json_add(a, one, STR("destroyed"), json_bool(a, v->destroyed));
        json_add(a, versions, arena_fmt(a, "%llu", (unsigned long long)m->versions[i]->key), one);
    }
    if (m->n_custom_metadata)
        custom = json_object(a);
    for (size_t i = 0; i < m->n_custom_metadata; i++)
        json_set_str(a, custom, str_from_cstr(m->custom_metadata[i]->key),
                     str_from_cstr(m->custom_metadata[i]->value));
    json_set_bool(a, o, STR("cas_required"), m->cas_required);
    json_set_str(a, o, STR("created_time"), kv2_time_text(a, m->created_time));
    json_set_int(a, o, STR("current_version"), (int64_t)m->current_version);
    json_set(a, o, STR("custom_metadata"), custom);
    json_set_str(a, o, STR("delete_version_after"),
                 duration_format(a, kv2_duration_ns(m->delete_version_after)));
    json_set_int(a, o, STR("max_versions"), m->max_versions);
    json_set_int(a, o, STR("oldest_version"), (int64_t)m->oldest_version);
    json_set_str(a, o, STR("updated_time"), kv2_time_text(a, m->updated_time));
    json_set(a, o, STR("versions"), versions);
    return NULL;
}

/* The fields that were sent, but custom_metadata. */
static struct error *apply_fields(struct kv2 *s, struct response *rs, Kv2__KeyMetadata *m)
{
    struct request *rq = s->rq;
    Kv2__Configuration *c;

    if (field_given(rq, "max_versions"))
        m->max_versions = (uint32_t)field_int(rq, "max_versions");
    if (field_given(rq, "delete_version_after"))
        m->delete_version_after = kv2_duration(rq->arena, field_ns(rq, "delete_version_after"));
    if (!field_given(rq, "cas_required"))
        return NULL;
    m->cas_required = field_bool(rq, "cas_required");
    TRY(kv2_config_load(s, &c));
    if (c->cas_required && !m->cas_required)
        response_warn(
            rq, rs,
            "\"cas_required\" set to false, but is mandated by backend config. This value will be ignored.");
    return NULL;
}

static struct error *meta_write(struct request *rq, struct response *rs)
{
    struct json *custom = NULL;
    Kv2__KeyMetadata *m;
    struct kv2 s;

    if (!field_given(rq, "max_versions") && !field_given(rq, "cas_required") &&
        !field_given(rq, "delete_version_after") && !field_given(rq, "custom_metadata"))
        return NULL;
    if (field_given(rq, "custom_metadata")) {
        TRY(custom_texts(rq, false, &custom));
        TRY(custom_metadata_check(rq, ERR_BAD_REQUEST, custom));
    }
    TRY(kv2_open_to_write(rq, &s));
    TRY(kv2_meta_load(&s, kv2_path(rq), &m));
    if (!m) {
        m = kv2_meta_new(&s, kv2_path(rq));
        m->created_time = m->updated_time = kv2_time(rq->arena, clock_wall_ns(rq->clock));
    }
    TRY(apply_fields(&s, rs, m));
    if (custom)
        custom_set(rq->arena, m, custom);
    return kv2_meta_save(&s, m);
}

static struct error *meta_patch(struct request *rq, struct response *rs)
{
    const struct json *sent = json_get(rq->data, STR("custom_metadata"));
    struct json *custom;
    Kv2__KeyMetadata *m;
    struct kv2 s;

    if (field_given(rq, "custom_metadata")) {
        TRY(custom_texts(rq, true, &custom));
        TRY(custom_metadata_check(rq, ERR_BAD_REQUEST, custom));
    }
    TRY(kv2_open(rq, &s));
    TRY(kv2_meta_load(&s, kv2_path(rq), &m));
    if (!m) {
        rs->status = 404;
        return NULL;
    }
    TRY(apply_fields(&s, rs, m));
    if (sent && sent->type == JSON_NULL)
        m->n_custom_metadata = 0;
    else if (field_given(rq, "custom_metadata"))
        TRY(custom_patch(rq, m));
    return kv2_meta_save(&s, m);
}

/* The metadata first: without it the versions are out of reach, so what a crash may leave on a store without
 * transactions is never half a key. A key with more versions than a step takes first loses its oldest, step
 * by
 * step: what is left is whole at each moment. */
static struct error *meta_delete(struct request *rq, struct response *rs)
{
    struct kv2_dropped dropped;
    Kv2__KeyMetadata *m;
    struct kv2 s;

    TRY(kv2_open(rq, &s));
    TRY(kv2_meta_load(&s, kv2_path(rq), &m));
    if (!m)
        return NULL;
    kv2_drop(m, UINT64_MAX, &dropped);
    TRY(dropped.more ? kv2_meta_save(&s, m) : kv2_meta_delete(&s, m));
    TRY(kv2_delete_dropped(&s, m, &dropped));
    return dropped.more ? response_again(rs) : NULL;
}

static int compare_names(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

static struct error *meta_list(struct request *rq, struct response *rs)
{
    str folder = kv2_path(rq), *names;
    struct kv2 s;
    size_t n;

    if (str_ends(folder, STR("/")))
        folder = str_slice(folder, 0, folder.n - 1);
    TRY(kv2_open(rq, &s));
    if (!s.names)
        return fail_absent(rq);
    str prefix = arena_join(rq->arena, kv2_names_seal(s.names, rq->arena, s.base, folder), STR("/"));

    TRY(view_list(&s.view, prefix, &names, &n));
    for (size_t i = 0; i < n; i++) {
        bool is_folder = str_ends(names[i], STR("/"));
        str clear;

        TRY(kv2_names_open(s.names, rq->arena, s.base, folder, str_slice(names[i], 0, names[i].n - is_folder),
                           &clear));
        names[i] = is_folder ? arena_join(rq->arena, clear, STR("/")) : clear;
    }
    if (n > 1)
        qsort(names, n, sizeof(*names), compare_names);
    return response_list(rq, rs, names, n);
}

static const struct field meta_fields[] = {
    {"path", FT_STRING, FIELD_PATH, .help = "Where the secret lies in the mount."},
    {"max_versions", FT_INT, .help = "Versions to keep; 0: as the mount says. The larger of both counts."},
    {"cas_required", FT_BOOL, .help = "Writes must name the version they replace."},
    {"delete_version_after", FT_SECONDS,
     .help = "Versions are deleted after this time; the smaller of mount's and key's counts."},
    {"custom_metadata", FT_MAP, .help = "At most 64 texts of your own."},
    {0},
};

const struct route kv2_metadata_routes[] = {
    {"metadata/{path...}", meta_fields,
     .ops = {[OP_READ] = {meta_read, .help = "Reads what is known about a key and its versions."},
             [OP_UPDATE] = {meta_write,
                            .help =
                                "Sets the key's limits and custom metadata; makes the key if there is none."},
             [OP_PATCH] = {meta_patch, .help = "Changes what is sent; null resets."},
             [OP_DELETE] = {meta_delete, ROUTE_BULK, "Removes the key with all versions for ever."},
             [OP_LIST] = {meta_list, .help = "Lists the names below a path, folders with a slash."}},
     .exists = kv2_exists, .help = "Keys: their versions, limits and custom metadata."},
    {0},
};
