/* Pure parts of the token store: forms, stored names, entries, address blocks. */
#include "../base/check.h"

#undef fail /* cmocka's; the engine contract has its own */
#include "core/token/token_form.h"
#include "core/token/token_private.h"

static struct hmac_key *sign_key;

static int setup(void **state)
{
    (void)state;
    crypto_init();
    sign_key = hmac_key_new(bytes_from_str(STR("8b1d3c55-0f0e-4a7b-9c2d-11aa22bb33cc")));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hmac_key_free(sign_key);
    return 0;
}

static const str inner = {"hvs.AbCdEfGhIjKlMnOpQrStUvWx", 28};
static const str signed_form = {
    "hvs.CAESIJ9hSnfm_KNq-iPLMXEWUcgT8_D8MllPD9tt1xnwZV8lGh4KHGh2cy5BYkNkRWZHaElqS2xNbk9wUXJTdFV2V3g", 95};

static void test_sign(void **state)
{
    struct arena *a = arena_new(0);
    str id;

    (void)state;
    assert_true(str_eq(token_form_sign(a, sign_key, inner), signed_form));
    assert_true(token_form_open(a, sign_key, signed_form, &id));
    assert_true(str_eq(id, inner));
    arena_free(a);
}

/* Each flipped character, and each cut, is refused. */
static void test_open_damaged(void **state)
{
    struct arena *a = arena_new(0);
    str id = STR("untouched");

    (void)state;
    for (size_t i = 0; i < signed_form.n; i++) {
        char *p = arena_copy(a, signed_form.p, signed_form.n);

        p[i] = p[i] == 'A' ? 'B' : 'A';
        assert_false(token_form_open(a, sign_key, (str){p, signed_form.n}, &id));
        assert_false(token_form_open(a, sign_key, str_slice(signed_form, 0, i), &id));
    }
    assert_str(id, "untouched");
    arena_free(a);
}

static void test_kinds(void **state)
{
    (void)state;
    assert_false(token_form_is_signed(inner));
    assert_true(token_form_is_signed(signed_form));
    assert_false(token_form_is_signed(STR("an-own-id-that-is-as-long-as-a-signed-one-would-be")));
    assert_true(token_form_is_batch(STR("hvb.AAAA")));
    assert_true(token_form_is_batch(STR("b.AAAA")));
    assert_false(token_form_is_batch(inner));
    assert_true(token_form_has_prefix(inner));
    assert_true(token_form_has_prefix(STR("s.AbCd")));
    assert_false(token_form_has_prefix(STR("own")));
}

static void test_hash(void **state)
{
    static const str salt = {"2f1c9d3a-5b7e-4c60-8a11-0d9e7f6b5c4d", 36};
    static const struct {
        str id;
        const char *name;
    } rows[] = {
        {{"hvs.AbCdEfGhIjKlMnOpQrStUvWx", 28},
         "hc6302f08bea00e1edae6f0119183b8bc518b59306d51f8b6c436586dc2be790b"},
        {{"AbCdEfGhIjKlMnOpQrStUvWx", 24}, "aecf18e2006918be05a3915c41f8d417db964a91"},
        {{"my-own-id", 9}, "d4fe921713ae0f44a7145a508c4319d89017f665"},
    };
    struct token_state s = {.salt = secret_from(bytes_from_str(salt)),
                            .salt_key = hmac_key_new(bytes_from_str(salt))};
    char name[TOKEN_HASH_MAX + 1];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        token_hash(&s, rows[i].id, name);
        assert_string_equal(name, rows[i].name);
    }
    secret_free(s.salt);
    hmac_key_free(s.salt_key);
}

static struct token_entry *parse(struct arena *a, str path, str text)
{
    struct object *o = NULL;

    assert_null(token_entry_parse(a, path, bytes_from_str(text), &o));
    return CONTAINER_OF(o, struct token_entry, object);
}

static void test_entry(void **state)
{
    struct arena *a = arena_new(0), *scratch = arena_new(0);
    str text = STR(
        "{\"type\":1,\"id\":\"hvs.x\",\"accessor\":\"acc\",\"parent\":\"hvs.p\",\"policies\":[\"a\","
        "\"d\\u00e9\"],\"inline_policy\":\"\","
        "\"path\":\"auth/token/"
        "create\",\"meta\":{\"k\":\"v\",\"n\":5},\"display_name\":\"token\",\"num_uses\":3,\"creation_time\":"
        "1795322188,"
        "\"ttl\":946080000000000000,\"explicit_max_ttl\":7,\"role\":\"r\",\"period\":9,\"entity_id\":\"e\","
        "\"no_identity_policies\":true,\"bound_cidrs\":[\"127.0.0.0/"
        "8\"],\"namespace_id\":\"root\",\"cubbyhole_id\":\"c\"}");
    struct token_entry *te = parse(scratch, STR("sys/token/id/h01"), text);

    (void)state;
    arena_free(scratch); /* the block stands alone */
    assert_int_equal(te->type, TOKEN_SERVICE);
    assert_str(te->id, "hvs.x");
    assert_str(te->accessor, "acc");
    assert_str(te->parent, "hvs.p");
    assert_str(te->path, "auth/token/create");
    assert_str(te->display_name, "token");
    assert_str(te->role, "r");
    assert_str(te->entity_id, "e");
    assert_str(te->cubbyhole_id, "c");
    assert_int_equal(te->n_policies, 2);
    assert_str(te->policies[1], "d\xc3\xa9");
    assert_int_equal(te->n_bound_cidrs, 1);
    assert_str(json_text(a, te->meta), "{\"k\":\"v\"}");
    assert_int_equal(te->num_uses, 3);
    assert_int_equal(te->creation_time_s, 1795322188);
    assert_int_equal(te->ttl_ns, 946080000000000000);
    assert_int_equal(te->explicit_max_ttl_ns, 7);
    assert_int_equal(te->period_ns, 9);
    assert_true(te->no_identity_policies);
    assert_string_equal(te->hash, "h01");
    assert_false(token_is_endless_root(te));
    object_unref(&te->object);
    arena_free(a);
}

/* Entries older than the present names, and members that are null. */
static void test_entry_old(void **state)
{
    struct arena *a = arena_new(0);
    struct token_entry *te = parse(a, STR("sys/token/id/ab"),
                                   STR("{\"id\":\"x\",\"policies\":[\"root\"],\"meta\":null,\"bound_cidrs\":"
                                       "null,\"DisplayName\":\"old\","
                                       "\"NumUses\":4,\"CreationTime\":5,\"ExplicitMaxTTL\":6}"));

    (void)state;
    assert_str(te->display_name, "old");
    assert_int_equal(te->num_uses, 4);
    assert_int_equal(te->creation_time_s, 5);
    assert_int_equal(te->explicit_max_ttl_ns, 6);
    assert_int_equal(te->type, TOKEN_SERVICE);
    assert_null(te->meta);
    assert_true(token_is_endless_root(te));
    object_unref(&te->object);
    arena_free(a);
}

static void test_entry_damaged(void **state)
{
    static const char *const rows[] = {"", "[]", "{\"id\":", "null"};
    struct arena *a = arena_new(0);
    struct object *o = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_non_null(
            token_entry_parse(a, STR("sys/token/id/ab"), bytes_from_str(str_from_cstr(rows[i])), &o));
    assert_non_null(token_entry_parse(a, STR("sys/token/id/"), bytes_from_str(STR("{}")), &o));
    assert_null(o);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sign),          cmocka_unit_test(test_open_damaged),
        cmocka_unit_test(test_kinds),         cmocka_unit_test(test_hash),
        cmocka_unit_test(test_entry),         cmocka_unit_test(test_entry_old),
        cmocka_unit_test(test_entry_damaged),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
