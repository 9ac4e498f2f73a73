/* mfa_totp: secrets of entities, and codes. */
#include "base/cursor.h"
#include "base/encode.h"
#include "base/qr.h"
#include "core/active.h"
#include "core/lease/member.h"
#include "core/mfa/mfa_private.h"
#include "crypto/otp.h"

static const char *const hashes[] = {[OTP_SHA1] = "SHA1", [OTP_SHA256] = "SHA256", [OTP_SHA512] = "SHA512"};

static str key_path(struct request *rq, str method_id, str entity_id)
{
    return arena_fmt(rq->arena, "%s%.*s/%.*s", MFA_TOTP_KEYS, PSTR(method_id), PSTR(entity_id));
}

/* n_mfa_secrets: none. */
static size_t secret_index(const IdentityPb__Entity *e, str method_id)
{
    for (size_t i = 0; i < e->n_mfa_secrets; i++) {
        str of = pb_str(e->mfa_secrets[i]->key);

        if (str_eq(of, method_id))
            return i;
    }
    return e->n_mfa_secrets;
}

/* ---- making ---- */

static str url_of(struct request *rq, const MfaPb__Totp *t, str account, str key)
{
    struct arena *a = rq->arena;
    str path = url_encode_path(a, pb_str(t->issuer)), issuer = url_encode(a, pb_str(t->issuer));

    return arena_fmt(a, "otpauth://totp/%.*s:%.*s?algorithm=%s&digits=%d&issuer=%.*s&period=%u&secret=%.*s",
                     PSTR(path), PSTR(account), hashes[t->algorithm], t->digits, PSTR(issuer), t->period,
                     PSTR(key));
}

/* settings: a packed Totp; account: whose. JSON with "key", "url", "barcode", or with "error". */
static bytes make_secret(struct request *rq, bytes settings, bytes account)
{
    struct arena *a = rq->arena;
    const MfaPb__Totp *t = (const MfaPb__Totp *)pb_unpack(a, &mfa_pb__totp__descriptor, settings);
    uint8_t *key = arena_alloc(a, t->key_size);
    struct json *o = json_object(a);
    struct error *e = NULL;
    bytes png = {0};

    rng_bytes(rq->rng, key, t->key_size);
    str text = base32_encode(a, (bytes){key, t->key_size}),
        url = url_of(rq, t, str_from_bytes(account), text);

    if (t->qr_size > 0)
        e = qr_png(a, url, (unsigned)t->qr_size, &png);
    json_set_str(a, o, STR("key"), text);
    json_set_str(a, o, STR("url"), url);
    json_set_str(a, o, STR("barcode"), base64_encode(a, png));
    if (e)
        json_set_str(a, o, STR("error"), e->text);
    return bytes_from_str(json_text(a, o));
}

static IdentityPb__MfaEntry *entry_new(struct request *rq, const MfaPb__Method *m, str entity_id)
{
    IdentityPb__MfaEntry *entry = ARENA_NEW(rq->arena, IdentityPb__MfaEntry);
    IdentityPb__MfaSecret *secret = ARENA_NEW(rq->arena, IdentityPb__MfaSecret);
    IdentityPb__TotpSecret *totp = ARENA_NEW(rq->arena, IdentityPb__TotpSecret);

    identity_pb__mfa_entry__init(entry);
    identity_pb__mfa_secret__init(secret);
    identity_pb__totp_secret__init(totp);
    totp->issuer = m->totp->issuer;
    totp->period = m->totp->period;
    totp->algorithm = m->totp->algorithm;
    totp->digits = m->totp->digits;
    totp->skew = m->totp->skew;
    totp->key_size = m->totp->key_size;
    totp->account_name = pb_text(rq->arena, entity_id);
    secret->method_name = m->name;
    secret->totp_secret = totp;
    entry->key = m->id;
    entry->value = secret;
    return entry;
}

static void add_entry(struct request *rq, IdentityPb__Entity *e, IdentityPb__MfaEntry *entry)
{
    size_t n = e->n_mfa_secrets * sizeof(*e->mfa_secrets);

    e->mfa_secrets = arena_grow(rq->arena, e->mfa_secrets, n, n + sizeof(*e->mfa_secrets));
    e->mfa_secrets[e->n_mfa_secrets++] = entry;
}

static bool is_usable(const MfaPb__Totp *t)
{
    return t && t->period > 0 && t->algorithm >= 0 && t->algorithm < (int)COUNT_OF(hashes) &&
           (t->digits == 6 || t->digits == 8) && t->key_size > 0 && t->key_size <= 4096;
}

static struct error *make(struct request *rq, struct response *rs, const MfaPb__Method *m, str entity_id)
{
    struct view sys = txn_view(rq->txn, SPACE_SYS);
    struct json *made, *stored = json_object(rq->arena);
    IdentityPb__LocalAliases *local;
    IdentityPb__Entity *e;
    bytes text;

    TRY(request_memo(rq, make_secret, pb_pack(rq->arena, &m->totp->base), bytes_from_str(entity_id), &text));
    TRY(txn_exclusive(rq->txn));
    TRY(identity_get(rq, entity_id, &e, &local));
    if (!e)
        return fail(rq, ERR_BAD_REQUEST, "invalid entity ID");
    if (secret_index(e, pb_str(m->id)) < e->n_mfa_secrets) {
        response_warn(rq, rs, "Entity already has a secret for MFA method \"%.*s\"", PSTR(pb_str(m->name)));
        return NULL;
    }
    TRY(json_parse(rq->arena, str_from_bytes(text), false, &made));
    if (json_get(made, STR("error")))
        return fail(rq, ERR_INTERNAL, "failed to generate QR code image: %.*s",
                    PSTR(json_get_str(made, STR("error"))));
    add_entry(rq, e, entry_new(rq, m, entity_id));
    json_set_str(rq->arena, stored, STR("key"), json_get_str(made, STR("key")));
    TRY(view_put_json(&sys, key_path(rq, pb_str(m->id), entity_id), stored));
    TRY(identity_put(rq, e, local));
    json_set_str(rq->arena, response_data(rq, rs), STR("url"), json_get_str(made, STR("url")));
    json_set_str(rq->arena, rs->data, STR("barcode"), json_get_str(made, STR("barcode")));
    return NULL;
}

static struct error *find_method(struct request *rq, str id, const MfaPb__Method **ret)
{
    *ret = mfa_method_find(mfa_set_held(rq), id);
    if (!*ret)
        return fail(rq, ERR_BAD_REQUEST, "configuration for method ID \"%.*s\" does not exist", PSTR(id));
    return NULL;
}

static struct error *generate(struct request *rq, struct response *rs, str entity_id)
{
    str id = field_str(rq, "method_id");
    const MfaPb__Method *m;
    const struct entity *e;

    if (id.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing method ID");
    if (entity_id.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing entityID");
    TRY(find_method(rq, id, &m));
    TRY(identity_entity_for(rq, entity_id, &e));
    if (!e)
        return fail(rq, ERR_BAD_REQUEST, "invalid entity ID");
    if (!is_usable(m->totp))
        return fail(rq, ERR_BAD_REQUEST, "generate not available for MFA type \"%.*s\"",
                    PSTR(pb_str(m->type)));
    return make(rq, rs, m, entity_id);
}

struct error *mfa_generate_write(struct request *rq, struct response *rs)
{
    return generate(rq, rs, rq->entity ? rq->entity->id : (str){0});
}

struct error *mfa_admin_generate_write(struct request *rq, struct response *rs)
{
    return generate(rq, rs, field_str(rq, "entity_id"));
}

struct error *mfa_admin_destroy_write(struct request *rq, struct response *rs)
{
    str id = field_str(rq, "method_id"), entity_id = field_str(rq, "entity_id");
    struct view sys = txn_view(rq->txn, SPACE_SYS);
    IdentityPb__LocalAliases *local;
    IdentityPb__Entity *e;
    const MfaPb__Method *m;

    (void)rs;
    if (id.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing method ID");
    if (entity_id.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing entity ID");
    TRY(txn_exclusive(rq->txn));
    TRY(identity_get(rq, entity_id, &e, &local));
    if (!e)
        return fail(rq, ERR_BAD_REQUEST, "invalid entity ID");
    TRY(find_method(rq, id, &m));
    if (!str_eq(pb_str(m->type), STR("totp")))
        return fail_wrapped(rq, ERR_INTERNAL, "method ID does not match TOTP type");
    size_t at = secret_index(e, id);

    if (at == e->n_mfa_secrets)
        return NULL;
    e->mfa_secrets[at] = e->mfa_secrets[--e->n_mfa_secrets];
    TRY(view_delete(&sys, key_path(rq, id, entity_id)));
    return identity_put(rq, e, local);
}

struct error *mfa_merge(struct request *rq, IdentityPb__Entity *to, const IdentityPb__Entity *from,
                        bool force)
{
    struct view sys = txn_view(rq->txn, SPACE_SYS);

    for (size_t i = 0; i < from->n_mfa_secrets; i++) {
        str id = pb_str(from->mfa_secrets[i]->key), old = key_path(rq, id, pb_str(from->id));
        size_t at = secret_index(to, id);
        bytes key;

        if (at < to->n_mfa_secrets && !force)
            return fail(rq, ERR_BAD_REQUEST, "conflicting MFA config ID \"%.*s\" in entity ID \"%.*s\"",
                        PSTR(id), PSTR(pb_str(from->id)));
        if (at < to->n_mfa_secrets)
            to->mfa_secrets[at] = from->mfa_secrets[i];
        else
            add_entry(rq, to, from->mfa_secrets[i]);
        TRY(view_get(&sys, old, &key));
        if (key.p)
            TRY(view_put(&sys, key_path(rq, id, pb_str(to->id)), key));
    }
    return NULL;
}

struct error *mfa_forget(struct request *rq, const IdentityPb__Entity *e)
{
    struct view sys = txn_view(rq->txn, SPACE_SYS);

    for (size_t i = 0; i < e->n_mfa_secrets; i++)
        TRY(view_delete(&sys, key_path(rq, pb_str(e->mfa_secrets[i]->key), pb_str(e->id))));
    return NULL;
}

/* ---- codes ---- */

struct trial {
    const MfaPb__Method *method;
    const IdentityPb__TotpSecret *secret;
    str entity_id, code;
    struct view memory;
    str used, attempts; /* paths there */
    str *problem;
};

static const char failed[] = "failed to validate TOTP passcode";

static struct error *load_number(struct trial *t, str path, uint64_t ret[2])
{
    bytes b;

    TRY(view_get(&t->memory, path, &b));
    struct cursor c = cursor_from(b);

    ret[0] = cursor_be64(&c);
    ret[1] = cursor_be64(&c);
    return NULL;
}

static struct error *save_numbers(struct trial *t, str path, const uint64_t v[2], int64_t ttl_ns)
{
    uint8_t b[16];

    put_be64(b, v[0]);
    put_be64(b + 8, v[1]);
    return view_put_for(&t->memory, path, (bytes){b, sizeof(b)}, ttl_ns);
}

static int64_t period_ns(const struct trial *t)
{
    return t->secret->period * NS_PER_S;
}

/* One try more, of those that a period has; the period begins with the first of them. */
static struct error *count_try(struct request *rq, struct trial *t)
{
    uint64_t v[2], now = (uint64_t)clock_mono_ns(rq->clock), max = t->method->totp->max_validation_attempts;

    TRY(load_number(t, t->attempts, v)); /* tries, end */
    if (v[0] == 0)
        v[1] = now + (uint64_t)period_ns(t);
    if (max == 0)
        max = MFA_ATTEMPTS_USUAL;
    if (v[0] >= max) {
        str wait = duration_format(rq->arena, period_ns(t));

        *t->problem =
            arena_fmt(rq->arena,
                      "maximum TOTP validation attempts %llu exceeded the allowed attempts %llu. Please "
                      "try again in %.*s seconds",
                      (unsigned long long)v[0] + 1, (unsigned long long)max, PSTR(wait));
        return NULL;
    }
    v[0]++;
    return save_numbers(t, t->attempts, v, v[1] > now ? (int64_t)(v[1] - now) : 0);
}

/* A step is good once, and only if it began after this node became active: what was used before that is not
 * known. */
static struct error *use_step(struct request *rq, struct trial *t, bytes key)
{
    uint64_t now = (uint64_t)(clock_wall_ns(rq->clock) / NS_PER_S) / t->secret->period, used[2], step;
    uint64_t skew = MIN(t->secret->skew, 1);

    TRY(load_number(t, t->used, used)); /* any, last step */
    if (!otp_find((enum otp_hash)t->secret->algorithm, key, now - skew, now + skew, t->code, &step) ||
        (used[0] && step <= used[1])) {
        *t->problem = str_from_cstr(failed);
        return NULL;
    }
    if ((int64_t)(step * t->secret->period) * NS_PER_S <= active_since_ns(rq->active)) {
        *t->problem = STR("the passcode began before this server became active: wait for the next one");
        return NULL;
    }
    used[0] = 1;
    used[1] = step;
    TRY(save_numbers(t, t->used, used, period_ns(t) * (2 + (int64_t)skew)));
    return view_delete(&t->memory, t->attempts);
}

static struct error *load_key(struct request *rq, struct trial *t, bytes *ret)
{
    struct view sys = txn_view(rq->txn, SPACE_SYS);
    struct json *j;

    TRY(view_get_json(&sys, key_path(rq, pb_str(t->method->id), t->entity_id), &j));
    str text = member_str(j, "key");

    if (text.n == 0)
        *t->problem = STR("empty key for entity's TOTP secret");
    else if (!base32_decode(rq->arena, text, ret))
        *t->problem = STR("the entity's TOTP secret is damaged");
    return NULL;
}

static bool is_code(str code, int digits)
{
    for (size_t i = 0; i < code.n; i++)
        if (code.p[i] < '0' || code.p[i] > '9')
            return false;
    return code.n == (size_t)digits;
}

static bool is_sound(const IdentityPb__TotpSecret *s)
{
    return s->period > 0 && s->algorithm >= 0 && s->algorithm < (int)COUNT_OF(hashes) &&
           (s->digits == 6 || s->digits == 8);
}

static struct error *try_code(struct request *rq, struct trial *t)
{
    bytes key;

    if (!is_code(t->code, t->secret->digits)) {
        *t->problem = str_from_cstr(failed);
        return NULL;
    }
    TRY(count_try(rq, t));
    if (t->problem->n > 0)
        return NULL;
    TRY(load_key(rq, t, &key));
    return t->problem->n > 0 ? NULL : use_step(rq, t, key);
}

struct error *mfa_totp_check(struct request *rq, const MfaPb__Method *m, const struct entity *e, str code,
                             str *ret_problem)
{
    struct arena *a = rq->arena;
    IdentityPb__LocalAliases *local;
    IdentityPb__Entity *stored;

    TRY(identity_get(rq, e->id, &stored, &local));
    size_t at = stored ? secret_index(stored, pb_str(m->id)) : 0;

    if (!stored || at == stored->n_mfa_secrets) {
        *ret_problem = arena_fmt(a, "MFA secret for method name \"%.*s\" not present in entity \"%.*s\"",
                                 PSTR(pb_str(m->name)), PSTR(e->id));
        return NULL;
    }
    const IdentityPb__MfaSecret *secret = stored->mfa_secrets[at]->value;

    if (code.n == 0) {
        *ret_problem = STR("MFA credentials not supplied");
        return NULL;
    }
    if (!m->totp || !secret || !secret->totp_secret || !is_sound(secret->totp_secret)) {
        *ret_problem = STR("entity does not contain the TOTP secret");
        return NULL;
    }
    struct trial t = {.method = m, .secret = secret->totp_secret, .entity_id = e->id, .code = code};

    t.memory = txn_view(rq->txn, SPACE_MEMORY);
    t.used = arena_fmt(a, "mfa/used/%.*s/%.*s", PSTR(pb_str(m->id)), PSTR(e->id));
    t.attempts = arena_fmt(a, "mfa/attempts/%.*s/%.*s", PSTR(pb_str(m->id)), PSTR(e->id));
    t.problem = ret_problem;
    return try_code(rq, &t);
}
