#include "core/seal.h"
#include "crypto/crypto.h"
#include "crypto/shares.h"
#include "harness.h"

#define UNSEAL_HEX "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"
#define ROOT_HEX   "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
#define MAC_ERROR                                                                                            \
    "unable to retrieve stored keys: invalid key: failed to decrypt keys from storage: cipher: message "     \
    "authentication failed"

static void put(struct storage *s, const char *path, bytes value)
{
    struct arena *a = arena_new(0);
    struct storage_put p = {.path = str_from_cstr(path), .value = value, .deletes = !value.p};

    assert_ok(storage_commit(s, a, &(struct storage_batch){.puts = &p, .n = 1}));
    arena_free(a);
}

static void put_text(struct storage *s, const char *path, const char *text)
{
    put(s, path, bytes_from_str(str_from_cstr(text)));
}

static void config_rules(void **state)
{
    (void)state;
    static const struct {
        int64_t shares, threshold;
        const char *error;
    } rules[] = {
        {1, 1, NULL},
        {5, 3, NULL},
        {2, 2, NULL},
        {255, 255, NULL},
        {0, 1, "shares must be at least one"},
        {-1, 1, "shares must be at least one"},
        {1, 0, "threshold must be at least one"},
        {3, 1, "threshold must be greater than one for multiple shares"},
        {256, 3, "shares must be less than 256"},
        {5, 256, "threshold must be less than 256"},
        {3, 4, "threshold cannot be larger than shares"},
    };
    struct arena *a = arena_new(0);

    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        struct error *e = seal_config_check(a, rules[i].shares, rules[i].threshold);

        if (rules[i].error)
            assert_error(e, ERR_BAD_REQUEST,
                         arena_fmt(a, "invalid seal configuration: %s", rules[i].error).p);
        else
            assert_ok(e);
    }
    arena_free(a);
}

static void config_stored(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } bad[] = {
        {"{", "core/seal-config is not valid JSON"},
        {"[]", "core/seal-config: invalid seal configuration: shares must be at least one"},
        {"{\"type\":\"shamir\",\"secret_shares\":5}",
         "core/seal-config: invalid seal configuration: threshold must be at least one"},
        {"{\"type\":\"a-type-of-more-than-thirty-one-letters\",\"secret_shares\":1,\"secret_threshold\":1}",
         "core/seal-config: the type is too long"},
    };
    struct arena *a = arena_new(0);
    struct storage *s = harness_storage_open(a, "inmem", (char[32]){0});
    struct seal_config c;
    bool exists = true;

    assert_ok(seal_config_load(s, a, &c, &exists));
    assert_false(exists);
    put_text(s, "core/seal-config", "{\"secret_shares\":1,\"secret_threshold\":1}");
    assert_ok(seal_config_load(s, a, &c, &exists)); /* without a keyring it says nothing */
    assert_false(exists);
    put_text(s, "core/keyring", "x");
    assert_ok(seal_config_load(s, a, &c, &exists)); /* the type may be missing */
    assert_true(exists);
    assert_false(c.has_blob);
    put_text(s, "core/hsm/barrier-unseal-keys", "x");
    put(s, "core/seal-config", seal_config_text(a, 5, 3));
    assert_ok(seal_config_load(s, a, &c, &exists));
    assert_true(c.has_blob);
    assert_int_equal(c.shares, 5);
    assert_int_equal(c.threshold, 3);
    put_text(s, "core/seal-config",
             "{\"type\":\"shamir\",\"secret_shares\":4,\"secret_threshold\":2,\"nonce\":\"abc\",\"new\":{}}");
    assert_ok(seal_config_load(s, a, &c, &exists));
    assert_string_equal(c.nonce, "abc");
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        put_text(s, "core/seal-config", bad[i].text);
        struct error *e = seal_config_load(s, a, &c, &exists);

        assert_error(e, ERR_INTERNAL, bad[i].error);
        assert_false(exists);
    }
    put(s, "core/seal-config", seal_config_text_of(a, "awskms", 1, 1, 1));
    assert_ok(seal_config_load(s, a, &c, &exists)); /* the shares are those of the recovery key */
    assert_string_equal(c.type, "awskms");
    assert_true(seal_config_is_auto(&c));
    assert_int_equal(c.shares, 0);
    put(s, "core/recovery-config", seal_config_text_of(a, "shamir", 3, 2, 0));
    assert_ok(seal_config_load(s, a, &c, &exists));
    assert_string_equal(c.type, "awskms");
    assert_int_equal(c.shares, 3);
    assert_int_equal(c.threshold, 2);
    put_text(s, "core/recovery-config", "{}");
    assert_error(seal_config_load(s, a, &c, &exists), ERR_INTERNAL,
                 "core/recovery-config: invalid seal configuration: shares must be at least one");
    put(s, "core/seal-config", (bytes){0});
    assert_error(seal_config_load(s, a, &c, &exists), ERR_INTERNAL,
                 "the store has a keyring but no core/seal-config");
    storage_close(s);
    arena_free(a);
}

static struct error *root_key(struct storage *s, struct arena *a, bytes blob, bytes unseal_key, bytes *ret)
{
    struct seal_config c = {.shares = 1, .threshold = 1, .has_blob = true};
    struct secret *key = NULL;

    put(s, "core/hsm/barrier-unseal-keys", blob);
    struct error *e = seal_root_key(s, a, &c, unseal_key, &key);

    if (!e)
        *ret = arena_bytes(a, secret_reveal(key));
    secret_free(key);
    return e;
}

static bytes concat(struct arena *a, bytes x, bytes y)
{
    return bytes_from_str(arena_join(a, str_from_bytes(x), str_from_bytes(y)));
}

static void blob(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct storage *s = harness_storage_open(a, "inmem", (char[32]){0});
    bytes unseal_key = unhex(a, UNSEAL_HEX), root = unhex(a, ROOT_HEX), got,
          b = seal_blob_make(a, rng_system(), unseal_key, root);

    assert_int_equal(b.n, 80);
    assert_memory_equal(b.p, "\x0a\x4c", 2);           /* ciphertext of 76 bytes */
    assert_memory_equal(b.p + b.n - 2, "\x2a\x00", 2); /* key_info, empty */
    assert_ok(root_key(s, a, b, unseal_key, &got));
    assert_true(secret_equal(got, root));
    assert_ok(root_key(s, a, (bytes){b.p, b.n - 2}, unseal_key, &got)); /* without key_info, as older ones */
    assert_true(secret_equal(got, root));
    bytes other_fields =
        unhex(a, "1000 19 0000000000000000 25 00000000 3202 6162"); /* fields of every wire type before it */

    assert_ok(root_key(s, a, concat(a, other_fields, b), unseal_key, &got));
    assert_true(secret_equal(got, root));
    assert_error(root_key(s, a, b, root, &got), ERR_BAD_REQUEST, MAC_ERROR);
    assert_error(
        root_key(s, a, b, (bytes){root.p, 31}, &got), ERR_BAD_REQUEST,
        "unable to retrieve stored keys: invalid key: failed to decrypt keys from storage: wrong key length");
    for (size_t n = 0; n < b.n; n++) { /* cut off anywhere; and any bit of it flipped */
        struct error *e = root_key(s, a, (bytes){b.p, n}, unseal_key, &got);

        assert_true(n == b.n - 2 ? e == NULL : e != NULL);
    }
    for (size_t bit = 0; bit < 8 * (b.n - 2); bit++) {
        uint8_t *damaged = arena_copy(a, b.p, b.n);

        damaged[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct error *e = root_key(s, a, (bytes){damaged, b.n}, unseal_key, &got);

        assert_non_null(e);
        assert_true(str_eq(e->text, STR(MAC_ERROR)) ||
                    str_eq(e->text, STR("core/hsm/barrier-unseal-keys is damaged")));
    }
    put(s, "core/hsm/barrier-unseal-keys", (bytes){0});
    struct secret *key;

    assert_error(seal_root_key(s, a, &(struct seal_config){.has_blob = true}, unseal_key, &key), ERR_INTERNAL,
                 "core/hsm/barrier-unseal-keys is gone");
    assert_ok(seal_root_key(s, a, &(struct seal_config){0}, unseal_key,
                            &key)); /* the old form: the shares give it */
    assert_true(secret_equal(secret_reveal(key), unseal_key));
    secret_free(key);
    storage_close(s);
    arena_free(a);
}

/* Authentic, but not what it should hold. */
static void blob_of_something_else(void **state)
{
    (void)state;
    static const char *const clears[] = {"{}", "[]", "[1]", "[\"\"]", "[\"%\"]", "[\"AAEC\",\"AAEC\"]"};
    struct arena *a = arena_new(0);
    struct storage *s = harness_storage_open(a, "inmem", (char[32]){0});
    bytes unseal_key = unhex(a, UNSEAL_HEX), got;
    struct aead_key *key = aead_key_new(unseal_key);

    for (size_t i = 0; i < COUNT_OF(clears); i++) {
        str clear = str_from_cstr(clears[i]);
        uint8_t b[64] = {0x0a, (uint8_t)(AEAD_NONCE_BYTES + clear.n + AEAD_TAG_BYTES)};

        aead_seal(b + 2 + AEAD_NONCE_BYTES, key, b + 2, (bytes){0}, bytes_from_str(clear));
        assert_error(root_key(s, a, (bytes){b, 2u + b[1]}, unseal_key, &got), ERR_INTERNAL,
                     "core/hsm/barrier-unseal-keys holds no root key");
    }
    aead_key_free(key);
    storage_close(s);
    arena_free(a);
}

static void progress(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct secret *shares[5], *key;
    struct unseal_progress *p = unseal_progress_new(rng_system());

    shares_split(shares, 5, 3, rng_system(), unhex(a, UNSEAL_HEX));
    for (unsigned i = 0; i < 3; i++) {
        assert_true(unseal_progress_add(p, secret_reveal(shares[i])));
        assert_false(unseal_progress_add(p, secret_reveal(shares[i]))); /* the same one counts once */
        assert_int_equal(p->n, i + 1);
    }
    assert_ok(unseal_progress_join(p, a, 3, &key));
    assert_true(secret_equal(secret_reveal(key), unhex(a, UNSEAL_HEX)));
    secret_free(key);
    assert_true(unseal_progress_add(p, unhex(a, "00ff")));
    assert_error(unseal_progress_join(p, a, 3, &key), ERR_BAD_REQUEST,
                 "failed to compute master key: all parts must be the same length");
    unseal_progress_free(p);
    p = unseal_progress_new(rng_system());
    assert_true(unseal_progress_add(p, unhex(a, UNSEAL_HEX))); /* one share is the key itself */
    assert_ok(unseal_progress_join(p, a, 1, &key));
    assert_true(secret_equal(secret_reveal(key), unhex(a, UNSEAL_HEX)));
    secret_free(key);
    unseal_progress_free(p);
    unseal_progress_free(NULL);
    for (unsigned i = 0; i < 5; i++)
        secret_free(shares[i]);
    arena_free(a);
}

/* ---- through the API ---- */

static struct answer unseal(struct harness *h, str key, int status)
{
    return harness_must(h, status, OP_UPDATE, "sys/unseal",
                        arena_fmt(h->arena, "{\"key\":\"%.*s\"}", PSTR(key)).p);
}

static void expect(struct harness *h, struct answer a, bool sealed, int64_t n, bool has_nonce)
{
    const struct json *v = answer_data(h->arena, &a);

    assert_int_equal(json_get_bool(v, STR("sealed")), sealed);
    assert_int_equal(json_get_int(v, STR("progress")), n);
    assert_int_equal(json_get_str(v, STR("nonce")).n, has_nonce ? UUID_TEXT_BYTES : 0);
    assert_int_equal(json_get_int(v, STR("t")), 2);
    assert_int_equal(json_get_int(v, STR("n")), 3);
}

static str share_of(struct harness *h, const struct json *answer, const char *list, uint32_t i)
{
    return arena_str(h->arena, json_get(answer, str_from_cstr(list))->items[i]->text);
}

static void unsealing(void **state)
{
    (void)state;
    struct harness h;

    harness_start(&h, &(struct harness_options){.stays_sealed = true});
    assert_str(unseal(&h, STR(UNSEAL_HEX), 400).error, "Vault is not initialized");
    struct answer a =
        harness_must(&h, 200, OP_UPDATE, "sys/init", "{\"secret_shares\":3,\"secret_threshold\":2}");
    const struct json *keys = answer_data(h.arena, &a);
    str one = share_of(&h, keys, "keys", 0), two = share_of(&h, keys, "keys_base64", 1),
        three = share_of(&h, keys, "keys", 2);

    assert_str(
        harness_must(&h, 400, OP_UPDATE, "sys/init", "{\"secret_shares\":1,\"secret_threshold\":1}").error,
        "Vault is already initialized");
    expect(&h, unseal(&h, one, 200), true, 1, true);
    expect(&h, unseal(&h, one, 200), true, 1, true); /* again: not counted */
    expect(&h, harness_must(&h, 200, OP_UPDATE, "sys/unseal", "{\"reset\":true}"), true, 0, false);
    expect(&h, unseal(&h, one, 200), true, 1, true);
    str wrong = arena_fmt(h.arena, "%.*s%02x", (int)one.n - 2, three.p,
                          three.p[three.n - 1] == '5' ? 7 : 5); /* another x */

    assert_str(unseal(&h, wrong, 400).error, MAC_ERROR);
    expect(&h, harness_must(&h, 200, OP_READ, "sys/seal-status", NULL), true, 0,
           false); /* all are asked for anew */
    expect(&h, unseal(&h, three, 200), true, 1, true);
    assert_non_null(unseal(&h, STR("0102030405060708090a0b0c0d0e0f10"), 400).error.p); /* another length */
    expect(&h, unseal(&h, two, 200), true, 1, true);
    expect(&h, unseal(&h, three, 200), false, 0, false);
    expect(&h, unseal(&h, three, 200), false, 0, false); /* nothing to do */
    assert_str(harness_must(&h, 400, OP_UPDATE, "sys/unseal", "{\"reset\":true}").error, "vault is unsealed");
    harness_stop(&h);
}

static void bad_keys(void **state)
{
    (void)state;
    static const struct {
        const char *body, *error;
    } bad[] = {
        {"{}", "'key' must be specified in request body as JSON, or 'reset' set to true"},
        {"{\"key\":\"\"}", "'key' must be specified in request body as JSON, or 'reset' set to true"},
        {"{\"key\":\"%\"}", "'key' must be a valid hex or base64 string"},
        {"{\"key\":\"AAEC\"}", "invalid key: key is shorter than minimum 16 bytes"},
        {"{\"key\":\"////////////////////////////////////////////////\"}",
         "invalid key: key is longer than maximum 33 bytes"},
        {"{\"key\":7}", "json: cannot unmarshal number into Go struct field .key of type string"},
    };
    struct harness h;

    harness_start(&h, &(struct harness_options){0});
    core_seal(h.core);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_str(harness_must(&h, 400, OP_UPDATE, "sys/unseal", bad[i].body).error, bad[i].error);
    harness_stop(&h);
}

/* Settings that cannot be read at the start: it counts as initialised, the unseal says why, and works when
 * they are mended. */
static void damaged_settings(void **state)
{
    (void)state;
    struct harness h, again;
    struct arena *a = arena_new(0);
    struct storage *s = harness_storage_open(a, "inmem", (char[32]){0});

    harness_start(&h, &(struct harness_options){.storage = s});
    str key = arena_str(a, h.key), root = arena_str(a, h.root);

    harness_stop(&h);
    put_text(s, "core/seal-config", "{\"type\":");
    harness_start(&again, &(struct harness_options){.storage = s, .stays_sealed = true});
    again.key = key;
    again.root = root;
    assert_int_equal(core_state(again.core), CORE_SEALED);
    assert_str(unseal(&again, key, 500).error, "core/seal-config is not valid JSON");
    put(s, "core/seal-config", seal_config_text(a, 1, 1));
    harness_unseal(&again);
    harness_must(&again, 200, OP_READ, "auth/token/lookup-self", NULL);
    harness_stop(&again);
    storage_close(s);
    arena_free(a);
}

static int prepare(void **state)
{
    (void)state;
    crypto_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_rules), cmocka_unit_test(config_stored),
        cmocka_unit_test(blob),         cmocka_unit_test(blob_of_something_else),
        cmocka_unit_test(progress),     cmocka_unit_test(unsealing),
        cmocka_unit_test(bad_keys),     cmocka_unit_test(damaged_settings),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
