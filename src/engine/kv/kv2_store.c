/* kv2_store: opening a mount's store; its entries and messages. */
#include "base/encode.h"
#include "crypto/crypto.h"
#include "engine/kv/kv2_private.h"

#include <stdlib.h>

/* ---- messages ---- */

static void *message_alloc(void *arena, size_t n)
{
    return arena_alloc(arena, n);
}

static void message_free(void *arena, void *p)
{
    (void)arena; /* ends as a whole */
    (void)p;
}

static ProtobufCMessage *unpack(struct arena *a, const ProtobufCMessageDescriptor *d, bytes b)
{
    ProtobufCAllocator allocator = {message_alloc, message_free, a};

    return protobuf_c_message_unpack(d, &allocator, b.n, b.p);
}

bytes kv2_pack(struct arena *a, const ProtobufCMessage *m)
{
    uint8_t *out = arena_alloc(a, protobuf_c_message_get_packed_size(m));

    return (bytes){out, protobuf_c_message_pack(m, out)};
}

static struct error *message_load(struct kv2 *s, const ProtobufCMessageDescriptor *d, str path,
                                  ProtobufCMessage **ret)
{
    bytes b;

    *ret = NULL;
    TRY(view_get(&s->view, path, &b));
    if (!b.p)
        return NULL;
    *ret = unpack(s->rq->arena, d, b);
    if (!*ret)
        return fail(s->rq, ERR_INTERNAL, "the stored entry %.*s is damaged", PSTR(path));
    return NULL;
}

/* ---- times ---- */

static int64_t ns_of(int64_t seconds, int32_t nanos)
{
    int64_t ns;

    if (__builtin_mul_overflow(seconds, NS_PER_S, &ns) || __builtin_add_overflow(ns, nanos, &ns))
        return seconds < 0 ? INT64_MIN + 1 : INT64_MAX;
    return ns;
}

int64_t kv2_time_ns(const Kv2__Timestamp *t)
{
    return ns_of(t->seconds, t->nanos);
}

int64_t kv2_duration_ns(const Kv2__Duration *d)
{
    return d ? ns_of(d->seconds, d->nanos) : 0;
}

/* nanos of a time before 1970 are positive all the same, of a negative duration negative. */
Kv2__Timestamp *kv2_time(struct arena *a, int64_t wall_ns)
{
    Kv2__Timestamp *t = arena_alloc(a, sizeof(*t));
    int64_t nanos = (wall_ns % NS_PER_S + NS_PER_S) % NS_PER_S;

    kv2__timestamp__init(t);
    t->seconds = (wall_ns - nanos) / NS_PER_S;
    t->nanos = (int32_t)nanos;
    return t;
}

Kv2__Duration *kv2_duration(struct arena *a, int64_t ns)
{
    Kv2__Duration *d = arena_alloc(a, sizeof(*d));

    kv2__duration__init(d);
    d->seconds = ns / NS_PER_S;
    d->nanos = (int32_t)(ns % NS_PER_S);
    return d;
}

str kv2_time_text(struct arena *a, const Kv2__Timestamp *t)
{
    return t ? time_format(a, kv2_time_ns(t)) : (str){0};
}

/* ---- opening ---- */

static str entry_path(const struct kv2 *s, const char *name)
{
    return arena_fmt(s->rq->arena, "%.*s%s", PSTR(s->base), name);
}

struct upgrade_mark {
    struct object object;
    bool done;
};

static struct error *mark_parse(struct arena *scratch, str path, bytes clear, struct object **ret)
{
    const Kv2__UpgradeInfo *info =
        (const Kv2__UpgradeInfo *)unpack(scratch, &kv2__upgrade_info__descriptor, clear);

    if (!info)
        return error_new(scratch, ERR_INTERNAL, "the stored entry %.*s is damaged", PSTR(path));
    *ret = object_new(sizeof(struct upgrade_mark));
    CONTAINER_OF(*ret, struct upgrade_mark, object)->done = info->done;
    return NULL;
}

/* A mount without the mark is new, or was of version 1 until now. */
static struct error *check_upgraded(struct kv2 *s)
{
    struct object *o;
    str *names;
    size_t n;
    bool ready;

    TRY(view_get_object(&s->view, entry_path(s, "upgrading"), mark_parse, &o));
    if (o) {
        ready = CONTAINER_OF(o, struct upgrade_mark, object)->done;
    } else {
        TRY(view_list(&s->view, (str){0}, &names, &n));
        ready = n == 0 || (n == 1 && str_eq(names[0], s->base));
    }
    return ready ? NULL
                 : fail(s->rq, ERR_BAD_REQUEST,
                        "Upgrading from non-versioned to versioned data. This backend will be unavailable "
                        "for a brief period and "
                        "will resume service shortly.");
}

struct error *kv2_open_unchecked(struct request *rq, const struct mount *m, struct kv2 *ret)
{
    *ret = (struct kv2){.rq = rq,
                        .view = txn_mount_view(rq->txn, m),
                        .base = arena_join(rq->arena, m->backend_aware_uuid, STR("/"))};
    return kv2_names_load(&ret->view, ret->base, &ret->names);
}

struct error *kv2_open(struct request *rq, struct kv2 *ret)
{
    TRY(kv2_open_unchecked(rq, rq->mount, ret));
    return check_upgraded(ret);
}

static struct error *salt_load(struct kv2 *s)
{
    bytes salt;

    if (s->salt.n > 0)
        return NULL;
    TRY(view_get(&s->view, entry_path(s, "salt"), &salt));
    s->salt = str_from_bytes(salt);
    return NULL;
}

struct error *kv2_complete(struct kv2 *s)
{
    TRY(salt_load(s));
    if (s->salt.n == 0) {
        s->salt = rng_uuid_str(s->rq->rng, s->rq->arena);
        TRY(view_put(&s->view, entry_path(s, "salt"), bytes_from_str(s->salt)));
    }
    if (s->names)
        return NULL;
    TRY(kv2_names_make(s->rq, &s->view, s->base));
    return kv2_names_load(&s->view, s->base, &s->names);
}

struct error *kv2_open_to_write(struct request *rq, struct kv2 *ret)
{
    Kv2__UpgradeInfo *info;

    TRY(kv2_open(rq, ret));
    TRY(salt_load(ret));
    if (ret->names && ret->salt.n > 0)
        return NULL;
    TRY(kv2_complete(ret));
    TRY(kv2_upgrade_info_load(ret, &info));
    if (info->done)
        return NULL;
    info->started_time = kv2_time(rq->arena, clock_wall_ns(rq->clock));
    info->done = true;
    return kv2_upgrade_info_save(ret, info);
}

str kv2_path(const struct request *rq)
{
    return rq->params[0];
}

struct error *kv2_exists(struct request *rq, bool *ret_exists)
{
    struct kv2 s;

    *ret_exists = false;
    TRY(kv2_open_unchecked(rq, rq->mount, &s));
    if (!s.names || kv2_path(rq).n == 0)
        return NULL;
    return view_has(&s.view, kv2_names_seal(s.names, rq->arena, s.base, kv2_path(rq)), ret_exists);
}

/* ---- small messages ---- */

static struct error *message_load_or_zero(struct kv2 *s, const ProtobufCMessageDescriptor *d,
                                          const char *name, ProtobufCMessage **ret)
{
    TRY(message_load(s, d, entry_path(s, name), ret));
    if (!*ret) {
        *ret = arena_alloc(s->rq->arena, d->sizeof_message);
        d->message_init(*ret);
    }
    return NULL;
}

struct error *kv2_config_load(struct kv2 *s, Kv2__Configuration **ret)
{
    ProtobufCMessage *m;

    TRY(message_load_or_zero(s, &kv2__configuration__descriptor, "config", &m));
    *ret = (Kv2__Configuration *)m;
    return NULL;
}

struct error *kv2_config_save(struct kv2 *s, const Kv2__Configuration *c)
{
    return view_put(&s->view, entry_path(s, "config"), kv2_pack(s->rq->arena, &c->base));
}

struct error *kv2_upgrade_info_load(struct kv2 *s, Kv2__UpgradeInfo **ret)
{
    ProtobufCMessage *m;

    TRY(message_load_or_zero(s, &kv2__upgrade_info__descriptor, "upgrading", &m));
    *ret = (Kv2__UpgradeInfo *)m;
    return NULL;
}

struct error *kv2_upgrade_info_save(struct kv2 *s, const Kv2__UpgradeInfo *info)
{
    return view_put(&s->view, entry_path(s, "upgrading"), kv2_pack(s->rq->arena, &info->base));
}

/* ---- metadata ---- */

static int compare_versions(const void *x, const void *y)
{
    uint64_t a = (*(Kv2__VersionsEntry *const *)x)->key, b = (*(Kv2__VersionsEntry *const *)y)->key;

    return a < b ? -1 : a > b;
}

static Kv2__VersionMetadata *version_new(struct arena *a)
{
    Kv2__VersionMetadata *v = arena_alloc(a, sizeof(*v));

    kv2__version_metadata__init(v);
    return v;
}

Kv2__KeyMetadata *kv2_meta_unpack(struct arena *a, bytes b)
{
    Kv2__KeyMetadata *m = (Kv2__KeyMetadata *)unpack(a, &kv2__key_metadata__descriptor, b);
    bool ascending = true;

    for (size_t i = 0; m && i < m->n_versions; i++) {
        if (!m->versions[i]->value)
            m->versions[i]->value = version_new(a);
        ascending = ascending && (i == 0 || m->versions[i - 1]->key < m->versions[i]->key);
    }
    if (m && !ascending)
        qsort(m->versions, m->n_versions, sizeof(*m->versions), compare_versions);
    return m;
}

struct error *kv2_meta_load(struct kv2 *s, str key, Kv2__KeyMetadata **ret)
{
    bytes b;

    *ret = NULL;
    if (!s->names || key.n == 0)
        return NULL;
    str path = kv2_names_seal(s->names, s->rq->arena, s->base, key);

    TRY(view_get(&s->view, path, &b));
    if (!b.p)
        return NULL;
    *ret = kv2_meta_unpack(s->rq->arena, b);
    if (!*ret)
        return fail(s->rq, ERR_INTERNAL, "failed to decode key metadata from storage: %.*s", PSTR(path));
    return NULL;
}

Kv2__KeyMetadata *kv2_meta_new(struct kv2 *s, str key)
{
    Kv2__KeyMetadata *m = arena_alloc(s->rq->arena, sizeof(*m));

    kv2__key_metadata__init(m);
    m->key = arena_zalloc(s->rq->arena, key.n + 1);
    memcpy(m->key, key.p, key.n);
    return m;
}

static str meta_path(const struct kv2 *s, const Kv2__KeyMetadata *m)
{
    return kv2_names_seal(s->names, s->rq->arena, s->base, str_from_cstr(m->key));
}

struct error *kv2_meta_save(struct kv2 *s, const Kv2__KeyMetadata *m)
{
    for (str rest = str_from_cstr(m->key); rest.n > 0;) {
        size_t n = str_utf8_len(rest);

        if (n == 0)
            return fail_wrapped(s->rq, ERR_INTERNAL, "string field contains invalid UTF-8");
        rest = str_from(rest, n);
    }
    return view_put(&s->view, meta_path(s, m), kv2_pack(s->rq->arena, &m->base));
}

struct error *kv2_meta_delete(struct kv2 *s, const Kv2__KeyMetadata *m)
{
    return view_delete(&s->view, meta_path(s, m));
}

Kv2__VersionMetadata *kv2_meta_find(const Kv2__KeyMetadata *m, uint64_t version)
{
    for (size_t i = m->n_versions; i > 0 && m->versions[i - 1]->key >= version; i--)
        if (m->versions[i - 1]->key == version)
            return m->versions[i - 1]->value;
    return NULL;
}

Kv2__VersionMetadata *kv2_meta_add(struct kv2 *s, Kv2__KeyMetadata *m, uint64_t version)
{
    struct arena *a = s->rq->arena;
    size_t n = m->n_versions;
    Kv2__VersionsEntry **grown = ARENA_ARRAY(a, Kv2__VersionsEntry *, n + 1), *e = arena_alloc(a, sizeof(*e));

    kv2__versions_entry__init(e);
    e->key = version;
    e->value = version_new(a);
    if (n)
        memcpy(grown, m->versions, n * sizeof(*grown));
    grown[n] = e;
    m->versions = grown;
    m->n_versions = n + 1;
    return e->value;
}

/* ---- versions ---- */

str kv2_version_path(const struct kv2 *s, const Kv2__KeyMetadata *m, uint64_t version)
{
    struct arena *a = s->rq->arena;
    uint8_t hash[SHA256_BYTES];
    char hex[2 * SHA256_BYTES];

    sha256(hash, bytes_from_str(s->salt),
           bytes_from_str(arena_fmt(a, "%s|%llu", m->key, (unsigned long long)version)));
    hex_encode_to(hex, (bytes){hash, sizeof(hash)});
    return arena_fmt(a, "%.*sversions/%.3s/%.61s", PSTR(s->base), hex, hex + 3);
}

struct error *kv2_version_load(struct kv2 *s, const Kv2__KeyMetadata *m, uint64_t version,
                               struct json **ret_data)
{
    ProtobufCMessage *message;

    TRY(salt_load(s));
    TRY(message_load(s, &kv2__version__descriptor, kv2_version_path(s, m, version), &message));
    if (!message)
        return fail_wrapped(s->rq, ERR_INTERNAL, "could not find version data");
    const Kv2__Version *v = (const Kv2__Version *)message;

    return entry_json(s->rq->arena, kv2_version_path(s, m, version), (bytes){v->data.data, v->data.len},
                      ret_data);
}

struct error *kv2_version_save(struct kv2 *s, const Kv2__KeyMetadata *m, uint64_t number,
                               const Kv2__Version *v)
{
    return view_put(&s->view, kv2_version_path(s, m, number), kv2_pack(s->rq->arena, &v->base));
}

bool kv2_is_gone(const struct kv2 *s, const Kv2__VersionMetadata *v)
{
    return v->destroyed || (v->deletion_time && kv2_time_ns(v->deletion_time) <= clock_wall_ns(s->rq->clock));
}

/* The smaller of the mount's and the key's time, if both are set; -1 s at the mount means never. */
Kv2__Timestamp *kv2_deletion_time(struct kv2 *s, const Kv2__Configuration *c, const Kv2__KeyMetadata *m,
                                  int64_t now_ns)
{
    int64_t mount_ns = kv2_duration_ns(c->delete_version_after),
            ns = kv2_duration_ns(m->delete_version_after), at_ns;

    if (mount_ns == -NS_PER_S)
        return NULL;
    if (ns == 0 || (mount_ns != 0 && mount_ns < ns))
        ns = mount_ns;
    if (ns == 0)
        return NULL;
    if (__builtin_add_overflow(now_ns, ns, &at_ns))
        at_ns = INT64_MAX;
    return kv2_time(s->rq->arena, at_ns);
}

void kv2_describe(struct kv2 *s, struct json *o, const Kv2__KeyMetadata *m, uint64_t number,
                  const Kv2__VersionMetadata *v)
{
    struct arena *a = s->rq->arena;
    struct json *custom = m->n_custom_metadata ? json_object(a) : json_null(a);

    for (size_t i = 0; i < m->n_custom_metadata; i++)
        json_set(a, custom, str_from_cstr(m->custom_metadata[i]->key),
                 json_string(a, str_from_cstr(m->custom_metadata[i]->value)));
    json_add(a, o, STR("created_time"), json_string(a, kv2_time_text(a, v->created_time)));
    json_add(a, o, STR("custom_metadata"), custom);
    json_add(a, o, STR("deletion_time"), json_string(a, kv2_time_text(a, v->deletion_time)));
    json_add(a, o, STR("destroyed"), json_bool(a, v->destroyed));
    json_add(a, o, STR("version"), json_int(a, (int64_t)number));
}

/* ---- dropping ---- */

void kv2_drop(Kv2__KeyMetadata *m, uint64_t last, struct kv2_dropped *ret)
{
    *ret = (struct kv2_dropped){0};
    while (ret->n < m->n_versions && m->versions[ret->n]->key <= last && ret->n < KV2_STEP_ENTRIES) {
        ret->numbers[ret->n] = m->versions[ret->n]->key;
        ret->n++;
    }
    if (ret->n)
        m->versions += ret->n;
    m->n_versions -= ret->n;
    ret->more = m->n_versions > 0 && m->versions[0]->key <= last;
    m->oldest_version = ret->more ? m->versions[0]->key : last + 1;
}

/* Lowest first: what an interrupted backend leaves behind hangs together with the next version to be
 * dropped. */
struct error *kv2_delete_dropped(struct kv2 *s, const Kv2__KeyMetadata *m, const struct kv2_dropped *d)
{
    TRY(salt_load(s));
    for (size_t i = 0; i < d->n; i++)
        TRY(view_delete(&s->view, kv2_version_path(s, m, d->numbers[i])));
    return NULL;
}
