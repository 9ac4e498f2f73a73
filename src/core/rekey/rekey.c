#include "core/rekey/rekey.h"

#include "base/encode.h"
#include "base/log.h"
#include "core/active_private.h"
#include "core/body.h"
#include "crypto/pgp.h"
#include "crypto/shares.h"

#include <stdlib.h>

static const struct rekey_target *target_of(const struct request *rq)
{
    return str_starts(rq->rel, STR("rekey-recovery-key/")) ? &rekey_recovery : &rekey_barrier;
}

/* ---- status ---- */

static void set_strs(struct arena *a, struct json *o, str name, struct json *list)
{
    json_set(a, o, name, list ? list : json_null(a));
}

static struct json *status(struct request *rq, const struct json *state)
{
    struct arena *a = rq->arena;
    struct json *o = json_object_ordered(a);
    str nonce = json_get_str(state, STR("verification_nonce"));
    bool done = nonce.n > 0; /* but for the verification */

    json_set_str(a, o, STR("nonce"), json_get_str(state, STR("nonce")));
    json_set_bool(a, o, STR("started"), state != NULL);
    json_set_int(a, o, STR("t"), json_get_int(state, STR("threshold")));
    json_set_int(a, o, STR("n"), json_get_int(state, STR("shares")));
    json_set_int(a, o, STR("progress"), done ? 0 : rekey_share_count(state, STR("progress")));
    json_set_int(a, o, STR("required"), rekey_required(rq));
    set_strs(a, o, STR("pgp_fingerprints"), json_get(state, STR("fingerprints")));
    json_set_bool(a, o, STR("backup"), json_get_bool(state, STR("backup")));
    json_set_bool(a, o, STR("verification_required"), json_get_bool(state, STR("verify")));
    if (done)
        json_set_str(a, o, STR("verification_nonce"), nonce);
    return o;
}

static struct error *init_read(struct request *rq, struct response *rs)
{
    const struct rekey_target *t = target_of(rq);
    struct json *state;

    TRY(t->supported(rq));
    TRY(rekey_load(rq, t->name, &state));
    return rekey_answer(rq, rs, status(rq, state));
}

/* ---- start, cancel ---- */

static struct error *state_from_body(struct request *rq, struct json *state)
{
    struct arena *a = rq->arena;
    int64_t shares, threshold, stored;
    const struct json *keys;
    bool backup, verify;

    TRY(body_int(a, rq->data, "secret_shares", &shares));
    TRY(body_int(a, rq->data, "secret_threshold", &threshold));
    TRY(body_int(a, rq->data, "stored_shares", &stored));
    TRY(body_strings(a, rq->data, "pgp_keys", &keys));
    TRY(body_bool(a, rq->data, "backup", &backup));
    TRY(body_bool(a, rq->data, "require_verification", &verify));
    if (backup && !keys)
        return fail(rq, ERR_BAD_REQUEST,
                    "cannot request a backup of the new keys without providing PGP keys for encryption");
    if (keys && (int64_t)keys->n != shares)
        return fail(rq, ERR_BAD_REQUEST, "incorrect number of PGP keys for rekey");
    if (threshold > shares)
        return fail(rq, ERR_BAD_REQUEST, "provided threshold greater than the total shares");
    json_set_int(a, state, STR("shares"), shares);
    json_set_int(a, state, STR("threshold"), threshold);
    json_set_bool(a, state, STR("backup"), backup);
    json_set_bool(a, state, STR("verify"), verify);
    if (keys)
        json_set(a, state, STR("pgp_keys"), json_copy(a, keys));
    return NULL;
}

static struct error *invalid(struct request *rq, const struct rekey_target *t, const struct error *e)
{
    static const str before = STR("invalid seal configuration: ");
    str why = str_starts(e->text, before) ? str_from(e->text, before.n) : e->text;

    return fail(rq, ERR_INTERNAL, "%s: %.*s", t->invalid, PSTR(why));
}

/* Keys are not looked at when it will be refused anyway: that takes long, and anybody may ask. */
static struct error *validate(struct request *rq, const struct rekey_target *t, struct json *state,
                              bool is_running)
{
    const struct json *keys = json_get(state, STR("pgp_keys"));
    struct json *fingerprints;
    struct error *e = seal_config_check(rq->arena, json_get_int(state, STR("shares")),
                                        json_get_int(state, STR("threshold")));

    if (!e && keys && !is_running) {
        e = rekey_fingerprints(rq, keys, &fingerprints);
        if (e && e->kind == ERR_WOULD_BLOCK)
            return e;
        if (!e)
            json_set(rq->arena, state, STR("fingerprints"), fingerprints);
    }
    return e ? invalid(rq, t, e) : NULL;
}

static struct error *init_write(struct request *rq, struct response *rs)
{
    const struct rekey_target *t = target_of(rq);
    struct json *running, *state = json_object(rq->arena);

    TRY(t->supported(rq));
    if (rq->body_is_empty)
        return fail(rq, ERR_BAD_REQUEST, "EOF");
    TRY(state_from_body(rq, state));
    if (t->adjust)
        TRY(t->adjust(rq, state));
    TRY(rekey_load(rq, t->name, &running));
    TRY(validate(rq, t, state, running != NULL));
    if (running)
        return fail(rq, ERR_BAD_REQUEST, "rekey already in progress");
    json_set_str(rq->arena, state, STR("nonce"), rng_uuid_str(rq->rng, rq->arena));
    TRY(rekey_save(rq, t->name, state));
    return rekey_answer(rq, rs, status(rq, state));
}

static struct error *init_delete(struct request *rq, struct response *rs)
{
    const struct rekey_target *t = target_of(rq);

    (void)rs;
    TRY(t->supported(rq));
    return rekey_drop(rq, t->name);
}

/* ---- the end ---- */

struct new_shares {
    struct secret *parts[SHARES_MAX];
    unsigned n;
};

static void new_shares_free(void *arg)
{
    struct new_shares *s = arg;

    for (unsigned i = 0; i < s->n; i++)
        secret_free(s->parts[i]);
}

static struct new_shares *split(struct request *rq, const struct json *state, bytes key)
{
    struct new_shares *s = ARENA_NEW(rq->arena, struct new_shares);

    s->n = (unsigned)json_get_int(state, STR("shares"));
    if (s->n == 1)
        s->parts[0] = secret_from(key);
    else
        shares_split(s->parts, s->n, (unsigned)json_get_int(state, STR("threshold")), rq->rng, key);
    arena_defer(rq->arena, new_shares_free, s);
    return s;
}

/* A share as it is given out: in the clear, or its hex text encrypted to the key of its place. */
static struct error *share_out(struct request *rq, const struct json *pgp_keys, unsigned i, bytes share,
                               bytes *ret)
{
    bytes key;

    *ret = share;
    if (!pgp_keys)
        return NULL;
    TRY(pgp_key_decode(rq->arena, pgp_keys->items[i]->text, &key));
    struct error *e = pgp_encrypt(rq->arena, key, bytes_from_str(hex_encode(rq->arena, share)), ret);

    return e ? fail(rq, ERR_INTERNAL, "failed to encrypt shares: %.*s", PSTR(e->text)) : NULL;
}

/* {"Nonce", "Keys": {fingerprint: [hex]}} */
static struct error *put_backup(struct request *rq, const struct rekey_target *t, const struct json *state,
                                const struct json *hex)
{
    struct arena *a = rq->arena;
    struct json *o = json_object_ordered(a), *keys = json_object(a);
    const struct json *fingerprints = json_get(state, STR("fingerprints"));

    for (uint32_t i = 0; i < hex->n; i++) {
        str fingerprint = fingerprints->items[i]->text;
        struct json *list = json_get(keys, fingerprint);

        if (!list)
            json_set(a, keys, fingerprint, list = json_array(a));
        json_append(a, list, hex->items[i]);
    }
    json_set_str(a, o, STR("Nonce"), json_get_str(state, STR("nonce")));
    json_set(a, o, STR("Keys"), keys);
    return txn_put_raw(rq->txn, arena_fmt(a, "core/%s", t->backup_path), bytes_from_str(json_text(a, o)));
}

static struct error *give_out(struct request *rq, const struct rekey_target *t, const struct json *state,
                              bytes new_key, struct json *answer)
{
    struct arena *a = rq->arena;
    struct new_shares *shares =
        t == rekey_in_force(rq) ? split(rq, state, new_key) : ARENA_NEW(a, struct new_shares);
    const struct json *pgp_keys = json_get(state, STR("pgp_keys"));
    struct json *hex = json_array(a), *base64 = json_array(a);

    for (unsigned i = 0; i < shares->n; i++) {
        bytes out;

        TRY(share_out(rq, pgp_keys, i, secret_reveal(shares->parts[i]), &out));
        json_append(a, hex, json_string(a, hex_encode(a, out)));
        json_append(a, base64, json_string(a, base64_encode(a, out)));
    }
    json_set_str(a, answer, STR("nonce"), json_get_str(state, STR("nonce")));
    json_set_bool(a, answer, STR("complete"), true);
    json_set(a, answer, STR("keys"), hex);
    json_set(a, answer, STR("keys_base64"), base64);
    set_strs(a, answer, STR("pgp_fingerprints"), json_get(state, STR("fingerprints")));
    json_set_bool(a, answer, STR("backup"), json_get_bool(state, STR("backup")));
    json_set_bool(a, answer, STR("verification_required"), json_get_bool(state, STR("verify")));
    return json_get_bool(state, STR("backup")) ? put_backup(rq, t, state, hex) : NULL;
}

/* The settings as they are stored, with what is new: what is not known in them stays. */
static struct error *new_config(struct request *rq, const struct rekey_target *t, const struct json *state,
                                bytes *ret)
{
    struct arena *a = rq->arena;
    struct json *o, *keys = json_get(state, STR("pgp_keys"));
    bytes old;

    TRY(txn_get_raw(rq->txn, str_from_cstr(t->config_path), &old));
    TRY(entry_json(a, str_from_cstr(t->config_path), old, &o));
    o->ordered = true;
    json_set_int(a, o, STR("secret_shares"), json_get_int(state, STR("shares")));
    json_set_int(a, o, STR("secret_threshold"), json_get_int(state, STR("threshold")));
    json_set(a, o, STR("pgp_keys"), keys ? keys : json_null(a));
    json_set_str(a, o, STR("nonce"), json_get_str(state, STR("nonce")));
    json_set_bool(a, o, STR("backup"), json_get_bool(state, STR("backup")));
    *ret = bytes_from_str(json_text(a, o));
    return NULL;
}

struct settled {
    unsigned shares, threshold;
    char nonce[UUID_TEXT_BYTES];
};

static void publish_settings(struct active *a, void *arg)
{
    struct settled *s = arg;
    struct core *c = a->core;

    mutex_lock(&c->mutex);
    c->seal_config.shares = s->shares;
    c->seal_config.threshold = s->threshold;
    c->seal_config.has_blob = true;
    memset(c->seal_config.nonce, 0, sizeof(c->seal_config.nonce));
    memcpy(c->seal_config.nonce, s->nonce, sizeof(s->nonce));
    mutex_unlock(&c->mutex);
    log_info("core", "rekey finished", F_INT("shares", s->shares), F_INT("threshold", s->threshold));
    free(s);
}

static void settle(struct request *rq, const struct json *state)
{
    struct settled *s = calloc(1, sizeof(*s));
    str nonce = json_get_str(state, STR("nonce"));

    if (!s)
        die("out of memory");
    s->shares = (unsigned)json_get_int(state, STR("shares"));
    s->threshold = (unsigned)json_get_int(state, STR("threshold"));
    memcpy(s->nonce, nonce.p, MIN(nonce.n, sizeof(s->nonce)));
    txn_on_commit(rq->txn, publish_settings, free, s);
}

struct error *rekey_finish(struct request *rq, const struct rekey_target *t, const struct json *state,
                           bytes new_key)
{
    struct view core = txn_view(rq->txn, SPACE_CORE);
    bytes config;

    TRY(new_config(rq, t, state, &config));
    if (t == rekey_in_force(rq)) /* else people hold shares of the other one */
        settle(rq, state);
    /* before the rest: what ends a change of the root key comes last */
    TRY(view_put(&core, STR("canary-keyring"), bytes_from_str(json_get_str(state, STR("nonce")))));
    TRY(t->store(rq, config, new_key));
    return rekey_drop(rq, t->name);
}

/* Enough shares are there: they are the key, or are all forgotten. */
static struct error *check_key(struct request *rq, const struct rekey_target *t, struct json *state)
{
    static const str unseals_not = STR("unable to retrieve stored keys: ");
    struct secret *key = NULL;
    struct error *e = rekey_join(rq, state, STR("progress"), "failed to compute root key", &key);

    if (!e)
        e = rekey_in_force(rq)->check(rq, secret_reveal(key));
    secret_free(key);
    if (e && e->kind == ERR_BAD_REQUEST && str_starts(e->text, unseals_not)) /* the API's other words */
        e = fail(rq, ERR_INTERNAL, "failed to read root key: %.*s", PSTR(str_from(e->text, unseals_not.n)));
    json_unset(state, STR("progress"));
    if (!e || e->kind == ERR_WOULD_BLOCK)
        return e;
    TRY(rekey_save(rq, t->name, state));
    txn_keep(rq->txn);
    return e;
}

static struct error *complete(struct request *rq, struct response *rs, const struct rekey_target *t,
                              struct json *state)
{
    struct json *answer = json_object_ordered(rq->arena);
    bytes new_key;

    TRY(check_key(rq, t, state));
    TRY(rekey_draw(rq, json_get_str(state, STR("nonce")), &new_key));
    TRY(give_out(rq, t, state, new_key, answer));
    if (!json_get_bool(state, STR("verify"))) {
        TRY(rekey_finish(rq, t, state, new_key));
        return rekey_answer(rq, rs, answer);
    }
    str nonce = rng_uuid_str(rq->rng, rq->arena);

    json_set_str(rq->arena, answer, STR("verification_nonce"), nonce);
    json_set_str(rq->arena, state, STR("verification_nonce"), nonce);
    json_set_str(rq->arena, state, STR("new_key"), base64_encode(rq->arena, new_key));
    TRY(rekey_save(rq, t->name, state));
    return rekey_answer(rq, rs, answer);
}

static struct error *update(struct request *rq, struct response *rs)
{
    const struct rekey_target *t = target_of(rq);
    struct json *state;
    bytes share;
    str nonce, waits_for;

    TRY(rekey_body(rq, &share, &nonce));
    TRY(share_check(rq->arena, share));
    TRY(rekey_load(rq, t->name, &state));
    if (!state)
        return fail(rq, ERR_BAD_REQUEST, "no %s rekey in progress", t->name);
    waits_for = json_get_str(state, STR("verification_nonce"));
    if (waits_for.n)
        return fail(rq, ERR_BAD_REQUEST,
                    "rekey operation already finished; verification must be performed; nonce for the "
                    "verification operation is \"%.*s\"",
                    PSTR(waits_for));
    if (!str_eq(nonce, json_get_str(state, STR("nonce"))))
        return fail(rq, ERR_BAD_REQUEST,
                    "incorrect nonce supplied; nonce for this rekey operation is \"%.*s\"",
                    PSTR(json_get_str(state, STR("nonce"))));
    if (!rekey_share_add(rq->arena, state, STR("progress"), share))
        return fail(rq, ERR_BAD_REQUEST, "%s", t->again);
    if (rekey_share_count(state, STR("progress")) < rekey_required(rq)) {
        TRY(rekey_save(rq, t->name, state));
        return rekey_answer(rq, rs, status(rq, state));
    }
    TRY(txn_exclusive(rq->txn));
    return complete(rq, rs, t, state);
}

/* ---- what was encrypted, kept for later ---- */

static str backup_name(const struct request *rq)
{
    bool recovery = str_ends(rq->rel, STR("recovery-key-backup"));

    return str_from_cstr(recovery ? rekey_recovery.backup_path : rekey_barrier.backup_path);
}

static struct error *backup_read(struct request *rq, struct response *rs)
{
    struct arena *a = rq->arena;
    struct json *stored, *base64 = json_object(a), *data;
    const struct json *keys;
    str path = arena_join(a, STR("core/"), backup_name(rq));
    bytes text;

    TRY(txn_get_raw(rq->txn, path, &text));
    if (!text.p)
        return fail(rq, ERR_BAD_REQUEST, "no backed-up keys found");
    TRY(entry_json(a, path, text, &stored));
    keys = json_get(stored, STR("Keys"));
    for (uint32_t i = 0; keys && keys->type == JSON_OBJECT && i < keys->n; i++) {
        const struct json *list = keys->members[i].value;
        struct json *to = json_array(a);
        bytes message;

        for (uint32_t k = 0; list->type == JSON_ARRAY && k < list->n; k++)
            if (list->items[k]->type == JSON_STRING && hex_decode(a, list->items[k]->text, &message))
                json_append(a, to, json_string(a, base64_encode(a, message)));
        json_set(a, base64, keys->members[i].key, to);
    }
    data = response_data(rq, rs);
    json_set_str(a, data, STR("nonce"), json_get_str(stored, STR("Nonce")));
    json_set(a, data, STR("keys"), keys ? json_copy(a, keys) : json_null(a));
    json_set(a, data, STR("keys_base64"), base64);
    return NULL;
}

static struct error *backup_delete(struct request *rq, struct response *rs)
{
    struct view core = txn_view(rq->txn, SPACE_CORE);

    (void)rs;
    return view_delete(&core, backup_name(rq));
}

/* ---- the table ---- */

static const struct field init_fields[] = {
    {"secret_shares", FT_INT, .help = "How many shares the new key is split into."},
    {"secret_threshold", FT_INT, .help = "How many of them are needed."},
    {"pgp_keys", FT_STRINGS, .help = "A public key for each share that it is encrypted to, in base64."},
    {"backup", FT_BOOL, .help = "Are the encrypted shares kept, to be read again?"},
    {"require_verification", FT_BOOL, .help = "Are the new shares to be given back before they count?"},
    {0},
};
static const struct field update_fields[] = {
    {"key", FT_STRING, FIELD_SENSITIVE, .help = "A share of the key that is in force."},
    {"nonce", FT_STRING, .help = "Of this rekey."},
    {0},
};

#define INIT                                                                                                 \
    {                                                                                                        \
        [OP_READ] = {init_read, .help = "Tells how far a rekey is."},                                        \
        [OP_UPDATE] = {init_write, ROUTE_SLOW, "Starts a rekey."},                                           \
        [OP_DELETE] = {init_delete, .help = "Ends a rekey: what was given is forgotten."},                   \
        [OP_LIST] = {rekey_no_such},                                                                         \
    }
#define UPDATE                                                                                               \
    {                                                                                                        \
        [OP_READ] = {update}, [OP_DELETE] = {update},                                                        \
        [OP_UPDATE] = {update, .help = "Gives a share. With the last the new shares are the answer."},       \
        [OP_LIST] = {rekey_no_such},                                                                         \
    }
#define BACKUP                                                                                               \
    {                                                                                                        \
        [OP_READ] = {backup_read, .help = "Shows the encrypted shares of the last rekey."},                  \
        [OP_DELETE] = {backup_delete, .help = "Deletes them."},                                              \
    }
enum { OPEN = ROUTE_UNAUTH | ROUTE_NO_AUDIT | ROUTE_RAW_BODY };

const struct route rekey_routes[] = {
    {"rekey/init", init_fields, .ops = INIT, .flags = OPEN,
     .help = "New shares of the unseal key: start, progress, cancel."},
    {"rekey/update", update_fields, .ops = UPDATE, .flags = OPEN, .help = "A share for the rekey."},
    {"rekey-recovery-key/init", init_fields, .ops = INIT, .flags = OPEN,
     .help = "New shares of the recovery key: start, progress, cancel."},
    {"rekey-recovery-key/update", update_fields, .ops = UPDATE, .flags = OPEN,
     .help = "A share for the rekey."},
    {"rekey/backup", .ops = BACKUP, .help = "The encrypted shares of the unseal key."},
    {"rekey/recovery-key-backup", .ops = BACKUP, .help = "The encrypted shares of the recovery key."},
    {0},
};
