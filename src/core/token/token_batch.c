/* token_batch: tokens that are stored nowhere: their entry, sealed by the barrier, is the token itself. */
#include "base/encode.h"
#include "core/active_private.h"
#include "core/token/token_form.h"
#include "core/token/token_private.h"
#include "token.pb-c.h"

static char empty_text[] = "";

/* Strings of messages end in a NUL: what holds one is cut there. */
static char *text(struct arena *a, str s)
{
    char *p = s.n ? arena_cstr(a, s) : NULL;

    return p ? p : empty_text;
}

static char **texts(struct arena *a, const str *v, size_t n)
{
    char **out = ARENA_ARRAY(a, char *, n + 1);

    for (size_t i = 0; i < n; i++)
        out[i] = text(a, v[i]);
    return out;
}

static Token__Pair **pairs(struct arena *a, const struct json *meta, size_t *ret_n)
{
    size_t n = meta && meta->type == JSON_OBJECT ? meta->n : 0;
    Token__Pair **out = ARENA_ARRAY(a, Token__Pair *, n + 1);

    for (size_t i = 0; i < n; i++) {
        Token__Pair *p = ARENA_NEW(a, Token__Pair);

        token__pair__init(p);
        p->key = text(a, meta->members[i].key);
        p->value = text(a, meta->members[i].value->text);
        out[i] = p;
    }
    *ret_n = n;
    return out;
}

static bytes message_of(struct arena *a, const struct token_spec *spec, int64_t now_ns)
{
    Token__Entry e;

    token__entry__init(&e);
    e.parent = text(a, spec->parent);
    e.policies = texts(a, spec->policies, spec->n_policies);
    e.n_policies = spec->n_policies;
    e.path = text(a, spec->path);
    e.meta = pairs(a, spec->meta, &e.n_meta);
    e.display_name = text(a, spec->display_name);
    e.creation_time = now_ns / NS_PER_S;
    e.ttl = spec->ttl_ns;
    e.role = text(a, spec->role);
    e.entity_id = text(a, spec->entity_id);
    e.bound_cidrs = texts(a, spec->bound_cidrs, spec->n_bound_cidrs);
    e.n_bound_cidrs = spec->n_bound_cidrs;
    e.namespace_id = text(a, STR("root"));
    e.type = TOKEN_BATCH;
    uint8_t *out = arena_alloc(a, token__entry__get_packed_size(&e));

    return (bytes){out, token__entry__pack(&e, out)};
}

struct error *token_batch_make(struct request *rq, const struct token_spec *spec, int64_t now_ns,
                               str *ret_token)
{
    struct arena *a = rq->arena;
    bytes clear = message_of(a, spec, now_ns);
    uint8_t *record = arena_alloc(a, clear.n + BARRIER_OVERHEAD_BYTES);

    if (spec->n_policies > 0 && str_eq(spec->policies[0], STR("root")))
        return fail(rq, ERR_BAD_REQUEST, "batch tokens cannot be root tokens");
    if (barrier_seal(rq->active->barrier, rq->rng, record, (str){0}, clear) != BARRIER_OK)
        return fail(rq, ERR_SEALED, "Vault is sealed");
    *ret_token =
        arena_join(a, STR("hvb."), base64url_encode(a, (bytes){record, clear.n + BARRIER_OVERHEAD_BYTES}));
    return NULL;
}

/* ---- reading ---- */

static void *message_alloc(void *arena, size_t n)
{
    return arena_alloc(arena, n);
}

static void message_free(void *arena, void *p)
{
    (void)arena; /* ends as a whole */
    (void)p;
}

static const str *strs(struct arena *a, char *const *v, size_t n)
{
    str *out = ARENA_ARRAY(a, str, n + 1);

    for (size_t i = 0; i < n; i++)
        out[i] = str_from_cstr(v[i]);
    return out;
}

static const struct json *object_of(struct arena *a, Token__Pair *const *v, size_t n)
{
    struct json *o = n ? json_object(a) : NULL;

    for (size_t i = 0; i < n; i++)
        json_set_str(a, o, str_from_cstr(v[i]->key), str_from_cstr(v[i]->value));
    return o;
}

static struct token_entry *entry_of(struct arena *a, const Token__Entry *e, str token)
{
    struct token_entry *te = ARENA_NEW(a, struct token_entry);

    te->type = TOKEN_BATCH;
    te->id = token;
    te->parent = str_from_cstr(e->parent);
    te->policies = strs(a, e->policies, e->n_policies);
    te->n_policies = e->n_policies;
    te->path = str_from_cstr(e->path);
    te->meta = object_of(a, e->meta, e->n_meta);
    te->display_name = str_from_cstr(e->display_name);
    te->creation_time_s = e->creation_time;
    te->ttl_ns = e->ttl;
    te->role = str_from_cstr(e->role);
    te->entity_id = str_from_cstr(e->entity_id);
    te->bound_cidrs = strs(a, e->bound_cidrs, e->n_bound_cidrs);
    te->n_bound_cidrs = e->n_bound_cidrs;
    te->namespace_id = str_from_cstr(e->namespace_id);
    te->no_identity_policies = e->no_identity_policies;
    return te;
}

int64_t token_batch_end_ns(const struct token_entry *te)
{
    int64_t end;

    if (__builtin_mul_overflow(te->creation_time_s, NS_PER_S, &end) ||
        __builtin_add_overflow(end, te->ttl_ns, &end))
        return INT64_MIN;
    return end;
}

const struct token_entry *token_batch_open(struct request *rq, str token)
{
    struct arena *a = rq->arena;
    ProtobufCAllocator allocator = {message_alloc, message_free, a};
    bytes record;

    if (!base64url_decode(a, str_from(token, str_index(token, '.') + 1), &record) ||
        record.n < BARRIER_OVERHEAD_BYTES)
        return NULL;
    size_t n = record.n - BARRIER_OVERHEAD_BYTES;
    uint8_t *clear = arena_alloc(a, n);

    if (barrier_open(rq->active->barrier, clear, (str){0}, record) != BARRIER_OK)
        return NULL;
    const Token__Entry *e = token__entry__unpack(&allocator, n, clear);

    return e && e->type == TOKEN_BATCH ? entry_of(a, e, token) : NULL;
}

struct error *token_batch_find(struct request *rq, str token, const struct token_entry **ret)
{
    const struct token_entry *parent = NULL, *te = token_batch_open(rq, token);

    *ret = NULL;
    if (!te || (te->namespace_id.n && !str_eq(te->namespace_id, STR("root"))) ||
        token_batch_end_ns(te) <= clock_wall_ns(rq->clock))
        return NULL;
    if (te->parent.n)
        TRY(token_load_live(rq, te->parent, &parent));
    if (te->parent.n == 0 || parent)
        *ret = te;
    return NULL;
}
