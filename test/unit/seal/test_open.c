/* Every kind of seal refuses what cannot be right before any service is asked. */
#include "stanza.h"

#include <stdlib.h>

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *type, *pairs[9], *error;
    } bad[] = {
        {"nonsense", {NULL}, "Unknown KMS type \"nonsense\""},
        {"pkcs11", {NULL}, "KMS type 'pkcs11' requires the Vault Enterprise HSM binary"},
        {"awskms", {NULL}, "key id not found in env or config for aws kms wrapper configuration"},
        {"awskms",
         {"kms_key_id", "k", "access_key", "a"},
         "static AWS client credentials haven't been properly configured (the access key or secret key were "
         "provided but not both)"},
        {"gcpckms", {NULL}, "'project' not found for GCP CKMS wrapper configuration"},
        {"gcpckms",
         {"project", "p", "region", "r", "key_ring", "k"},
         "'crypto_key' not found for GCP CKMS wrapper configuration"},
        {"azurekeyvault", {NULL}, "vault name is required"},
        {"azurekeyvault", {"vault_name", "v"}, "key name is required"},
        {"azurekeyvault",
         {"vault_name", "v", "key_name", "k", "environment", "x"},
         "autorest/azure: There is no cloud environment matching the name \"x\""},
        {"transit", {NULL}, "mount_path is required"},
        {"transit", {"mount_path", "m"}, "key_name is required"},
        {"transit",
         {"mount_path", "m", "key_name", "k", "tls_skip_verify", "perhaps"},
         "invalid value for tls_skip_verify: \"perhaps\""},
    };
    struct arena *a = arena_new(0);
    struct seal *s;

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_error(stanza_open(a, bad[i].type, bad[i].pairs, &s), ERR_BAD_REQUEST, bad[i].error);
    arena_free(a);
}

static void the_environment_configures(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct seal *s;

    assert_int_equal(setenv("VAULT_AWSKMS_SEAL_KEY_ID", "by-setting", 1), 0);
    assert_ok(stanza_open(a, "awskms", STANZA(), &s));
    assert_str(seal_key_id(s), "by-setting");
    seal_close(s);
    assert_int_equal(setenv("AWSKMS_WRAPPER_KEY_ID", "by-name", 1), 0);
    assert_ok(stanza_open(a, "awskms", STANZA("kms_key_id", "by-stanza"), &s));
    assert_str(seal_key_id(s), "by-name");
    seal_close(s);
    assert_ok(stanza_open(a, "awskms", STANZA("kms_key_id", "by-stanza", "disallow_env_vars", "true"), &s));
    assert_str(seal_key_id(s), "by-stanza");
    seal_close(s);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused),
        cmocka_unit_test(the_environment_configures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
