#include "core/root_change.h"

#include "base/encode.h"
#include "base/log.h"
#include "core/active_private.h"
#include "core/rotation.h"

static const char change_path[] = "core/coffer-root-change", blob_path[] = "core/hsm/barrier-unseal-keys",
                  config_path[] = "core/seal-config";

/* ---- writing ---- */

static bytes under(struct request *rq, bytes key, bytes clear)
{
    uint8_t *out = arena_alloc(rq->arena, clear.n + BARRIER_OVERHEAD_BYTES);

    record_seal(out, key, rq->rng, KEYRING_TERM, str_from_cstr(change_path), clear);
    return (bytes){out, clear.n + BARRIER_OVERHEAD_BYTES};
}

static void set_bytes(struct arena *a, struct json *o, const char *name, bytes b)
{
    if (b.p)
        json_set_str(a, o, str_from_cstr(name), base64_encode(a, b));
}

static struct error *put_change(struct request *rq, const struct root_change *to, bytes old_root)
{
    struct json *o = json_object_ordered(rq->arena);
    bytes blob, config;

    TRY(txn_get_raw(rq->txn, str_from_cstr(blob_path), &blob));
    TRY(txn_get_raw(rq->txn, str_from_cstr(config_path), &config));
    set_bytes(rq->arena, o, "from_stored_keys", blob);
    set_bytes(rq->arena, o, "from_config", config);
    set_bytes(rq->arena, o, "to_config", to->config);
    set_bytes(rq->arena, o, "from_under_to", under(rq, to->root_key, old_root));
    set_bytes(rq->arena, o, "to_under_from", under(rq, old_root, to->root_key));
    return txn_put_raw(rq->txn, str_from_cstr(change_path), bytes_from_str(json_text(rq->arena, o)));
}

struct error *root_change_write(struct request *rq, const struct root_change *to)
{
    struct barrier *b = rq->active->barrier;
    struct view core = txn_view(rq->txn, SPACE_CORE);
    bool in_one = rq->core->config.storage->caps.transactional;
    struct secret *old_root;

    if (!in_one) {
        TRY(barrier_root_key(b, rq->arena, &old_root));
        struct error *e = put_change(rq, to, secret_reveal(old_root));

        secret_free(old_root);
        if (e)
            return e;
    }
    TRY(txn_put_raw(rq->txn, str_from_cstr(blob_path), to->stored_keys));
    struct keyring_change *c = keyring_change_new(b);

    keyring_change_set_root_key(c, to->root_key);
    TRY(keyring_write(rq, c));
    if (to->shamir_kek.p)
        TRY(view_put(&core, STR("shamir-kek"), to->shamir_kek));
    TRY(txn_put_raw(rq->txn, str_from_cstr(config_path), to->config));
    return in_one ? NULL : view_delete(&core, STR("coffer-root-change"));
}

/* ---- what a stop has left ---- */

struct root_change_left {
    bytes from_stored_keys, from_config, to_config, from_under_to, to_under_from;
    unsigned from_threshold, to_threshold;
};

static bool get_bytes(struct arena *a, const struct json *o, const char *name, bytes *ret)
{
    str text = json_get_str(o, str_from_cstr(name));

    return text.n == 0 || base64_decode(a, text, ret);
}

static unsigned threshold_of(struct arena *a, bytes config)
{
    struct json *v;

    if (json_parse(a, str_from_bytes(config), true, &v))
        return 0;
    int64_t n = json_get_int(v, STR("secret_threshold"));

    return n < 1 || n > 255 ? 0 : (unsigned)n;
}

struct error *root_change_load(struct storage *s, struct arena *a, struct root_change_left **ret)
{
    struct root_change_left *l = ARENA_NEW(a, struct root_change_left);
    bytes text;
    struct json *o;

    *ret = NULL;
    TRY(storage_get(s, a, str_from_cstr(change_path), &text));
    if (!text.p)
        return NULL;
    if (json_parse(a, str_from_bytes(text), false, &o) ||
        !get_bytes(a, o, "from_stored_keys", &l->from_stored_keys) ||
        !get_bytes(a, o, "from_config", &l->from_config) || !get_bytes(a, o, "to_config", &l->to_config) ||
        !get_bytes(a, o, "from_under_to", &l->from_under_to) ||
        !get_bytes(a, o, "to_under_from", &l->to_under_from))
        return error_new(a, ERR_INTERNAL, "%s is damaged", change_path);
    l->from_threshold = threshold_of(a, l->from_config);
    l->to_threshold = threshold_of(a, l->to_config);
    if (!l->from_threshold || !l->to_threshold)
        return error_new(a, ERR_INTERNAL, "%s is damaged", change_path);
    *ret = l;
    return NULL;
}

void root_change_thresholds(const struct root_change_left *l, unsigned *ret_few, unsigned *ret_many)
{
    *ret_few = MIN(l->from_threshold, l->to_threshold);
    *ret_many = MAX(l->from_threshold, l->to_threshold);
}

static bool open_under(struct arena *a, bytes record, bytes key, bytes *ret)
{
    if (record.n < BARRIER_OVERHEAD_BYTES || (key.n != 16 && key.n != 32))
        return false;
    uint8_t *clear = arena_alloc(a, record.n);

    *ret = (bytes){clear, record.n - BARRIER_OVERHEAD_BYTES};
    return record_open(clear, key, str_from_cstr(change_path), record);
}

/* The root key from before, with the unseal key from before. Without stored keys that is the root key. */
static bool open_from(const struct root_change_left *l, struct arena *a, bytes unseal_key, bytes *ret)
{
    struct secret *root;
    bytes ignored;

    if (!l->from_stored_keys.p) {
        *ret = unseal_key;
        return open_under(a, l->to_under_from, unseal_key, &ignored);
    }
    if (seal_blob_open(a, l->from_stored_keys, unseal_key, &root))
        return false;
    *ret = arena_bytes(a, secret_reveal(root));
    secret_free(root);
    return true;
}

size_t root_change_roots(const struct root_change_left *l, struct arena *a, bytes unseal_key, bytes root,
                         bytes ret[ROOT_CHANGE_ROOTS_MAX])
{
    size_t n = 0;
    bytes from;

    if (open_from(l, a, unseal_key, &from)) {
        ret[n++] = from;
        if (open_under(a, l->to_under_from, from, &ret[n]))
            n++;
    }
    if (root.n && open_under(a, l->from_under_to, root, &ret[n]))
        n++;
    if (root.n && open_under(a, l->to_under_from, root, &ret[n]))
        n++;
    return n;
}

/* ---- the end of it ---- */

static struct error *sealed_put(struct barrier *b, struct arena *a, struct rng *rng, str path, bytes clear,
                                struct storage_put *ret)
{
    uint8_t *out = arena_alloc(a, clear.n + BARRIER_OVERHEAD_BYTES);

    if (barrier_seal(b, rng, out, path, clear) != BARRIER_OK)
        return error_new(a, ERR_SEALED, "Vault is sealed");
    *ret = (struct storage_put){.path = path, .value = {out, clear.n + BARRIER_OVERHEAD_BYTES}};
    return NULL;
}

/* As stored, but with a stored root key, which a store of the old form did not have. */
static bytes config_modern(struct arena *a, bytes config)
{
    struct json *v;

    if (json_parse(a, str_from_bytes(config), true, &v) || v->type != JSON_OBJECT)
        return config;
    v->ordered = true;
    json_set_int(a, v, STR("stored_shares"), 1);
    return bytes_from_str(json_text(a, v));
}

struct error *root_change_finish(const struct root_change_left *l, struct storage *s, struct arena *a,
                                 struct rng *rng, bytes unseal_key, struct barrier *b)
{
    struct storage_put puts[5];
    struct secret *root;
    bytes object, newer, ignored;
    bool back = open_from(l, a, unseal_key, &ignored);

    TRY(storage_get(s, a, STR("core/root-key"), &newer));
    TRY(barrier_root_key_object(b, a, &object));
    TRY(sealed_put(b, a, rng, newer.p ? STR("core/root-key") : STR("core/master"), object, &puts[1]));
    TRY(sealed_put(b, a, rng, STR("core/shamir-kek"), unseal_key, &puts[2]));
    TRY(barrier_root_key(b, a, &root));
    puts[0] = (struct storage_put){.path = str_from_cstr(blob_path),
                                   .value = seal_blob_make(a, rng, unseal_key, secret_reveal(root))};
    secret_free(root);
    puts[3] = (struct storage_put){.path = str_from_cstr(config_path),
                                   .value = config_modern(a, back ? l->from_config : l->to_config)};
    puts[4] = (struct storage_put){.path = str_from_cstr(change_path), .deletes = true};
    TRY(storage_commit(s, a, &(struct storage_batch){.puts = puts, .n = COUNT_OF(puts)}));
    log_warn("core", back ? "a change of the root key was cut short: the keys from before stay"
                          : "a change of the root key was cut short: the new keys are in place");
    return NULL;
}
