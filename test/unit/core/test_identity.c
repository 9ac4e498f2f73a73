/* identity: buckets as stored, with what this program does not know in them; blocks; policies of groups. */
#include "../base/check.h"

#undef fail /* cmocka's; the engine contract has its own */
#include "core/identity/identity_private.h"
#include "core/login/policy_names.h"
#include "core/stored.h"
#include "crypto/crypto.h"

/* packer/buckets/30 of the recorded store of Vault 1.14.7: one entity with a policy, metadata and an alias.
 * */
static const char recorded[] =
    "53ff060000734e6150705900350100c99e2d72a503f0900a117061636b65722f6275636b6574732f3330128f030a2434"
    "656436316332302d303266322d346235322d656664622d33633631303162353665373812e6020a23747970652e676f6f"
    "676c65617069732e636f6d2f6964656e746974792e456e7469747912be020ab8010a2439323034316566342d64636666"
    "2d663731332d363430662d32613363336534373961366312927a00c02216617574685f75736572706173735f65353965"
    "653435393a0771756172747a30420c08cce289d80610f09f91c1014a0c2e0e003c5a04726f6f7462060a016b12017672"
    "1f2d01306c6f63616c2d616c69617365732e0f01929200201a0c616c6963652d6505f23c220c0a047465616d12047265"
    "65642a0c0d7f1489ddf9bf0132320e0010420a7669610d36004a468c01146204726f6f74";
static const char alice[] = "4ed61c20-02f2-4b52-efdb-3c6101b56e78";

static IdentityPb__Bucket *parse(struct arena *a, bytes stored)
{
    IdentityPb__Bucket *b;

    assert_ok(bucket_parse(a, STR("packer/buckets/30"), stored, &b));
    return b;
}

static IdentityPb__Entity *entity_of(struct arena *a, const IdentityPb__Bucket *b, const char *id)
{
    const IdentityPb__Item *item = bucket_find(b, str_from_cstr(id));

    assert_non_null(item);
    return (IdentityPb__Entity *)item_unpack(a, item, BUCKET_ENTITIES);
}

static void test_recorded(void **state)
{
    struct arena *a = arena_new(0);
    IdentityPb__Bucket *b = parse(a, unhex(a, recorded));
    const IdentityPb__Entity *m = entity_of(a, b, alice);
    struct entity *e = entity_new(m, NULL);
    bool found;

    (void)state;
    assert_int_equal(bucket_number(str_from_cstr(alice)), 30);
    assert_str(bucket_path(a, BUCKET_LOCAL_ALIASES, 30), "packer/local-aliases/buckets/30");
    assert_str(pb_str(b->key), "packer/buckets/30");
    assert_int_equal(m->creation_time->seconds, 1795322188);
    assert_str(e->id, alice);
    assert_str(e->name, "alice-entity");
    assert_int_equal(e->n_policies, 1);
    assert_str(e->policies[0], "via-entity");
    assert_str(identity_pair_get(e->metadata, e->n_metadata, STR("team"), &found), "reed");
    assert_true(found);
    assert_str(identity_pair_get(e->metadata, e->n_metadata, STR("none"), &found), "");
    assert_false(found);
    assert_false(e->disabled);
    const struct entity_alias *alias = entity_alias_of(e, STR("auth_userpass_e59ee459"));

    assert_non_null(alias);
    assert_str(alias->name, "quartz0");
    assert_str(identity_pair_get(alias->custom_metadata, alias->n_custom_metadata, STR("k"), &found), "v");
    assert_null(entity_alias_of(e, STR("auth_userpass_00000000")));
    entity_unref(e);

    /* rewritten without a change it says the same */
    bytes clear, again;

    assert_ok(stored_unpack(a, STR("x"), unhex(a, recorded), &clear));
    bucket_set(a, b, BUCKET_ENTITIES, str_from_cstr(alice), &m->base);
    assert_ok(stored_unpack(a, STR("x"), bucket_pack(a, b), &again));
    assert_int_equal(clear.n, again.n);
    assert_memory_equal(clear.p, again.p, clear.n);
    arena_free(a);
}

/* A field of bytes. */
static bytes field(struct arena *a, unsigned number, bytes value)
{
    struct buf b;

    buf_init(&b, a, 100000);
    for (uint64_t head = number << 3 | 2;; head >>= 7) {
        buf_put_byte(&b, (uint8_t)(head > 127 ? (head & 127) | 128 : head));
        if (head <= 127)
            break;
    }
    for (size_t n = value.n;; n >>= 7) {
        buf_put_byte(&b, (uint8_t)(n > 127 ? (n & 127) | 128 : n));
        if (n <= 127)
            break;
    }
    buf_put(&b, value.p, value.n);
    return buf_bytes(&b);
}

static bytes text(const char *s)
{
    return bytes_from_str(str_from_cstr(s));
}

static bytes join(struct arena *a, bytes x, bytes y)
{
    return bytes_from_str(arena_join(a, str_from_bytes(x), str_from_bytes(y)));
}

static void test_unknown_fields_survive(void **state)
{
    static const char *const unknown[] = {"in-alias", "mfa-secrets", "in-entity", "in-any",
                                          "in-item",  "in-bucket",   "Other"};
    struct arena *a = arena_new(0);
    bytes alias = join(a, field(a, 7, text("bob")), field(a, 77, text("in-alias")));
    bytes entity = join(a, field(a, 1, alias), field(a, 2, text("id-1")));
    bytes any, item, bucket, clear;

    (void)state;
    entity = join(a, entity,
                  join(a, field(a, 10, field(a, 1, text("mfa-secrets"))), field(a, 999, text("in-entity"))));
    any = join(a, field(a, 1, text("type.googleapis.com/identity.Entity")),
               join(a, field(a, 2, entity), field(a, 9, text("in-any"))));
    item = join(a, field(a, 1, text("id-1")), join(a, field(a, 2, any), field(a, 3, text("in-item"))));
    bucket = join(a, field(a, 1, text("packer/buckets/7")), field(a, 2, item));
    any = field(a, 1, text("type.googleapis.com/identity.Other"));
    item = join(a, field(a, 1, text("id-2")), field(a, 2, any));
    bucket = join(a, bucket, join(a, field(a, 2, item), field(a, 50, text("in-bucket"))));

    IdentityPb__Bucket *b = parse(a, bucket); /* a plain one is read too */
    IdentityPb__Entity *m = entity_of(a, b, "id-1");

    assert_null(entity_of(a, b, "id-2")); /* of another type */
    m->name = pb_text(a, STR("renamed"));
    bucket_set(a, b, BUCKET_ENTITIES, STR("id-1"), &m->base);
    assert_ok(stored_unpack(a, STR("x"), bucket_pack(a, b), &clear));
    for (size_t i = 0; i < COUNT_OF(unknown); i++)
        assert_true(str_find(str_from_bytes(clear), str_from_cstr(unknown[i])) < clear.n);
    b = parse(a, bucket_pack(a, b));
    assert_str(pb_str(entity_of(a, b, "id-1")->name), "renamed");
    assert_str(pb_str(entity_of(a, b, "id-1")->aliases[0]->name), "bob");
    assert_int_equal(b->n_items, 2);
    arena_free(a);
}

static void test_damaged(void **state)
{
    static const char *const rows[] = {"0aff", "12", "53ff060000734e6150", "ffffffff"};
    struct arena *a = arena_new(0);
    IdentityPb__Bucket *b;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_non_null(bucket_parse(a, STR("p"), unhex(a, rows[i]), &b));
    arena_free(a);
}

static void test_snappy(void **state)
{
    struct arena *a = arena_new(0);
    static const size_t sizes[] = {0, 1, 100, 65535, 65536, 65537, 300000};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        for (int random = 0; random < 2; random++) {
            uint8_t *p = arena_zalloc(a, sizes[i] + 1);
            bytes clear = {p, sizes[i]}, back;

            if (random)
                rng_bytes(rng_system(), p, sizes[i]);
            bytes packed = stored_snappy(a, clear);

            assert_true(packed.n <= sizes[i] + 11 + 8 * (sizes[i] / 65536 + 1));
            assert_ok(stored_unpack(a, STR("x"), packed, &back));
            assert_int_equal(back.n, clear.n);
            assert_memory_equal(back.p, clear.p, clear.n);
        }
    arena_free(a);
}

static void test_policy_names(void **state)
{
    static const struct {
        const char *in[5], *want;
        bool dflt;
    } rows[] = {
        {{"b", "A ", "a"}, "a,b", false}, {{"b"}, "b,default", true},
        {{0}, "default", true},           {{0}, "", false},
        {{"x", "Root"}, "root", true},    {{"default", "d"}, "d,default", true},
        {{" ", "", "z"}, "z", false},     {{"DEFAULT"}, "default", false},
    };
    struct arena *a = arena_new(0);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        str v[6], got = {0};
        size_t n = 0;

        for (; rows[i].in[n]; n++)
            v[n] = str_from_cstr(rows[i].in[n]);
        n = policy_names_clean(a, v, n, rows[i].dflt);
        for (size_t k = 0; k < n; k++)
            got = arena_fmt(a, "%.*s%s%.*s", PSTR(got), k ? "," : "", PSTR(v[k]));
        assert_str(got, rows[i].want);
    }
    str x[] = {STR("b"), STR("default"), STR("a")}, y[] = {STR("A"), STR("B")};

    assert_true(policy_names_agree(a, x, 3, y, 2));
    assert_false(policy_names_agree(a, x, 3, y, 1));
    assert_true(policy_names_agree(a, x + 1, 1, y, 0));
    arena_free(a);
}

static int setup(void **state)
{
    (void)state;
    crypto_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),     cmocka_unit_test(test_unknown_fields_survive),
        cmocka_unit_test(test_damaged),      cmocka_unit_test(test_snappy),
        cmocka_unit_test(test_policy_names),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
