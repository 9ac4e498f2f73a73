/* entity: what requests read of an entity, packed into one heap block: twice by the same code, first
 * without memory, which counts. */
#include "base/log.h"
#include "base/secure.h"
#include "core/identity/identity_private.h"

#include <stdatomic.h>
#include <stdlib.h>

struct packer {
    uint8_t *base; /* NULL: counting */
    size_t used;
};

static void *take(struct packer *p, size_t n)
{
    size_t at = (p->used + 7) / 8 * 8;

    p->used = at + n;
    return p->base ? p->base + at : NULL;
}

static str pack_text(struct packer *p, ProtobufCBinaryData d)
{
    char *to = take(p, d.len);

    if (to && d.len)
        memcpy(to, d.data, d.len);
    return (str){to, d.len};
}

static const str *pack_texts(struct packer *p, const ProtobufCBinaryData *v, size_t n)
{
    str *to = take(p, n * sizeof(*to));

    for (size_t i = 0; i < n; i++) {
        str s = pack_text(p, v[i]);

        if (to)
            to[i] = s;
    }
    return to;
}

static const struct identity_pair *pack_pairs(struct packer *p, IdentityPb__Pair *const *v, size_t n)
{
    struct identity_pair *to = take(p, n * sizeof(*to));

    for (size_t i = 0; i < n; i++) {
        struct identity_pair pair = {pack_text(p, v[i]->key), pack_text(p, v[i]->value)};

        if (to)
            to[i] = pair;
    }
    return to;
}

static struct entity_alias pack_alias(struct packer *p, const IdentityPb__Alias *m)
{
    return (struct entity_alias){
        .id = pack_text(p, m->id),
        .name = pack_text(p, m->name),
        .mount_accessor = pack_text(p, m->mount_accessor),
        .metadata = pack_pairs(p, m->metadata, m->n_metadata),
        .n_metadata = m->n_metadata,
        .custom_metadata = pack_pairs(p, m->custom_metadata, m->n_custom_metadata),
        .n_custom_metadata = m->n_custom_metadata,
        .local = m->local,
    };
}

static void pack_entity(struct packer *p, const IdentityPb__Entity *m, const IdentityPb__LocalAliases *local,
                        struct entity *e)
{
    size_t n_local = local ? local->n_aliases : 0;

    e->id = pack_text(p, m->id);
    e->name = pack_text(p, m->name);
    e->policies = pack_texts(p, m->policies, m->n_policies);
    e->n_policies = m->n_policies;
    e->metadata = pack_pairs(p, m->metadata, m->n_metadata);
    e->n_metadata = m->n_metadata;
    e->disabled = m->disabled;
    e->n_aliases = m->n_aliases + n_local;
    struct entity_alias *to = take(p, e->n_aliases * sizeof(*to));

    for (size_t i = 0; i < e->n_aliases; i++) {
        struct entity_alias alias =
            pack_alias(p, i < m->n_aliases ? m->aliases[i] : local->aliases[i - m->n_aliases]);

        if (to)
            to[i] = alias;
    }
    e->aliases = to;
}

struct entity *entity_new(const IdentityPb__Entity *m, const IdentityPb__LocalAliases *local)
{
    struct entity counted = {0};
    struct packer p = {.used = sizeof(counted)};

    pack_entity(&p, m, local, &counted);
    struct entity *e = p.used <= UINT32_MAX ? calloc(1, p.used) : NULL;

    if (!e)
        die("out of memory");
    e->bytes = (uint32_t)p.used;
    p = (struct packer){(uint8_t *)e, sizeof(*e)};
    pack_entity(&p, m, local, e);
    atomic_init(&e->refs, 1);
    return e;
}

void entity_unref(struct entity *e)
{
    if (!e || atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) != 1)
        return;
    wipe(e, e->bytes);
    free(e);
}

const struct entity_alias *entity_alias_of(const struct entity *e, str mount_accessor)
{
    for (size_t i = 0; i < e->n_aliases; i++)
        if (str_eq(e->aliases[i].mount_accessor, mount_accessor))
            return &e->aliases[i];
    return NULL;
}

str identity_pair_get(const struct identity_pair *v, size_t n, str key, bool *ret_found)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(v[i].key, key)) {
            *ret_found = true;
            return v[i].value;
        }
    *ret_found = false;
    return (str){0};
}
