/* sys/raw/: what it keeps its hands off. */
#include "harness.h"

static void configure(struct config *c)
{
    c->raw_storage_endpoint = true;
}

/* Keys, and what is in memory only: nobody reads, writes, removes or lists them by their paths. */
static void keys_and_progress_are_out_of_reach(void **state)
{
    static const char *const paths[] = {"core/keyring",      "core/root-key",
                                        "core/master",       "core/shamir-kek",
                                        "core/upgrade/1",    "core/hsm/barrier-unseal-keys",
                                        "core/seal-config",  "core/coffer-root-change",
                                        "core/recovery-key", "~mem/rekey/generate-root"};
    static const enum op ops[] = {OP_READ, OP_UPDATE, OP_DELETE};
    struct harness h;
    unsigned bad = 0;

    (void)state;
    harness_start(&h, &(struct harness_options){.configure = configure});
    (void)harness_must(&h, 200, OP_UPDATE, "sys/generate-root/attempt", "{}");
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        for (size_t k = 0; k < COUNT_OF(ops); k++) {
            const char *path = arena_cstr(h.arena, arena_fmt(h.arena, "sys/raw/%s", paths[i]));
            struct answer a = harness_call(&h, h.arena, ops[k], path, h.root,
                                           ops[k] == OP_UPDATE ? "{\"value\":\"x\"}" : NULL);
            /* as recorded of the keyring */
            bool fine = a.status == 400 || (a.status == 500 && ops[k] == OP_UPDATE && i == 0);

            if (!fine)
                print_error("%s %s: %d\n", op_name(ops[k]), path, a.status);
            bad += !fine;
        }
    assert_int_equal(bad, 0);
    (void)harness_must(&h, 400, OP_LIST, "sys/raw/~mem/", NULL);
    (void)harness_must(&h, 400, OP_LIST, "sys/raw/~mem/rekey/", NULL);
    (void)harness_must(&h, 200, OP_READ, "sys/raw/core/mounts", NULL);
    harness_stop(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keys_and_progress_are_out_of_reach)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
