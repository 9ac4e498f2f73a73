/* oidc: tokens and what verifies them; the timer that rotates keys. */
#include "base/log.h"
#include "config/config.h"
#include "core/active_private.h"
#include "core/lease/member.h"
#include "core/oidc/oidc_private.h"
#include "crypto/jose.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { TICK_S = 60, LOOK_S = 24 * 3600, LEEWAY_S = 60, DELETE_STEP = 32, DISCOVERY_MAX_AGE_S = 3600 };
#define CONFIG_PATH "oidc_tokens/config/" /* ends so in Vault */

/* ---- the issuer ---- */

struct error *oidc_issuer(struct request *rq, str *ret)
{
    struct view v = oidc_view(rq);
    struct json *j;

    TRY(view_get_json(&v, STR(CONFIG_PATH), &j));
    str base = member_str(j, "issuer");

    *ret = arena_fmt(rq->arena, "%.*s/v1/identity/oidc",
                     PSTR(base.n ? base : rq->core->config.config->api_addr));
    return NULL;
}

static struct error *config_read(struct request *rq, struct response *rs)
{
    struct json *j;

    TRY(view_get_json(rq->view, STR(CONFIG_PATH), &j));
    json_set_str(rq->arena, response_data(rq, rs), STR("issuer"), member_str(j, "issuer"));
    return NULL;
}

/* http or https, a host, perhaps a port, no more. */
static bool is_issuer(str s)
{
    size_t at = str_find(s, STR("://"));
    str scheme = str_slice(s, 0, at), host = str_from(s, at + 3);

    if (!str_eq_nocase(scheme, STR("http")) && !str_eq_nocase(scheme, STR("https")))
        return false;
    size_t colon = str_rindex(host, ':');

    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];

        if (c <= ' ' || c == 0x7f || strchr("/?#@\\%\"<>", c))
            return false;
    }
    for (size_t i = colon + 1; i < host.n && !str_ends(host, STR("]")); i++)
        if (host.p[i] < '0' || host.p[i] > '9')
            return false;
    return host.n > 0 && colon > 0;
}

static struct error *config_write(struct request *rq, struct response *rs)
{
    str issuer = field_str(rq, "issuer");
    struct json *j;

    if (!field_given(rq, "issuer"))
        return NULL;
    if (issuer.n > 0 && !is_issuer(issuer))
        return fail(rq, ERR_BAD_REQUEST,
                    "invalid issuer, which must include only a scheme, host, and optional port (e.g. "
                    "https://example.com:8200)");
    if (issuer.n > 0)
        response_warn(rq, rs,
                      "If \"issuer\" is set explicitly, all tokens must be validated against that address, "
                      "including those issued by secondary clusters. Setting issuer to \"\" will restore the "
                      "default behavior of using the cluster's api_addr as the issuer.");
    TRY(view_get_json(rq->view, STR(CONFIG_PATH), &j));
    if (!j)
        j = json_object_ordered(rq->arena);
    json_set_str(rq->arena, j, STR("issuer"), issuer);
    return view_put_json(rq->view, STR(CONFIG_PATH), j);
}

/* ---- tokens ---- */

static struct json *payload_of(struct request *rq, const struct oidc_role *r, str issuer, int64_t ttl_ns)
{
    struct json *p = json_object(rq->arena);

    json_set_str(rq->arena, p, STR("iss"), issuer);
    json_set_str(rq->arena, p, STR("namespace"), STR("root"));
    json_set_str(rq->arena, p, STR("sub"), rq->entity->id);
    json_set_str(rq->arena, p, STR("aud"), r->client_id);
    json_set_int(rq->arena, p, STR("iat"), clock_wall_ns(rq->clock) / NS_PER_S);
    json_set_int(rq->arena, p, STR("exp"), oidc_later_ns(rq, ttl_ns) / NS_PER_S);
    return p;
}

/* The role, its key, and may the one sign with the other? The key may have been changed since. */
static struct error *find_key(struct request *rq, struct oidc_role **ret_role, struct oidc_key **ret_key)
{
    str name = field_str(rq, "name");

    TRY(oidc_role_load(rq, name, ret_role));
    if (!*ret_role)
        return fail(rq, ERR_BAD_REQUEST, "role \"%.*s\" not found", PSTR(name));
    str key = (*ret_role)->key;

    TRY(oidc_key_load(rq, key, ret_key));
    if (!*ret_key)
        return fail(rq, ERR_BAD_REQUEST, "key \"%.*s\" not found", PSTR(key));
    if (!oidc_key_allows(*ret_key, (*ret_role)->client_id))
        return fail(
            rq, ERR_BAD_REQUEST,
            "the key \"%.*s\" does not list the client ID of the role \"%.*s\" as an allowed client ID",
            PSTR(key), PSTR(name));
    return NULL;
}

static struct error *token_read(struct request *rq, struct response *rs)
{
    struct oidc_role *r;
    struct oidc_key *k;
    str issuer, token;

    TRY(find_key(rq, &r, &k));
    if (!rq->entity)
        return fail(rq, ERR_BAD_REQUEST, "no entity associated with the request's token");
    int64_t ttl_ns = r->ttl_ns;

    if (ttl_ns > k->verification_ttl_ns) {
        ttl_ns = k->verification_ttl_ns;
        response_warn(
            rq, rs,
            "a role's token ttl cannot be longer than the verification_ttl of the key it references, "
            "setting token ttl to %lld",
            (long long)ttl_ns / NS_PER_S);
    }
    TRY(oidc_issuer(rq, &issuer));
    struct json *payload = payload_of(rq, r, issuer, ttl_ns);

    TRY(claims_add(rq, r->template, rq->entity, payload));
    TRY(oidc_key_sign(rq, k, payload, &token));
    struct json *data = response_data(rq, rs);

    json_set_str(rq->arena, data, STR("client_id"), r->client_id);
    json_set_str(rq->arena, data, STR("token"), token);
    json_set_int(rq->arena, data, STR("ttl"), ttl_ns / NS_PER_S);
    return NULL;
}

/* ---- public keys ---- */

/* Ids of the public keys of all keys that roles use, each once. */
static struct error *public_ids(struct request *rq, const str **ret, size_t *ret_n)
{
    struct json *seen = json_object(rq->arena), *keys = json_object(rq->arena);
    str *roles, *ids;
    size_t n;

    TRY(view_list(rq->view, STR(OIDC_ROLES), &roles, &n));
    for (size_t i = 0; i < n; i++) {
        struct oidc_role *r;
        struct oidc_key *k = NULL;

        TRY(oidc_role_load(rq, roles[i], &r));
        if (!r || json_get(keys, r->key))
            continue;
        json_set_bool(rq->arena, keys, r->key, true);
        TRY(oidc_key_load(rq, r->key, &k));
        struct oidc_ring ring = k ? oidc_key_ring(rq, k) : (struct oidc_ring){0};

        for (size_t id = 0; id < ring.n; id++)
            json_set_bool(rq->arena, seen, ring.ids[id], true);
    }
    ids = ARENA_ARRAY(rq->arena, str, seen->n + 1);
    for (uint32_t i = 0; i < seen->n; i++)
        ids[i] = seen->members[i].key;
    *ret = ids;
    *ret_n = seen->n;
    return NULL;
}

static struct error *public_key(struct request *rq, str kid, struct json **ret)
{
    return view_get_json(rq->view, arena_join(rq->arena, STR(OIDC_PUBLIC_KEYS), kid), ret);
}

static struct error *keys_read(struct request *rq, struct response *rs)
{
    struct json *keys = json_array(rq->arena);
    int64_t next_ns = oidc_next_run_ns(rq->active) - clock_wall_ns(rq->clock);
    const str *ids;
    size_t n;

    TRY(public_ids(rq, &ids, &n));
    for (size_t i = 0; i < n; i++) {
        struct json *jwk;

        TRY(public_key(rq, ids[i], &jwk));
        if (jwk)
            json_append(rq->arena, keys, jwk_public(rq->arena, jwk));
    }
    json_set(rq->arena, response_data(rq, rs), STR("keys"), keys);
    rs->bare_body = true;
    if (keys->n > 0 && next_ns >= NS_PER_S)
        rs->max_age_s = next_ns / NS_PER_S;
    return NULL;
}

static struct error *discovery_read(struct request *rq, struct response *rs)
{
    static const str id_token[] = {STR("id_token")}, public[] = {STR("public")};
    struct arena *a = rq->arena;
    struct json *data = json_object_ordered(a), *algorithms = json_array(a);
    str issuer;

    TRY(oidc_issuer(rq, &issuer));
    for (size_t i = 0; oidc_algorithms[i]; i++)
        json_append(a, algorithms, json_string(a, str_from_cstr(oidc_algorithms[i])));
    json_set_str(a, data, STR("issuer"), issuer);
    json_set_str(a, data, STR("jwks_uri"), arena_join(a, issuer, STR("/.well-known/keys")));
    json_set(a, data, STR("response_types_supported"), json_strings(a, id_token, 1));
    json_set(a, data, STR("subject_types_supported"), json_strings(a, public, 1));
    json_set(a, data, STR("id_token_signing_alg_values_supported"), algorithms);
    rs->data = data;
    rs->bare_body = true;
    rs->max_age_s = DISCOVERY_MAX_AGE_S;
    return NULL;
}

/* ---- introspection ---- */

/* One byte: 1 if the key has signed the token. */
static bytes verify(struct request *rq, bytes jwk, bytes token)
{
    struct json *j;
    struct jose_key *key;
    struct jws jws;
    uint8_t *ret = arena_zalloc(rq->arena, 1);

    if (!json_parse(rq->arena, str_from_bytes(jwk), false, &j) && !jose_key_load(rq->arena, j, &key) &&
        !jws_parse(rq->arena, str_from_bytes(token), &jws))
        *ret = jws_verify(&jws, key);
    return (bytes){ret, 1};
}

static struct error *is_signed(struct request *rq, const struct jws *jws, str token, bool *ret)
{
    const str *ids;
    struct json *jwk = NULL;
    bytes ok;
    size_t n;

    *ret = false;
    TRY(public_ids(rq, &ids, &n));
    for (size_t i = 0; i < n && !jwk; i++)
        if (str_eq(ids[i], jws->kid))
            TRY(public_key(rq, ids[i], &jwk));
    if (!jwk)
        return NULL;
    TRY(request_memo(rq, verify, bytes_from_str(json_text(rq->arena, jwk)), bytes_from_str(token), &ok));
    *ret = ok.n == 1 && ok.p[0] == 1;
    return NULL;
}

static bool is_for(const struct json *aud, str client_id)
{
    if (aud && aud->type == JSON_STRING)
        return str_eq(aud->text, client_id);
    for (uint32_t i = 0; aud && aud->type == JSON_ARRAY && i < aud->n; i++)
        if (aud->items[i]->type == JSON_STRING && str_eq(aud->items[i]->text, client_id))
            return true;
    return false;
}

/* NULL: nothing is wrong with them. */
static const char *claims_problem(struct request *rq, const struct json *claims, str issuer)
{
    str client_id = field_str(rq, "client_id");
    int64_t now_s = clock_wall_ns(rq->clock) / NS_PER_S;

    if (!str_eq(json_get_str(claims, STR("iss")), issuer))
        return "invalid issuer claim (iss)";
    if (client_id.n > 0 && !is_for(json_get(claims, STR("aud")), client_id))
        return "invalid audience claim (aud)";
    if (json_get_int(claims, STR("exp")) < now_s - LEEWAY_S)
        return "token is expired (exp)";
    if (json_get_int(claims, STR("iat")) > now_s + LEEWAY_S)
        return "token issued in the future (iat)";
    return NULL;
}

/* *ret_problem stays empty when the token is good. */
static struct error *look_into(struct request *rq, str *ret_problem)
{
    str token = field_str(rq, "token"), issuer;
    struct jws jws;
    struct json *claims;
    const struct entity *e;
    struct error *bad = jws_parse(rq->arena, token, &jws);
    bool ok = false;

    if (bad) {
        *ret_problem = arena_join(rq->arena, STR("error parsing token: "), bad->text);
        return NULL;
    }
    TRY(is_signed(rq, &jws, token, &ok));
    if (!ok || json_parse(rq->arena, str_from_bytes(jws.payload), false, &claims)) {
        *ret_problem = STR("unable to validate the token signature");
        return NULL;
    }
    TRY(oidc_issuer(rq, &issuer));
    const char *problem = claims_problem(rq, claims, issuer);

    if (problem) {
        *ret_problem = arena_fmt(rq->arena, "error validating claims: validation failed, %s", problem);
        return NULL;
    }
    TRY(identity_entity_for(rq, json_get_str(claims, STR("sub")), &e));
    if (!e)
        *ret_problem = STR("entity was not found");
    else if (e->disabled)
        *ret_problem = STR("entity is disabled");
    return NULL;
}

static struct error *introspect(struct request *rq, struct response *rs)
{
    struct json *data = response_data(rq, rs);
    str problem = {0};

    TRY(look_into(rq, &problem));
    json_set_bool(rq->arena, data, STR("active"), problem.n == 0);
    if (problem.n > 0)
        json_set_str(rq->arena, data, STR("error"), problem);
    rs->bare_body = true;
    return NULL;
}

/* ---- the timer ---- */

struct oidc {
    struct active *active;
    struct loop_timer timer;
    _Atomic(int64_t) next_run_ns; /* wall time; 0: look */
};

int64_t oidc_next_run_ns(struct active *a)
{
    return atomic_load(&active_oidc(a)->next_run_ns);
}

static void look(struct active *a, void *arg)
{
    (void)arg;
    atomic_store(&active_oidc(a)->next_run_ns, 0);
}

void oidc_look_again(struct request *rq)
{
    txn_on_commit(rq->txn, look, NULL, NULL);
}

struct round { /* one look at everything */
    int64_t next_ns;
    struct json *used; /* ids of public keys that are believed */
    bool rotated;
};

static struct error *look_at_key(struct request *rq, str name, struct round *r)
{
    struct view v = oidc_view(rq);
    struct oidc_key *k;
    const str *expired;
    size_t n;

    TRY(oidc_key_load(rq, name, &k));
    if (!k)
        return NULL;
    if (oidc_key_next_rotation_ns(k) < clock_wall_ns(rq->clock)) {
        r->rotated = true;
        log_debug("identity", "a key of identity tokens is rotated", F_STR("key", name));
        return oidc_key_rotate(rq, k, k->verification_ttl_ns);
    }
    oidc_key_prune(rq, k, &expired, &n);
    if (n > 0)
        TRY(oidc_key_save(rq, k));
    for (size_t i = 0; i < n && i < DELETE_STEP; i++)
        TRY(view_delete(&v, arena_join(rq->arena, STR(OIDC_PUBLIC_KEYS), expired[i])));
    struct oidc_ring ring = oidc_key_ring(rq, k);

    for (size_t i = 0; i < ring.n; i++)
        json_set_bool(rq->arena, r->used, ring.ids[i], true);
    r->next_ns = MIN(r->next_ns, MIN(oidc_key_next_rotation_ns(k), ring.next_expiry_ns));
    return NULL;
}

/* Public keys that no ring has: of deleted keys. */
static struct error *delete_orphans(struct request *rq, const struct round *r, bool *ret_done)
{
    struct view v = oidc_view(rq);
    size_t n, deleted = 0;
    str *ids;

    TRY(view_list(&v, STR(OIDC_PUBLIC_KEYS), &ids, &n));
    for (size_t i = 0; i < n && deleted < DELETE_STEP; i++) {
        if (json_get(r->used, ids[i]))
            continue;
        TRY(view_delete(&v, arena_join(rq->arena, STR(OIDC_PUBLIC_KEYS), ids[i])));
        deleted++;
    }
    *ret_done = deleted < DELETE_STEP;
    return NULL;
}

static void looked(struct active *a, void *arg)
{
    int64_t *next_ns = arg;

    atomic_store(&active_oidc(a)->next_run_ns, *next_ns);
    free(next_ns);
}

static struct error *set_next_run(struct request *rq, int64_t next_ns)
{
    int64_t *p = malloc(sizeof(*p));

    if (!p)
        die("out of memory");
    *p = next_ns;
    txn_on_commit(rq->txn, looked, free, p);
    return NULL;
}

struct error *oidc_tick(struct request *rq, struct response *rs)
{
    struct round r = {.next_ns = clock_wall_ns(rq->clock) + LOOK_S * NS_PER_S,
                      .used = json_object(rq->arena)};
    struct view v = oidc_view(rq);
    bool done;
    str *names;
    size_t n;

    TRY(view_list(&v, STR(OIDC_NAMED_KEYS), &names, &n));
    for (size_t i = 0; i < n; i++) {
        TRY(look_at_key(rq, names[i], &r));
        if (r.rotated || txn_has_writes(rq->txn))
            return response_again(rs);
    }
    TRY(delete_orphans(rq, &r, &done));
    return done ? set_next_run(rq, r.next_ns) : response_again(rs);
}

static void ended(const struct error *e, void *arg)
{
    (void)arg;
    if (e && e->kind != ERR_SEALED)
        log_warn("identity", "keys of identity tokens could not be rotated", F_STR("error", e->text));
}

static void tick(struct loop *l, struct loop_timer *t)
{
    struct oidc *o = CONTAINER_OF(t, struct oidc, timer);

    loop_timer_set(l, t, TICK_S * NS_PER_S);
    if (clock_wall_ns(active_clock(o->active)) < atomic_load(&o->next_run_ns))
        return;
    if (!internal_submit(o->active, oidc_tick, NULL, ended))
        return; /* sealed meanwhile */
}

struct oidc *oidc_new(struct active *a)
{
    struct oidc *o = calloc(1, sizeof(*o));

    if (!o)
        die("out of memory");
    o->active = a;
    o->timer.fn = tick;
    return o;
}

void oidc_start(struct oidc *o)
{
    control_timer_set(o->active, &o->timer, TICK_S * NS_PER_S);
}

void oidc_free(struct oidc *o)
{
    if (!o)
        return;
    control_timer_clear(o->active, &o->timer);
    free(o);
}

/* ---- the table ---- */

static const struct field config_fields[] = {
    {"issuer", FT_STRING, .help = "Scheme, host and port that tokens name as their issuer; empty: api_addr."},
    {0},
};

static const struct field token_fields[] = {
    {"name", FT_NAME, FIELD_PATH, .help = "Name of the role."},
    {0},
};

static const struct field introspect_fields[] = {
    {"token", FT_STRING, FIELD_SENSITIVE, .help = "The identity token."},
    {"client_id", FT_STRING, .help = "The audience that it must be for."},
    {0},
};

const struct route oidc_token_routes[] = {
    {"oidc/config", config_fields,
     .ops = {[OP_READ] = {config_read, .help = "Shows the settings."},
             [OP_UPDATE] = {config_write, .help = "Changes the settings."}},
     .help = "Settings of identity tokens."},
    {"oidc/token/{name}", token_fields,
     .ops = {[OP_READ] = {token_read, ROUTE_SLOW, "Signs a token for the caller's entity."}},
     .help = "An identity token: a signed statement of who the caller is."},
    {"oidc/introspect", introspect_fields,
     .ops = {[OP_UPDATE] = {introspect, ROUTE_READONLY | ROUTE_SLOW, "Looks into a token."}},
     .help = "Is an identity token good, and its entity active?"},
    {"oidc/.well-known/openid-configuration", NULL,
     .ops = {[OP_READ] = {discovery_read, .help = "Shows the issuer and where its keys are."}},
     .flags = ROUTE_UNAUTH, .help = "What those who verify identity tokens look up first."},
    {"oidc/.well-known/keys", NULL, .ops = {[OP_READ] = {keys_read, .help = "Shows the public keys."}},
     .flags = ROUTE_UNAUTH, .help = "The public keys of identity tokens, as a JSON Web Key Set."},
    {0},
};
