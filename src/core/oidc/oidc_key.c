/* oidc_key: named keys: two key pairs each, for signing now and next, and the ring of public keys that are
 * still believed. */
#include "core/lease/member.h"
#include "core/mount.h"
#include "core/oidc/oidc_private.h"
#include "crypto/jose.h"

static str path_of(struct request *rq, str name)
{
    return arena_join(rq->arena, STR(OIDC_NAMED_KEYS), name);
}

struct view oidc_view(struct request *rq)
{
    return txn_mount_view(rq->txn, mount_find(request_mounts(rq), STR("identity/")));
}

int64_t oidc_later_ns(const struct request *rq, int64_t ns)
{
    int64_t at_ns;

    return __builtin_add_overflow(clock_wall_ns(rq->clock), ns, &at_ns) ? INT64_MAX : at_ns;
}

static struct oidc_key *default_key(struct request *rq)
{
    static const str all[] = {STR("*")};
    struct oidc_key *k = ARENA_NEW(rq->arena, struct oidc_key);

    *k = (struct oidc_key){.name = STR(OIDC_DEFAULT_KEY),
                           .stored = json_object_ordered(rq->arena),
                           .algorithm = STR("RS256"),
                           .allowed_client_ids = all,
                           .n_allowed = 1,
                           .rotation_period_ns = OIDC_TTL_USUAL_NS,
                           .verification_ttl_ns = OIDC_TTL_USUAL_NS};
    return k;
}

struct error *oidc_key_load(struct request *rq, str name, struct oidc_key **ret)
{
    struct view v = oidc_view(rq);
    struct json *j;

    *ret = NULL;
    TRY(view_get_json(&v, path_of(rq, name), &j));
    if (!j) {
        if (str_eq(name, STR(OIDC_DEFAULT_KEY)))
            *ret = default_key(rq);
        return NULL;
    }
    *ret = ARENA_NEW(rq->arena, struct oidc_key);
    **ret = (struct oidc_key){.name = arena_str(rq->arena, name),
                              .stored = j,
                              .algorithm = member_str(j, "signing_algorithm"),
                              .rotation_period_ns = member_int(j, "rotation_period"),
                              .verification_ttl_ns = member_int(j, "verification_ttl")};
    (*ret)->allowed_client_ids = member_strs(rq->arena, j, "allowed_client_ids", &(*ret)->n_allowed);
    return NULL;
}

bool oidc_key_allows(const struct oidc_key *k, str client_id)
{
    for (size_t i = 0; i < k->n_allowed; i++)
        if (str_eq(k->allowed_client_ids[i], STR("*")) || str_eq(k->allowed_client_ids[i], client_id))
            return true;
    return false;
}

bool oidc_key_can_sign(const struct oidc_key *k)
{
    return member_object(k->stored, "signing_key") != NULL;
}

int64_t oidc_key_next_rotation_ns(const struct oidc_key *k)
{
    return member_time_ns(k->stored, "next_rotation");
}

static void set_next_rotation(struct request *rq, struct oidc_key *k, int64_t when_ns)
{
    json_set_str(rq->arena, k->stored, STR("next_rotation"), time_format(rq->arena, when_ns));
}

void oidc_key_rotate_by(struct request *rq, struct oidc_key *k, int64_t when_ns)
{
    int64_t set_ns = oidc_key_next_rotation_ns(k);

    if (set_ns == TIME_ZERO_NS || when_ns < set_ns)
        set_next_rotation(rq, k, when_ns);
}

struct error *oidc_key_save(struct request *rq, struct oidc_key *k)
{
    struct view v = oidc_view(rq);
    struct arena *a = rq->arena;

    json_set_str(a, k->stored, STR("signing_algorithm"), k->algorithm);
    json_set_int(a, k->stored, STR("verification_ttl"), k->verification_ttl_ns);
    json_set_int(a, k->stored, STR("rotation_period"), k->rotation_period_ns);
    json_set(a, k->stored, STR("allowed_client_ids"), json_strings(a, k->allowed_client_ids, k->n_allowed));
    oidc_look_again(rq);
    return view_put_json(&v, path_of(rq, k->name), k->stored);
}

/* ---- pairs ---- */

static bytes generate(struct request *rq, bytes algorithm, bytes which)
{
    struct json *jwk;

    (void)which;
    if (jwk_generate(rq->arena, str_from_bytes(algorithm), rng_uuid_str(rq->rng, rq->arena), &jwk))
        return (bytes){0};
    return bytes_from_str(json_text(rq->arena, jwk));
}

static struct json *ring_of(struct request *rq, struct oidc_key *k)
{
    struct json *ring = json_get(k->stored, STR("key_ring"));

    if (!ring || ring->type != JSON_ARRAY) {
        ring = json_array(rq->arena);
        json_set(rq->arena, k->stored, STR("key_ring"), ring);
    }
    return ring;
}

/* member: "signing_key" or "next_signing_key". The public key is there before what names it. */
static struct error *make_pair(struct request *rq, struct oidc_key *k, const char *member)
{
    struct arena *a = rq->arena;
    struct view v = oidc_view(rq);
    struct json *jwk, *entry = json_object_ordered(a);
    /* another one for each rotation of a request that rotates several, the same when it runs again */
    str before = json_get_str(member_object(k->stored, member), STR("kid"));
    str which = arena_fmt(a, "%s %.*s %.*s", member, PSTR(k->name), PSTR(before));
    bytes text;

    TRY(request_memo(rq, generate, bytes_from_str(k->algorithm), bytes_from_str(which), &text));
    if (json_parse(a, str_from_bytes(text), false, &jwk))
        return fail(rq, ERR_INTERNAL, "no %.*s key could be made", PSTR(k->algorithm));
    str kid = json_get_str(jwk, STR("kid"));

    TRY(view_put_json(&v, arena_join(a, STR(OIDC_PUBLIC_KEYS), kid), jwk_public(a, jwk)));
    json_set_str(a, entry, STR("key_id"), kid);
    json_set_str(a, entry, STR("expire_at"), time_format(a, TIME_ZERO_NS));
    json_append(a, ring_of(rq, k), entry);
    json_set(a, k->stored, str_from_cstr(member), jwk);
    return NULL;
}

struct error *oidc_key_make(struct request *rq, struct oidc_key *k)
{
    TRY(make_pair(rq, k, "signing_key"));
    return make_pair(rq, k, "next_signing_key");
}

struct error *oidc_key_rotate(struct request *rq, struct oidc_key *k, int64_t verification_ttl_ns)
{
    str old = json_get_str(member_object(k->stored, "signing_key"), STR("kid"));
    struct json *ring = ring_of(rq, k);

    if (!member_object(k->stored, "next_signing_key")) /* of a Vault before 1.9 */
        TRY(make_pair(rq, k, "next_signing_key"));
    for (uint32_t i = 0; old.n > 0 && i < ring->n; i++)
        if (str_eq(member_str(ring->items[i], "key_id"), old))
            json_set_str(rq->arena, ring->items[i], STR("expire_at"),
                         time_format(rq->arena, oidc_later_ns(rq, verification_ttl_ns)));
    json_set(rq->arena, k->stored, STR("signing_key"), member_object(k->stored, "next_signing_key"));
    set_next_rotation(rq, k, oidc_later_ns(rq, k->rotation_period_ns));
    TRY(make_pair(rq, k, "next_signing_key"));
    return oidc_key_save(rq, k);
}

struct error *oidc_key_ready(struct request *rq, struct oidc_key *k)
{
    if (oidc_key_can_sign(k))
        return NULL;
    TRY(oidc_key_make(rq, k));
    oidc_key_rotate_by(rq, k, oidc_later_ns(rq, k->rotation_period_ns));
    return oidc_key_save(rq, k);
}

/* ---- the ring ---- */

static bool is_expired(const struct json *entry, int64_t now_ns)
{
    int64_t end_ns = member_time_ns(entry, "expire_at");

    return end_ns != TIME_ZERO_NS && end_ns < now_ns;
}

struct oidc_ring oidc_key_ring(struct request *rq, const struct oidc_key *k)
{
    const struct json *ring = json_get(k->stored, STR("key_ring"));
    uint32_t n = ring && ring->type == JSON_ARRAY ? ring->n : 0;
    str *ids = ARENA_ARRAY(rq->arena, str, n + 1);
    struct oidc_ring r = {.ids = ids, .next_expiry_ns = INT64_MAX};

    for (uint32_t i = 0; i < n; i++) {
        int64_t end_ns = member_time_ns(ring->items[i], "expire_at");

        if (is_expired(ring->items[i], clock_wall_ns(rq->clock)))
            continue;
        ids[r.n++] = member_str(ring->items[i], "key_id");
        if (end_ns != TIME_ZERO_NS)
            r.next_expiry_ns = MIN(r.next_expiry_ns, end_ns);
    }
    return r;
}

void oidc_key_prune(struct request *rq, struct oidc_key *k, const str **ret_ids, size_t *ret_n)
{
    struct json *ring = ring_of(rq, k);
    str *ids = ARENA_ARRAY(rq->arena, str, ring->n + 1);
    uint32_t kept = 0;

    *ret_n = 0;
    for (uint32_t i = 0; i < ring->n; i++)
        if (is_expired(ring->items[i], clock_wall_ns(rq->clock)))
            ids[(*ret_n)++] = member_str(ring->items[i], "key_id");
        else
            ring->items[kept++] = ring->items[i];
    ring->n = kept;
    *ret_ids = ids;
}

/* ---- signing ---- */

/* Empty: the key is damaged. */
static bytes sign(struct request *rq, bytes jwk, bytes payload)
{
    struct json *j;
    struct jose_key *key;
    str token;

    if (json_parse(rq->arena, str_from_bytes(jwk), false, &j) || jose_key_load(rq->arena, j, &key) ||
        jws_sign(rq->arena, key, payload, &token))
        return (bytes){0};
    return bytes_from_str(token);
}

struct error *oidc_key_sign(struct request *rq, struct oidc_key *k, const struct json *payload,
                            str *ret_token)
{
    bytes token;

    TRY(oidc_key_ready(rq, k));
    str jwk = json_text(rq->arena, member_object(k->stored, "signing_key"));
    str text = json_text(rq->arena, payload);

    TRY(request_memo(rq, sign, bytes_from_str(jwk), bytes_from_str(text), &token));
    if (token.n == 0)
        return fail(rq, ERR_INTERNAL, "the key \"%.*s\" is damaged: rotate it", PSTR(k->name));
    *ret_token = str_from_bytes(token);
    return NULL;
}
