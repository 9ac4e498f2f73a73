/* New shares on a whole core: what is stored, who learns of it, what is forgotten. Recorded conversations
 * have the answers, test/fault the stops. */
#include "base/encode.h"
#include "core/active_private.h"
#include "core/rekey/rekey.h"
#include "crypto/crypto.h"
#include "harness.h"

#include <stdatomic.h>

static struct clock *hands; /* of the cores here: moved by hand */

static void start(struct harness *h, const char *type, struct storage *storage, const char *key,
                  const char *root)
{
    harness_start(h, &(struct harness_options){.storage_type = type,
                                               .storage = storage,
                                               .clock = hands,
                                               .key = key,
                                               .root = root,
                                               .may_stand_by = key != NULL});
}

static str member(struct harness *h, enum op op, const char *path, const char *body, const char *name)
{
    struct answer a = harness_must(h, 200, op, path, body);

    return json_get_str(answer_data(h->arena, &a), str_from_cstr(name));
}

static const char *begin(struct harness *h, const char *body)
{
    return arena_cstr(h->arena, member(h, OP_UPDATE, "sys/rekey/init", body, "nonce"));
}

static struct answer give(struct harness *h, int status, const char *path, str key, const char *nonce)
{
    return harness_must(
        h, status, OP_UPDATE, path,
        arena_cstr(h->arena, arena_fmt(h->arena, "{\"key\":\"%.*s\",\"nonce\":\"%s\"}", PSTR(key), nonce)));
}

/* From one share to one; h->key becomes the new one. */
static void rekey(struct harness *h)
{
    const char *nonce = begin(h, "{\"secret_shares\":1,\"secret_threshold\":1}");
    struct answer a = give(h, 200, "sys/rekey/update", h->key, nonce);

    h->key = json_get(answer_data(h->arena, &a), STR("keys"))->items[0]->text;
}

static bytes stored(struct harness *h, const char *path)
{
    bytes value;

    assert_ok(storage_get(h->storage, h->arena, str_from_cstr(path), &value));
    return value;
}

static void put(struct harness *h, const char *path, bytes value)
{
    struct storage_put put = {.path = str_from_cstr(path), .value = value, .deletes = !value.p};

    assert_ok(storage_commit(h->storage, h->arena, &(struct storage_batch){.puts = &put, .n = 1}));
}

static bool is_under_way(struct harness *h)
{
    struct answer a = harness_must(h, 200, OP_READ, "sys/rekey/init", NULL);

    return json_get_bool(answer_data(h->arena, &a), STR("started"));
}

static struct secret *root_key(struct harness *h)
{
    struct secret *root;

    assert_ok(barrier_root_key(atomic_load(&h->core->active)->barrier, h->arena, &root));
    return root;
}

static void opens_with_the_new_share_alone(void **state)
{
    static const char *const types[] = {"inmem", "file", "sqlite"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        struct harness h;

        start(&h, types[i], NULL, NULL, NULL);
        str old = h.key;
        struct secret *before = root_key(&h);

        put(&h, "core/seal-config",
            bytes_from_str(
                STR("{\"type\":\"shamir\",\"secret_shares\":1,\"secret_threshold\":1,\"kept\":7}")));
        rekey(&h);
        struct secret *after = root_key(&h);

        assert_false(secret_equal(secret_reveal(before), secret_reveal(after)));
        secret_free(before);
        secret_free(after);
        assert_true(str_find(str_from_bytes(stored(&h, "core/seal-config")), STR("\"kept\":7")) <
                    stored(&h, "core/seal-config").n);
        assert_null(stored(&h, "core/coffer-root-change").p);
        harness_must(&h, 204, OP_UPDATE, "sys/rotate", NULL); /* the keyring is written under the new one */
        harness_restart(&h);
        harness_must(&h, 200, OP_READ, "auth/token/lookup-self", NULL);
        rekey(&h); /* and again, from what was opened */
        give(&h, 400, "sys/rekey/update", old, "");
        harness_restart(&h);
        harness_stop(&h);
    }
}

/* The shares are of the root key itself: afterwards there are stored keys. */
static void old_form(void **state)
{
    struct harness h;

    (void)state;
    start(&h, "file", NULL, NULL, NULL);
    struct secret *root = root_key(&h);

    put(&h, "core/hsm/barrier-unseal-keys", (bytes){0});
    h.key = arena_str(h.arena, hex_encode(h.arena, secret_reveal(root)));
    secret_free(root);
    harness_restart(&h);
    const char *nonce = begin(&h, "{\"secret_shares\":1,\"secret_threshold\":1}");

    give(&h, 400, "sys/rekey/update", STR("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
         nonce);
    harness_must(&h, 204, OP_DELETE, "sys/rekey/init", NULL);
    rekey(&h);
    assert_non_null(stored(&h, "core/hsm/barrier-unseal-keys").p);
    harness_restart(&h);
    harness_must(&h, 200, OP_READ, "auth/token/lookup-self", NULL);
    harness_stop(&h);
}

static void stand_by_learns(void **state)
{
    struct harness one, two;

    (void)state;
    start(&one, "inmem_ha", NULL, NULL, NULL);
    start(&two, NULL, one.storage, arena_cstr(one.arena, one.key), arena_cstr(one.arena, one.root));
    rekey(&one);
    assert_int_equal(harness_call(&two, two.arena, OP_READ, "sys/rekey/init", two.root, NULL).status,
                     500); /* not active */
    harness_must(&one, 204, OP_UPDATE, "sys/step-down", NULL);
    assert_true(core_wait_state(two.core, CORE_ACTIVE, 20 * NS_PER_S));
    two.key = one.key;
    rekey(&two);
    harness_stop(&two);
    harness_stop(&one);
}

static void is_forgotten(void **state)
{
    struct harness h;

    (void)state;
    start(&h, "sqlite", NULL, NULL, NULL);
    begin(&h, "{\"secret_shares\":1,\"secret_threshold\":1}");
    clock_manual_advance(hands, REKEY_TTL_NS - NS_PER_S);
    assert_true(is_under_way(&h));
    clock_manual_advance(hands, 2 * NS_PER_S);
    assert_false(is_under_way(&h));
    begin(&h, "{\"secret_shares\":1,\"secret_threshold\":1}");
    harness_restart(&h);
    assert_false(is_under_way(&h));
    harness_stop(&h);
}

static void nothing_before_the_verification(void **state)
{
    struct harness h;

    (void)state;
    start(&h, "sqlite", NULL, NULL, NULL);
    bytes before = stored(&h, "core/hsm/barrier-unseal-keys");
    const char *nonce =
        begin(&h, "{\"secret_shares\":1,\"secret_threshold\":1,\"require_verification\":true}");
    struct answer a = give(&h, 200, "sys/rekey/update", h.key, nonce);
    const struct json *v = answer_data(h.arena, &a);
    str new_key = json_get(v, STR("keys"))->items[0]->text, old = h.key;
    const char *second = arena_cstr(h.arena, json_get_str(v, STR("verification_nonce")));

    give(&h, 400, "sys/rekey/verify", old, second); /* and draws another nonce */
    give(&h, 400, "sys/rekey/verify", new_key, second);
    second = arena_cstr(h.arena, member(&h, OP_READ, "sys/rekey/verify", NULL, "nonce"));
    assert_true(str_eq(str_from_bytes(before), str_from_bytes(stored(&h, "core/hsm/barrier-unseal-keys"))));
    give(&h, 200, "sys/rekey/verify", new_key, second);
    h.key = new_key;
    harness_restart(&h);
    harness_stop(&h);
}

static int prepare(void **state)
{
    (void)state;
    hands = clock_manual_new(1795322188 * NS_PER_S);
    crypto_init();
    return 0;
}

static int clean(void **state)
{
    (void)state;
    clock_manual_free(hands);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_with_the_new_share_alone),
        cmocka_unit_test(old_form),
        cmocka_unit_test(stand_by_learns),
        cmocka_unit_test(is_forgotten),
        cmocka_unit_test(nothing_before_the_verification),
    };
    return cmocka_run_group_tests(tests, prepare, clean);
}
