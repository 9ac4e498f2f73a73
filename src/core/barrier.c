#include "core/barrier.h"

#include "base/clock.h"
#include "base/cursor.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/mutex.h"
#include "crypto/crypto.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    RECORD_NONCE_AT = 5,
    RECORD_CLEAR_AT = 17,
    RECORD_VERSION = 2,
    TERMS_MAX = 4096,
    GUARD_SLOTS = 16,
};

struct term {
    uint32_t number;
    int64_t install_time_ns;
    uint64_t encryptions; /* as stored; the running count is barrier.made */
    struct secret *value;
    struct aead_key *key;
};

struct guard_slot {
    _Alignas(64) _Atomic(int) users;
};

struct barrier {
    struct guard_slot guard[GUARD_SLOTS];
    _Atomic(bool) closed;
    struct mutex mutex;              /* orders changes; readers of terms go by n_terms */
    struct term *terms;              /* capacity TERMS_MAX is never moved while open; sorted as found */
    _Atomic(uint32_t) n_terms;       /* published after the term's slot is filled */
    _Atomic(uint32_t) active;        /* index of the term with the largest number */
    _Atomic(uint64_t) made;          /* records made under the active term since it was loaded */
    _Atomic(uint64_t) counted;       /* of its encryptions: how many are durable */
    struct rotation_config rotation; /* lock: mutex */
    struct secret *root_key;
    struct secret *stored; /* the clear keyring as read: fields we do not know survive */
};

static int guard_index(void)
{
    static _Atomic(unsigned) next;
    static _Thread_local int mine = -1;

    if (mine < 0)
        mine = (int)(atomic_fetch_add(&next, 1) % GUARD_SLOTS);
    return mine;
}

/* Pairs with barrier_close: users is raised before closed is read, closed is set before users is read (both
 * seq_cst). */
static bool guard_enter(struct barrier *b, int slot)
{
    atomic_fetch_add(&b->guard[slot].users, 1);
    if (!atomic_load(&b->closed))
        return true;
    atomic_fetch_sub(&b->guard[slot].users, 1);
    return false;
}

static void guard_leave(struct barrier *b, int slot)
{
    atomic_fetch_sub(&b->guard[slot].users, 1);
}

static struct term *term_find(struct barrier *b, uint32_t number)
{
    uint32_t n = atomic_load(&b->n_terms);

    for (uint32_t i = n; i > 0; i--)
        if (b->terms[i - 1].number == number)
            return &b->terms[i - 1];
    return NULL;
}

static void record_write(uint8_t *out, struct aead_key *key, struct rng *rng, uint32_t term, str path,
                         bytes clear)
{
    put_be32(out, term);
    out[4] = RECORD_VERSION;
    rng_bytes(rng, out + RECORD_NONCE_AT, AEAD_NONCE_BYTES);
    aead_seal(out + RECORD_CLEAR_AT, key, out + RECORD_NONCE_AT, bytes_from_str(path), clear);
}

static bool record_read(uint8_t *out, struct aead_key *key, str path, bytes record)
{
    bytes aad = record.p[4] == 1 ? (bytes){0} : bytes_from_str(path);
    bytes sealed = {record.p + RECORD_CLEAR_AT, record.n - RECORD_CLEAR_AT};

    return aead_open(out, key, record.p + RECORD_NONCE_AT, aad, sealed);
}

static bool record_is_sound(bytes record)
{
    return record.n >= BARRIER_OVERHEAD_BYTES && (record.p[4] == 1 || record.p[4] == RECORD_VERSION);
}

void record_seal(uint8_t *out, bytes key, struct rng *rng, uint32_t term, str path, bytes clear)
{
    struct aead_key *k = aead_key_new(key);

    record_write(out, k, rng, term, path, clear);
    aead_key_free(k);
}

bool record_open(uint8_t *out, bytes key, str path, bytes record)
{
    if (!record_is_sound(record))
        return false;
    struct aead_key *k = aead_key_new(key);
    bool ok = record_read(out, k, path, record);

    aead_key_free(k);
    return ok;
}

enum barrier_result barrier_seal(struct barrier *b, struct rng *rng, uint8_t *out, str path, bytes clear)
{
    int slot = guard_index();

    if (!guard_enter(b, slot))
        return BARRIER_CLOSED;
    struct term *t = &b->terms[atomic_load(&b->active)];

    record_write(out, t->key, rng, t->number, path, clear);
    atomic_fetch_add_explicit(&b->made, 1, memory_order_relaxed);
    guard_leave(b, slot);
    return BARRIER_OK;
}

enum barrier_result barrier_open(struct barrier *b, uint8_t *out, str path, bytes record)
{
    int slot = guard_index();

    if (!record_is_sound(record))
        return BARRIER_DAMAGED;
    if (!guard_enter(b, slot))
        return BARRIER_CLOSED;
    struct cursor c = cursor_from(record);
    struct term *t = term_find(b, cursor_be32(&c));
    bool ok = t && record_read(out, t->key, path, record);

    guard_leave(b, slot);
    return ok ? BARRIER_OK : BARRIER_DAMAGED;
}

/* What is out of range, or was never set, reads as the nearest that is allowed. */
static struct rotation_config rotation_sane(struct rotation_config c)
{
    if (c.operations_max == 0 || c.operations_max > ROTATION_OPERATIONS_MAX)
        c.operations_max = ROTATION_OPERATIONS_MAX;
    c.operations_max = MAX(c.operations_max, ROTATION_OPERATIONS_MIN);
    if (c.interval_ns != 0)
        c.interval_ns = MAX(c.interval_ns, ROTATION_INTERVAL_MIN_NS);
    return c;
}

static struct barrier *barrier_alloc(bytes root_key)
{
    struct barrier *b = aligned_alloc(_Alignof(struct barrier), sizeof(*b));

    if (!b)
        die("out of memory");
    memset(b, 0, sizeof(*b));
    b->terms = calloc(TERMS_MAX, sizeof(*b->terms));
    if (!b->terms)
        die("out of memory");
    mutex_init(&b->mutex);
    b->root_key = secret_from(root_key);
    b->rotation = rotation_sane((struct rotation_config){0});
    return b;
}

static void term_add(struct barrier *b, uint32_t number, int64_t install_ns, uint64_t encryptions, bytes key)
{
    uint32_t i = atomic_load(&b->n_terms);
    struct term *t = &b->terms[i];

    t->number = number;
    t->install_time_ns = install_ns;
    t->encryptions = encryptions;
    t->value = secret_from(key);
    t->key = aead_key_new(key);
    atomic_store(&b->n_terms, i + 1);
    if (i == 0 || number > b->terms[atomic_load(&b->active)].number) {
        atomic_store(&b->counted, encryptions);
        atomic_store(&b->active, i);
    }
}

static struct error *term_parse(struct arena *a, struct barrier *b, const struct json *key)
{
    int64_t number = json_get_int(key, STR("Term")), install_ns = 0;
    bytes value;

    if (number < 1 || number > UINT32_MAX)
        return error_new(a, ERR_INTERNAL, "core/keyring: a key has no valid term");
    if (!base64_decode(a, json_get_str(key, STR("Value")), &value) || (value.n != 16 && value.n != 32))
        return error_new(a, ERR_INTERNAL, "core/keyring: the key of term %lld is not 16 or 32 bytes",
                         (long long)number);
    if (!time_parse(json_get_str(key, STR("InstallTime")), &install_ns))
        install_ns = TIME_ZERO_NS;
    if (term_find(b, (uint32_t)number))
        return error_new(a, ERR_INTERNAL, "core/keyring: term %lld appears twice", (long long)number);
    term_add(b, (uint32_t)number, install_ns, (uint64_t)json_get_int(key, STR("encryptions")), value);
    return NULL;
}

struct error *barrier_from_keyring(struct arena *a, bytes keyring_json, struct barrier **ret)
{
    struct json *root, *keys;
    bytes root_key;

    TRY(json_parse(a, str_from_bytes(keyring_json), true, &root));
    keys = json_get(root, STR("Keys"));
    if (!keys || keys->type != JSON_ARRAY || keys->n == 0 || keys->n > TERMS_MAX)
        return error_new(a, ERR_INTERNAL, "core/keyring: no usable list of keys");
    if (!base64_decode(a, json_get_str(root, STR("MasterKey")), &root_key) ||
        (root_key.n != 16 && root_key.n != 32))
        return error_new(a, ERR_INTERNAL, "core/keyring: the root key is not 16 or 32 bytes");
    struct barrier *b = barrier_alloc(root_key);

    for (uint32_t i = 0; i < keys->n; i++) {
        struct error *e = term_parse(a, b, keys->items[i]);

        if (e) {
            barrier_free(b);
            return e;
        }
    }
    const struct json *rotation = json_get(root, STR("RotationConfig"));

    b->rotation = rotation_sane((struct rotation_config){
        .disabled = json_get_bool(rotation, STR("Disabled")),
        .operations_max = (uint64_t)MAX(json_get_int(rotation, STR("MaxOperations")), 0),
        .interval_ns = json_get_int(rotation, STR("Interval"))});
    b->stored = secret_from(keyring_json);
    *ret = b;
    return NULL;
}

struct barrier *barrier_new(struct rng *rng, int64_t now_ns, bytes root_key)
{
    struct barrier *b = barrier_alloc(root_key);
    uint8_t key[BARRIER_KEY_BYTES];

    rng_bytes(rng, key, sizeof(key));
    term_add(b, 1, now_ns, 0, (bytes){key, sizeof(key)});
    wipe(key, sizeof(key));
    return b;
}

void barrier_close(struct barrier *b)
{
    atomic_store(&b->closed, true);
    for (int i = 0; i < GUARD_SLOTS; i++)
        while (atomic_load(&b->guard[i].users) > 0)
            sched_yield();
    mutex_lock(&b->mutex);
    for (uint32_t i = 0; i < atomic_load(&b->n_terms); i++) {
        secret_free(b->terms[i].value);
        aead_key_free(b->terms[i].key);
    }
    atomic_store(&b->n_terms, 0);
    secret_free(TAKE(b->root_key));
    secret_free(TAKE(b->stored));
    mutex_unlock(&b->mutex);
}

void barrier_free(struct barrier *b)
{
    if (!b)
        return;
    barrier_close(b);
    mutex_done(&b->mutex);
    free(b->terms);
    free(b);
}

/* The key object as it was read, or a new one. */
static struct json *stored_key(struct arena *a, const struct json *stored_keys, uint32_t number)
{
    for (uint32_t i = 0; stored_keys && i < stored_keys->n; i++)
        if (json_get_int(stored_keys->items[i], STR("Term")) == number) {
            stored_keys->items[i]->ordered = true;
            return stored_keys->items[i];
        }
    struct json *o = json_object_ordered(a);

    json_set_int(a, o, STR("Term"), number);
    json_set_int(a, o, STR("Version"), 1);
    return o;
}

struct keyring_change {
    struct barrier *barrier;
    struct secret *key; /* NULL: no new term */
    uint32_t term;      /* the new one, or the one in use */
    int64_t install_time_ns;
    uint64_t counted; /* encryptions of the term in use that become durable */
    bool has_rotation;
    struct rotation_config rotation;
    struct secret *root_key; /* NULL: it stays */
};

static const struct secret *root_of(const struct barrier *b, const struct keyring_change *c)
{
    return c && c->root_key ? c->root_key : b->root_key;
}

static struct json *term_to_json(struct arena *a, const struct json *stored_keys, uint32_t number,
                                 const struct secret *value, int64_t install_time_ns, uint64_t encryptions)
{
    struct json *o = stored_key(a, stored_keys, number);

    json_set_str(a, o, STR("Value"), base64_encode(a, secret_reveal(value)));
    json_set_str(a, o, STR("InstallTime"), time_format(a, install_time_ns));
    if (encryptions > 0)
        json_set_int(a, o, STR("encryptions"), (int64_t)encryptions);
    else
        json_unset(o, STR("encryptions"));
    return o;
}

static void rotation_to_json(struct arena *a, struct json *root, const struct rotation_config *c)
{
    struct json *o = json_get(root, STR("RotationConfig"));

    if (!o || o->type != JSON_OBJECT)
        json_set(a, root, STR("RotationConfig"), o = json_object(a));
    o->ordered = true;
    json_set_bool(a, o, STR("Disabled"), c->disabled);
    json_set_int(a, o, STR("MaxOperations"), (int64_t)c->operations_max);
    json_set_int(a, o, STR("Interval"), c->interval_ns);
}

/* c NULL: the keyring as it is. Only the active term has a count. */
static struct json *keyring_to_json(struct barrier *b, struct arena *a, const struct keyring_change *c)
{
    struct json *root = NULL, *keys = json_array(a);
    uint32_t active = atomic_load(&b->active);
    uint64_t count = c ? c->counted : barrier_status(b).encryptions;

    if (b->stored && json_parse(a, str_from_bytes(secret_reveal(b->stored)), true, &root) == NULL)
        root->ordered = true;
    else
        root = json_object_ordered(a);
    const struct json *stored = json_get(root, STR("Keys"));

    json_set_str(a, root, STR("MasterKey"), base64_encode(a, secret_reveal(root_of(b, c))));
    for (uint32_t i = 0; i < atomic_load(&b->n_terms); i++) {
        const struct term *t = &b->terms[i];
        bool counts = i == active && !(c && c->key);

        json_append(a, keys,
                    term_to_json(a, stored, t->number, t->value, t->install_time_ns, counts ? count : 0));
    }
    if (c && c->key)
        json_append(a, keys, term_to_json(a, stored, c->term, c->key, c->install_time_ns, 0));
    json_set(a, root, STR("Keys"), keys);
    rotation_to_json(a, root, c && c->has_rotation ? &c->rotation : &b->rotation);
    return root;
}

static struct error *make_record(struct barrier *b, const struct keyring_change *c, struct arena *a,
                                 struct rng *rng, bytes *ret_record)
{
    struct error *e = NULL;

    mutex_lock(&b->mutex);
    if (atomic_load(&b->closed)) {
        e = error_new(a, ERR_SEALED, "Vault is sealed");
    } else if (c && c->key && atomic_load(&b->n_terms) >= TERMS_MAX) {
        e = error_new(a, ERR_INTERNAL, "the keyring has no room for another key");
    } else {
        bytes clear = bytes_from_str(json_text(a, keyring_to_json(b, a, c)));
        uint8_t *out = arena_alloc(a, clear.n + BARRIER_OVERHEAD_BYTES);

        record_seal(out, secret_reveal(root_of(b, c)), rng, KEYRING_TERM, STR("core/keyring"), clear);
        *ret_record = (bytes){out, clear.n + BARRIER_OVERHEAD_BYTES};
    }
    mutex_unlock(&b->mutex);
    return e;
}

struct error *barrier_keyring_record(struct barrier *b, struct arena *a, struct rng *rng, bytes *ret_record)
{
    return make_record(b, NULL, a, rng, ret_record);
}

static bytes key_object(struct arena *a, uint32_t term, const struct secret *value, int64_t install_time_ns)
{
    struct json *o = json_object_ordered(a);

    json_set_int(a, o, STR("Term"), term);
    json_set_int(a, o, STR("Version"), 1);
    json_set_str(a, o, STR("Value"), base64_encode(a, secret_reveal(value)));
    json_set_str(a, o, STR("InstallTime"), time_format(a, install_time_ns));
    return bytes_from_str(json_text(a, o));
}

static struct error *root_key_object(struct barrier *b, const struct keyring_change *c, struct arena *a,
                                     bytes *ret_json)
{
    struct error *e = NULL;

    mutex_lock(&b->mutex);
    if (atomic_load(&b->closed))
        e = error_new(a, ERR_SEALED, "Vault is sealed");
    else
        *ret_json = key_object(a, 1, root_of(b, c), TIME_ZERO_NS);
    mutex_unlock(&b->mutex);
    return e;
}

struct error *barrier_root_key_object(struct barrier *b, struct arena *a, bytes *ret_json)
{
    return root_key_object(b, NULL, a, ret_json);
}

struct error *barrier_root_key(struct barrier *b, struct arena *a, struct secret **ret)
{
    struct error *e = NULL;

    mutex_lock(&b->mutex);
    if (atomic_load(&b->closed))
        e = error_new(a, ERR_SEALED, "Vault is sealed");
    else
        *ret = secret_from(secret_reveal(b->root_key));
    mutex_unlock(&b->mutex);
    return e;
}

/* ---- changes ---- */

struct keyring_change *keyring_change_new(struct barrier *b)
{
    struct keyring_change *c = calloc(1, sizeof(*c));
    struct barrier_status s = barrier_status(b);

    if (!c)
        die("out of memory");
    *c = (struct keyring_change){.barrier = b, .term = s.term, .counted = s.encryptions + 1};
    return c;
}

void keyring_change_free(void *change)
{
    struct keyring_change *c = change;

    secret_free(c->key);
    secret_free(c->root_key);
    free(c);
}

void keyring_change_add_term(struct keyring_change *c, struct rng *rng, int64_t now_ns)
{
    c->key = secret_new(BARRIER_KEY_BYTES);
    rng_bytes(rng, secret_fill(c->key), BARRIER_KEY_BYTES);
    c->term++;
    c->install_time_ns = now_ns;
}

void keyring_change_set_rotation(struct keyring_change *c, const struct rotation_config *config)
{
    c->has_rotation = true;
    c->rotation = rotation_sane(*config);
}

void keyring_change_set_root_key(struct keyring_change *c, bytes root_key)
{
    c->root_key = secret_from(root_key);
}

struct error *keyring_change_root_key_object(const struct keyring_change *c, struct arena *a, bytes *ret_json)
{
    return root_key_object(c->barrier, c, a, ret_json);
}

uint32_t keyring_change_term(const struct keyring_change *c)
{
    return c->term;
}

bytes keyring_change_key_object(const struct keyring_change *c, struct arena *a)
{
    return key_object(a, c->term, c->key, c->install_time_ns);
}

struct error *keyring_change_record(const struct keyring_change *c, struct arena *a, struct rng *rng,
                                    bytes *ret_record)
{
    return make_record(c->barrier, c, a, rng, ret_record);
}

void barrier_apply(struct barrier *b, struct keyring_change *own_change)
{
    struct keyring_change *c = own_change;

    mutex_lock(&b->mutex);
    if (!atomic_load(&b->closed)) {
        if (c->has_rotation)
            b->rotation = c->rotation;
        if (c->root_key) {
            secret_free(b->root_key);
            b->root_key = TAKE(c->root_key);
        }
        if (c->key) {
            atomic_store(&b->made, 0);
            term_add(b, c->term, c->install_time_ns, 0, secret_reveal(c->key));
        } else {
            atomic_store(&b->counted, c->counted);
        }
    }
    mutex_unlock(&b->mutex);
    keyring_change_free(c);
}

struct rotation_config barrier_rotation_config(struct barrier *b)
{
    mutex_lock(&b->mutex);
    struct rotation_config c = b->rotation;

    mutex_unlock(&b->mutex);
    return c;
}

/* A key from before encryptions were counted has no count: it is replaced when it is a year old. */
const char *barrier_rotation_due(struct barrier *b, int64_t now_ns)
{
    const int64_t year_ns = 365 * ROTATION_INTERVAL_MIN_NS;
    struct rotation_config c = barrier_rotation_config(b);
    struct barrier_status s = barrier_status(b);
    bool dated = s.install_time_ns != TIME_ZERO_NS;

    if (c.disabled)
        return NULL;
    if (atomic_load(&b->counted) == 0 && dated && now_ns - s.install_time_ns > year_ns)
        return "legacy rotation";
    if (s.encryptions > c.operations_max)
        return "reached max operations";
    if (c.interval_ns > 0 && dated && now_ns - s.install_time_ns > c.interval_ns)
        return "rotation interval reached";
    return NULL;
}

uint64_t barrier_uncounted(struct barrier *b)
{
    uint64_t all = barrier_status(b).encryptions, durable = atomic_load(&b->counted);

    return all > durable ? all - durable : 0;
}

struct barrier_status barrier_status(struct barrier *b)
{
    const struct term *t = &b->terms[atomic_load(&b->active)];

    return (struct barrier_status){t->number, t->install_time_ns, t->encryptions + atomic_load(&b->made)};
}
