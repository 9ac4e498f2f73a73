#include "core/barrier.h"
#include "core/seal.h"
#include "crypto/crypto.h"
#include "harness.h"

/* The keys of the worked examples in docs/formats/barrier.md. */
#define KEY_HEX          "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY_B64          "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define ROOT_HEX         "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
#define ROOT_B64         "gIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZaXmJmam5ydnp8="
#define TIME             "\"InstallTime\":\"2024-02-03T04:05:06.7Z\""
#define KEY(term, value) "{\"Term\":" term ",\"Version\":1,\"Value\":\"" value "\"," TIME "}"
#define KEYRING(keys)    "{\"MasterKey\":\"" ROOT_B64 "\",\"Keys\":[" keys "]}"

static struct barrier *open_keyring(struct arena *a, const char *json)
{
    struct barrier *b;

    assert_ok(barrier_from_keyring(a, bytes_from_str(str_from_cstr(json)), &b));
    return b;
}

static bool opens(struct barrier *b, struct arena *a, const char *path, bytes record, str *ret_clear)
{
    uint8_t *out = arena_zalloc(a, record.n + 1);
    enum barrier_result r = barrier_open(b, out, str_from_cstr(path), record);

    assert_true(r == BARRIER_OK || r == BARRIER_DAMAGED);
    *ret_clear = (str){(char *)out, record.n - MIN(record.n, BARRIER_OVERHEAD_BYTES)};
    return r == BARRIER_OK;
}

static void worked_examples(void **state)
{
    (void)state;
    static const struct {
        const char *path, *clear, *record;
    } examples[] = {
        {"core/example", "{\"a\":1}",
         "00000001 02 a0a1a2a3a4a5a6a7a8a9aaab 9d3a1d0f7ffa7f 55372f7c5818bdf2f248048f5aa00a29"},
        {"sys/token/parent/a/b", "", "00000102 02 a0a1a2a3a4a5a6a7a8a9aaab 23d73c5e9cb08bafbb3add7f1d9461c3"},
    };
    struct arena *a = arena_new(0);
    struct barrier *b = open_keyring(a, KEYRING(KEY("258", KEY_B64) "," KEY("1", KEY_B64)));
    str clear;

    for (size_t i = 0; i < COUNT_OF(examples); i++) {
        bytes record = unhex(a, examples[i].record);
        uint8_t *damaged = arena_copy(a, record.p, record.n);

        assert_true(opens(b, a, examples[i].path, record, &clear));
        assert_str(clear, examples[i].clear);
        assert_false(opens(b, a, "core/other", record, &clear)); /* an entry that was moved */
        for (size_t bit = 0; bit < 8 * record.n; bit++) {
            damaged[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_false(opens(b, a, examples[i].path, (bytes){damaged, record.n}, &clear));
            damaged[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t n = 0; n < record.n; n++)
            assert_false(opens(b, a, examples[i].path, (bytes){record.p, n}, &clear));
    }
    struct barrier_status s = barrier_status(b); /* the largest term, wherever it stands */

    assert_int_equal(s.term, 258);
    assert_int_equal(s.install_time_ns, 1706933106 * NS_PER_S + 700 * NS_PER_MS);
    barrier_free(b);
    arena_free(a);
}

/* What is made has the layout that is read: active term, version 2, the path authenticated. */
static void makes_records(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct barrier *b = open_keyring(a, KEYRING(KEY("1", KEY_B64) "," KEY("7", ROOT_B64)));
    struct aead_key *key = aead_key_new(unhex(a, ROOT_HEX));
    bytes clear = bytes_from_str(STR("value"));
    uint8_t out[64], again[64], opened[64];

    assert_int_equal(barrier_seal(b, rng_system(), out, STR("a/b/"), clear), BARRIER_OK);
    assert_int_equal(barrier_seal(b, rng_system(), again, STR("a/b/"), clear), BARRIER_OK);
    assert_memory_equal(out, "\0\0\0\7\2", 5);
    assert_memory_not_equal(out + 5, again + 5, AEAD_NONCE_BYTES);
    bytes sealed = {out + 17, clear.n + AEAD_TAG_BYTES};

    assert_true(aead_open(opened, key, out + 5, bytes_from_str(STR("a/b/")), sealed));
    assert_memory_equal(opened, clear.p, clear.n);
    assert_false(aead_open(opened, key, out + 5, bytes_from_str(STR("a/b")), sealed));
    assert_int_equal(barrier_status(b).encryptions, 2);
    aead_key_free(key);
    barrier_free(b);
    arena_free(a);
}

/* Version 1 authenticates no path; a key of 16 bytes means AES-128. */
static void older_records(void **state)
{
    (void)state;
    static const char *const keys[] = {KEY_HEX, "000102030405060708090a0b0c0d0e0f"};
    static const char *const keyrings[] = {KEYRING(KEY("3", KEY_B64)),
                                           KEYRING(KEY("3", "AAECAwQFBgcICQoLDA0ODw=="))};
    struct arena *a = arena_new(0);
    str clear;

    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        struct barrier *b = open_keyring(a, keyrings[i]);
        struct aead_key *key = aead_key_new(unhex(a, keys[i]));
        uint8_t record[BARRIER_OVERHEAD_BYTES + 3] = {0, 0, 0, 3, 1, 9, 9, 9};

        aead_seal(record + 17, key, record + 5, (bytes){0}, bytes_from_str(STR("old")));
        assert_true(opens(b, a, "any/path", (bytes){record, sizeof(record)}, &clear));
        assert_str(clear, "old");
        record[4] = 2; /* not authenticated, so the path is asked for */
        assert_false(opens(b, a, "any/path", (bytes){record, sizeof(record)}, &clear));
        aead_key_free(key);
        barrier_free(b);
    }
    arena_free(a);
}

static struct json *read_record(struct arena *a, struct barrier *b)
{
    bytes record;
    struct json *v;

    assert_ok(barrier_keyring_record(b, a, rng_system(), &record));
    assert_memory_equal(record.p, "\0\0\0\1\2", 5); /* whatever the active term is */
    uint8_t *clear = arena_alloc(a, record.n);

    assert_false(record_open(clear, unhex(a, ROOT_HEX), STR("core/keyrings"), record));
    assert_true(record_open(clear, unhex(a, ROOT_HEX), STR("core/keyring"), record));
    assert_ok(json_parse(a, (str){(char *)clear, record.n - BARRIER_OVERHEAD_BYTES}, false, &v));
    return v;
}

/* What a request does in two steps: the change is written, and taken over. */
static void rotate(struct barrier *b, int64_t now_ns)
{
    struct keyring_change *c = keyring_change_new(b);

    keyring_change_add_term(c, rng_system(), now_ns);
    barrier_apply(b, c);
}

static void keyring_keeps_what_it_does_not_know(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct barrier *b = open_keyring(
        a, "{\"MasterKey\":\"" ROOT_B64 "\",\"New\":{\"n\":1.10},\"Keys\":["
           "{\"Term\":1,\"Version\":1,\"Value\":\"" KEY_B64 "\"," TIME ",\"Use\":\"x\"},"
           "{\"Term\":2,\"Version\":1,\"Value\":\"" ROOT_B64 "\"," TIME ",\"encryptions\":41}],"
           "\"RotationConfig\":{\"Disabled\":true,\"MaxOperations\":2000000,\"Interval\":0,\"More\":[]}}");
    uint8_t out[64];

    assert_str(
        json_text(a, read_record(a, b)),
        "{\"Keys\":[{\"InstallTime\":\"2024-02-03T04:05:06.7Z\",\"Term\":1,\"Use\":\"x\",\"Value\":\"" KEY_B64
        "\",\"Version\":1},"
        "{\"InstallTime\":\"2024-02-03T04:05:06.7Z\",\"Term\":2,\"Value\":\"" ROOT_B64
        "\",\"Version\":1,\"encryptions\":41}],"
        "\"MasterKey\":\"" ROOT_B64 "\",\"New\":{\"n\":1.10},"
        "\"RotationConfig\":{\"Disabled\":true,\"Interval\":0,\"MaxOperations\":2000000,\"More\":[]}}");
    assert_int_equal(barrier_seal(b, rng_system(), out, STR("a"), (bytes){0}), BARRIER_OK);
    assert_int_equal(barrier_status(b).encryptions, 42);
    rotate(b, NS_PER_S);
    const struct json *keys = json_get(read_record(a, b), STR("Keys"));

    assert_int_equal(keys->n, 3);
    assert_null(json_get(keys->items[1], STR("encryptions"))); /* the active term alone has a count */
    assert_int_equal(json_get_int(keys->items[2], STR("Term")), 3);
    assert_str(json_get_str(keys->items[2], STR("InstallTime")), "1970-01-01T00:00:01Z");
    struct barrier *again = open_keyring(a, json_text(a, read_record(a, b)).p);
    str clear;

    assert_true(opens(again, a, "a", (bytes){out, BARRIER_OVERHEAD_BYTES}, &clear)); /* of term 2 */
    assert_int_equal(barrier_status(again).term, 3);
    barrier_free(again);
    barrier_free(b);
    arena_free(a);
}

static void bad_keyrings(void **state)
{
    (void)state;
    static const struct {
        const char *json, *error;
    } bad[] = {
        {"{}", "core/keyring: no usable list of keys"},
        {"[]", "core/keyring: no usable list of keys"},
        {KEYRING(""), "core/keyring: no usable list of keys"},
        {"{\"Keys\":[" KEY("1", KEY_B64) "]}", "core/keyring: the root key is not 16 or 32 bytes"},
        {"{\"MasterKey\":\"AAEC\",\"Keys\":[" KEY("1", KEY_B64) "]}",
         "core/keyring: the root key is not 16 or 32 bytes"},
        {KEYRING(KEY("0", KEY_B64)), "core/keyring: a key has no valid term"},
        {KEYRING(KEY("4294967296", KEY_B64)), "core/keyring: a key has no valid term"},
        {KEYRING("7"), "core/keyring: a key has no valid term"},
        {KEYRING(KEY("5", "AAEC")), "core/keyring: the key of term 5 is not 16 or 32 bytes"},
        {KEYRING(KEY("5", "%%%%")), "core/keyring: the key of term 5 is not 16 or 32 bytes"},
        {KEYRING(KEY("5", KEY_B64) "," KEY("5", ROOT_B64)), "core/keyring: term 5 appears twice"},
    };
    struct arena *a = arena_new(0);
    struct barrier *b;

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_error(barrier_from_keyring(a, bytes_from_str(str_from_cstr(bad[i].json)), &b), ERR_INTERNAL,
                     bad[i].error);
    assert_non_null(barrier_from_keyring(a, bytes_from_str(STR("{")), &b));
    arena_free(a);
}

static void closed_is_closed(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct barrier *b = open_keyring(a, KEYRING(KEY("1", KEY_B64)));
    uint8_t record[BARRIER_OVERHEAD_BYTES], out[1];
    bytes ret;

    assert_int_equal(barrier_seal(b, rng_system(), record, STR("a"), (bytes){0}), BARRIER_OK);
    barrier_close(b);
    barrier_close(b);
    assert_int_equal(barrier_open(b, out, STR("a"), (bytes){record, sizeof(record)}), BARRIER_CLOSED);
    assert_int_equal(barrier_seal(b, rng_system(), record, STR("a"), (bytes){0}), BARRIER_CLOSED);
    rotate(b, 0);
    assert_error(barrier_keyring_record(b, a, rng_system(), &ret), ERR_SEALED, "Vault is sealed");
    assert_error(barrier_root_key_object(b, a, &ret), ERR_SEALED, "Vault is sealed");
    barrier_free(b);
    arena_free(a);
}

/* A store older than keyrings: its one key becomes term 1, barrier/init goes; and the store opens again. */
static void very_old_store(void **state)
{
    (void)state;
    struct harness h;
    struct arena *a = arena_new(0);
    struct storage *s = harness_storage_open(a, "inmem", (char[32]){0});
    str clear = STR("{\"Version\":1,\"Key\":\"" KEY_B64 "\"}");
    uint8_t record[BARRIER_OVERHEAD_BYTES + 128];
    bytes got;

    crypto_init();
    record_seal(record, unhex(a, ROOT_HEX), rng_system(), 1, STR("barrier/init"), bytes_from_str(clear));
    struct storage_put puts[] = {
        {.path = STR("core/seal-config"), .value = seal_config_text(a, 1, 1)},
        {.path = STR("barrier/init"), .value = {record, BARRIER_OVERHEAD_BYTES + clear.n}},
    };

    assert_ok(storage_commit(s, a, &(struct storage_batch){.puts = puts, .n = COUNT_OF(puts)}));
    harness_start(&h, &(struct harness_options){.storage = s, .key = ROOT_HEX, .root = "none"});
    for (int i = 0; i < 2; i++) {
        assert_ok(storage_get(s, a, STR("barrier/init"), &got));
        assert_null(got.p);
        assert_ok(storage_get(s, a, STR("core/keyring"), &got));
        uint8_t *keyring = arena_alloc(a, got.n);
        struct json *v;

        assert_true(record_open(keyring, unhex(a, ROOT_HEX), STR("core/keyring"), got));
        assert_ok(json_parse(a, (str){(char *)keyring, got.n - BARRIER_OVERHEAD_BYTES}, false, &v));
        assert_str(json_get_str(json_get(v, STR("Keys"))->items[0], STR("Value")), KEY_B64);
        harness_restart(&h);
    }
    harness_stop(&h);
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
        cmocka_unit_test(worked_examples), cmocka_unit_test(makes_records),
        cmocka_unit_test(older_records),   cmocka_unit_test(keyring_keeps_what_it_does_not_know),
        cmocka_unit_test(bad_keyrings),    cmocka_unit_test(closed_is_closed),
        cmocka_unit_test(very_old_store),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
