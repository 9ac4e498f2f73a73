#include "core/identity/identity_private.h"
#include "core/stored.h"
#include "crypto/crypto.h"

static const struct {
    const char *folder;
    str type_url;
    const ProtobufCMessageDescriptor *descriptor;
} kinds[] = {
    [BUCKET_ENTITIES] = {"packer/buckets/",
                         {"type.googleapis.com/identity.Entity", 35},
                         &identity_pb__entity__descriptor},
    [BUCKET_LOCAL_ALIASES] = {"packer/local-aliases/buckets/",
                              {"type.googleapis.com/identity.LocalAliases", 41},
                              &identity_pb__local_aliases__descriptor},
    [BUCKET_GROUPS] = {"packer/group/buckets/",
                       {"type.googleapis.com/identity.Group", 34},
                       &identity_pb__group__descriptor},
};

/* protobuf-c's memory comes from an arena: nothing is freed singly. */
static void *take(void *arena, size_t n)
{
    return arena_alloc(arena, n);
}

static void give(void *arena, void *p)
{
    (void)arena;
    (void)p;
}

ProtobufCMessage *pb_unpack(struct arena *a, const ProtobufCMessageDescriptor *d, bytes b)
{
    ProtobufCAllocator from = {.alloc = take, .free = give, .allocator_data = a};

    return protobuf_c_message_unpack(d, &from, b.n, b.p);
}

bytes pb_pack(struct arena *a, const ProtobufCMessage *m)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *p = arena_alloc(a, n);

    protobuf_c_message_pack(m, p);
    return (bytes){p, n};
}

ProtobufCBinaryData pb_text(struct arena *a, str s)
{
    s = arena_str(a, s);
    return (ProtobufCBinaryData){.len = s.n, .data = (uint8_t *)arena_copy(a, s.p, s.n)};
}

ProtobufCBinaryData *pb_texts(struct arena *a, const str *v, size_t n)
{
    ProtobufCBinaryData *to = ARENA_ARRAY(a, ProtobufCBinaryData, n + 1);

    for (size_t i = 0; i < n; i++)
        to[i] = pb_text(a, v[i]);
    return to;
}

void pb_texts_add(struct arena *a, ProtobufCBinaryData **v, size_t *n, str s)
{
    *v = arena_grow(a, *v, *n * sizeof(**v), (*n + 1) * sizeof(**v));
    (*v)[(*n)++] = pb_text(a, s);
}

bool pb_texts_remove(ProtobufCBinaryData *v, size_t *n, str s)
{
    size_t kept = 0;

    for (size_t i = 0; i < *n; i++)
        if (!str_eq(pb_str(v[i]), s))
            v[kept++] = v[i];
    bool removed = kept < *n;

    *n = kept;
    return removed;
}

bool pb_texts_have(const ProtobufCBinaryData *v, size_t n, str s)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(pb_str(v[i]), s))
            return true;
    return false;
}

IdentityPb__Timestamp *pb_now(struct request *rq)
{
    IdentityPb__Timestamp *t = ARENA_NEW(rq->arena, IdentityPb__Timestamp);
    int64_t now = clock_wall_ns(rq->clock);

    identity_pb__timestamp__init(t);
    t->seconds = now / NS_PER_S;
    t->nanos = (int32_t)(now % NS_PER_S);
    return t;
}

IdentityPb__Pair **pb_pairs(struct arena *a, const struct json *object, size_t *ret_n)
{
    size_t n = object && object->type == JSON_OBJECT ? object->n : 0;
    IdentityPb__Pair **v = ARENA_ARRAY(a, IdentityPb__Pair *, n + 1);

    *ret_n = 0;
    for (size_t i = 0; i < n; i++) {
        if (object->members[i].value->type != JSON_STRING)
            continue;
        IdentityPb__Pair *p = ARENA_NEW(a, IdentityPb__Pair);

        identity_pb__pair__init(p);
        p->key = pb_text(a, object->members[i].key);
        p->value = pb_text(a, object->members[i].value->text);
        v[(*ret_n)++] = p;
    }
    return v;
}

unsigned bucket_number(str item_id)
{
    uint8_t digest[MD5_BYTES];

    md5(digest, bytes_from_str(item_id));
    return digest[0];
}

str bucket_path(struct arena *a, enum bucket_kind kind, unsigned number)
{
    return arena_fmt(a, "%s%u", kinds[kind].folder, number);
}

struct error *bucket_parse(struct arena *a, str path, bytes stored, IdentityPb__Bucket **ret)
{
    bytes clear;

    TRY(stored_unpack(a, path, stored, &clear));
    *ret = (IdentityPb__Bucket *)pb_unpack(a, &identity_pb__bucket__descriptor, clear);
    return *ret ? NULL : error_new(a, ERR_INTERNAL, "the stored entry %.*s is no bucket", PSTR(path));
}

bytes bucket_pack(struct arena *a, const IdentityPb__Bucket *b)
{
    return stored_snappy(a, pb_pack(a, &b->base));
}

struct error *bucket_read(struct view *v, enum bucket_kind kind, unsigned number, IdentityPb__Bucket **ret)
{
    struct arena *a = view_arena(v);
    str path = bucket_path(a, kind, number);
    bytes stored;

    TRY(view_get(v, path, &stored));
    if (stored.p)
        return bucket_parse(a, path, stored, ret);
    *ret = ARENA_NEW(a, IdentityPb__Bucket);
    identity_pb__bucket__init(*ret);
    (*ret)->key = pb_text(a, path);
    return NULL;
}

struct error *bucket_write(struct view *v, const IdentityPb__Bucket *b)
{
    return view_put(v, pb_str(b->key), bucket_pack(view_arena(v), b));
}

static IdentityPb__Item *find(const IdentityPb__Bucket *b, str id)
{
    for (size_t i = 0; i < b->n_items; i++)
        if (str_eq(pb_str(b->items[i]->id), id))
            return b->items[i];
    return NULL;
}

const IdentityPb__Item *bucket_find(const IdentityPb__Bucket *b, str id)
{
    return find(b, id);
}

void bucket_set(struct arena *a, IdentityPb__Bucket *b, enum bucket_kind kind, str id,
                const ProtobufCMessage *m)
{
    IdentityPb__Item *item = find(b, id);
    bytes value = pb_pack(a, m);

    if (!item) {
        size_t n = b->n_items * sizeof(*b->items);

        item = ARENA_NEW(a, IdentityPb__Item);
        identity_pb__item__init(item);
        item->id = pb_text(a, id);
        b->items = arena_grow(a, b->items, n, n + sizeof(*b->items));
        b->items[b->n_items++] = item;
    }
    if (!item->message) {
        item->message = ARENA_NEW(a, IdentityPb__Any);
        identity_pb__any__init(item->message);
    }
    item->message->type_url = pb_text(a, kinds[kind].type_url);
    item->message->value = (ProtobufCBinaryData){.len = value.n, .data = (uint8_t *)(uintptr_t)value.p};
}

bool bucket_remove(IdentityPb__Bucket *b, str id)
{
    for (size_t i = 0; i < b->n_items; i++)
        if (str_eq(pb_str(b->items[i]->id), id)) {
            b->n_items--;
            memmove(&b->items[i], &b->items[i + 1], (b->n_items - i) * sizeof(*b->items));
            return true;
        }
    return false;
}

ProtobufCMessage *item_unpack(struct arena *a, const IdentityPb__Item *item, enum bucket_kind kind)
{
    const IdentityPb__Any *m = item->message;

    if (!m || !str_eq(pb_str(m->type_url), kinds[kind].type_url))
        return NULL;
    return pb_unpack(a, kinds[kind].descriptor, (bytes){m->value.data, m->value.len});
}
