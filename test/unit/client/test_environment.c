#include "../base/check.h"
#include "client/environment.h"

static void order_of_prefixes(void **state)
{
    (void)state;
    static const char *const vars[] = {
        "VAULT_ADDR=v", "BAO_ADDR=b",      "COFFER_ADDR=c", "VAULT_TOKEN=v", "BAO_TOKEN=b", "VAULT_FORMAT=v",
        "BAO_FORMAT=",  "VAULT_ADDRESS=x", "HOME=/h",       "VAULT_X",       NULL};
    static const struct {
        const char *program, *suffix, *want;
    } rows[] = {
        {"coffer", "ADDR", "c"},     {"vault", "ADDR", "v"},   {"bao", "ADDR", "b"},
        {"vault-1.14", "ADDR", "c"}, {"coffer", "TOKEN", "b"}, {"vault", "TOKEN", "v"},
        {"bao", "FORMAT", "v"},      {"coffer", "NONE", ""},   {"coffer", "X", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct environment e = {str_from_cstr(rows[i].program), vars};
        assert_str(environment_setting(&e, str_from_cstr(rows[i].suffix)), rows[i].want);
    }
    struct environment e = {STR("coffer"), vars};
    assert_str(environment_get(&e, STR("HOME")), "/h");
    assert_str(environment_get(&e, STR("HOM")), "");
}

static void booleans(void **state)
{
    (void)state;
    bool v = false;
    assert_true(bool_from_str(STR("T"), &v));
    assert_true(v);
    assert_true(bool_from_str(STR("False"), &v));
    assert_false(v);
    assert_false(bool_from_str(STR("yes"), &v));
    assert_false(bool_from_str(STR(""), &v));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(order_of_prefixes), cmocka_unit_test(booleans)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
