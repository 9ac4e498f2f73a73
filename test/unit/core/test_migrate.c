/* A migration under an HA lock: the node that has it writes; another one finds it done and opens by
 * itself. */
#include "core/seal.h"
#include "harness.h"
#include "seal/seal.h"

enum { ACTIVE_S = 60 };

static struct seal_host host;

static struct seal *static_seal(struct arena *a)
{
    static const char key[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    struct config_block *b = ARENA_NEW(a, struct config_block);
    struct seal *s;

    host.rng = rng_system();
    host.clock = clock_real();
    host.cancelled = false;
    b->type = STR("static");
    b->pairs = ARENA_ARRAY(a, struct config_pair, 2);
    b->n = 2;
    b->pairs[0] = (struct config_pair){STR("current_key"), str_from_cstr(key)};
    b->pairs[1] = (struct config_pair){STR("current_key_id"), STR("one")};
    assert_ok(seal_open(a, b, &host, &s));
    return s;
}

static str stored_type(struct arena *a, struct storage *s)
{
    struct seal_config c;
    bool exists;

    assert_ok(seal_config_load(s, a, &c, &exists));
    return arena_str(a, str_from_cstr(c.type));
}

static void to_a_service(struct arena *a, const char *type)
{
    struct storage *s = harness_storage_open(a, type, (char[32]){0});
    struct harness h;

    harness_start(&h, &(struct harness_options){.storage = s});
    str key = arena_str(a, h.key), root = arena_str(a, h.root);

    harness_stop(&h);
    assert_str(stored_type(a, s), "shamir");
    harness_start(&h, &(struct harness_options){
                          .storage = s, .seal = static_seal(a), .seal_host = &host, .stays_sealed = true});
    str plain = arena_fmt(a, "{\"key\":\"%.*s\"}", PSTR(key)),
        migrating = arena_fmt(a, "{\"key\":\"%.*s\",\"migrate\":true}", PSTR(key));

    h.root = root;
    assert_str(harness_must(&h, 500, OP_UPDATE, "sys/unseal", plain.p).error,
               "migrate option not provided and seal migration is pending");
    harness_must(&h, 200, OP_UPDATE, "sys/unseal", migrating.p);
    assert_true(core_wait_state(h.core, CORE_ACTIVE, ACTIVE_S * NS_PER_S));
    harness_must(&h, 200, OP_READ, "auth/token/lookup-self", NULL);
    harness_stop(&h); /* the control thread has ended: what it wrote is written */
    assert_str(stored_type(a, s), "static");
    harness_start(&h, &(struct harness_options){
                          .storage = s, .seal = static_seal(a), .seal_host = &host, .stays_sealed = true});
    h.root = root;
    assert_true(core_wait_state(h.core, CORE_ACTIVE, ACTIVE_S * NS_PER_S)); /* by itself */
    harness_must(&h, 200, OP_READ, "auth/token/lookup-self", NULL);
    harness_stop(&h);
    storage_close(s);
}

static void alone(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);

    to_a_service(a, "inmem");
    arena_free(a);
}

static void with_a_lock(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);

    to_a_service(a, "inmem_ha");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone),
        cmocka_unit_test(with_a_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
