/* One set of rules for every backend. */
#include "base/buf.h"
#include "base/fault.h"
#include "base/mutex.h"
#include "stores.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const types[] = {"inmem", "inmem_ha", "file", "sqlite"};

static bool is_file(const struct store *st)
{
    return strcmp(st->type, "file") == 0;
}

static void test_absent(void **state)
{
    struct store *st = *state;
    store_expect(st, "nothing", NULL);
    store_expect(st, "nothing/at/all", NULL);
    store_expect_list(st, "", "");
    store_expect_list(st, "nothing/", "");
    store_delete(st, "nothing/at/all");
    expect_ok(store_commit(st, NULL, 0));
}

static void test_put_get_delete(void **state)
{
    struct store *st = *state;
    store_put(st, "core/keyring", "one");
    store_expect(st, "core/keyring", "one");
    store_expect(st, "core/keyrin", NULL);
    store_expect(st, "core/keyring/x", NULL);
    store_expect(st, "core", NULL);
    store_put(st, "core/keyring", "two, which is longer");
    store_expect(st, "core/keyring", "two, which is longer");
    store_delete(st, "core/keyring");
    store_expect(st, "core/keyring", NULL);
    store_expect_list(st, "", "");
}

static void test_listing(void **state)
{
    struct store *st = *state;
    static const char *const paths[] = {"b/c/d",     "a0",  "a/y/z", "a", "a/x",
                                        "core/lock", "a-b", "a/y/w", "A", "b/c/e"};
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        store_put(st, paths[i], paths[i]);
    store_expect_list(st, "", "A|a|a-b|a/|a0|b/|core/");
    store_expect_list(st, "a/", "x|y/");
    store_expect_list(st, "a/y/", "w|z");
    store_expect_list(st, "b/", "c/");
    store_expect_list(st, "a-b/", "");
    store_expect_list(st, "a/x/", "");
    store_delete(st, "b/c/d");
    store_expect_list(st, "b/c/", "e");
    store_delete(st, "b/c/e");
    store_expect_list(st, "b/", "");
    store_expect_list(st, "", "A|a|a-b|a/|a0|core/");
    store_delete(st, "a");
    store_expect_list(st, "", "A|a-b|a/|a0|core/");
    store_expect(st, "a/x", "a/x");
}

static void test_odd_keys(void **state)
{
    struct store *st = *state;
    static const char *const names[] = {
        "with space", "+plus+", "~tilde", "é",          "_under", "c", "c.temp",
        "%2f",        "a\\b",   "日本語", "\"quoted\"", "*",      "-", "'; drop table kv; --",
        ".hidden",    "UPPER"};
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < COUNT_OF(names); i++) {
            const char *path = arena_cstr(st->a, arena_fmt(st->a, "odd/%s", names[i]));
            const char *below = arena_cstr(st->a, arena_fmt(st->a, "odd dir/%s/leaf", names[i]));
            store_put(st, path, path);
            store_put(st, below, names[i]);
        }
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        store_expect(st, arena_cstr(st->a, arena_fmt(st->a, "odd/%s", names[i])),
                     arena_cstr(st->a, arena_fmt(st->a, "odd/%s", names[i])));
        store_expect(st, arena_cstr(st->a, arena_fmt(st->a, "odd dir/%s/leaf", names[i])), names[i]);
    }
    store_expect_list(st, "odd/",
                      "\"quoted\"|%2f|'; drop table kv; --|*|+plus+|-|.hidden|UPPER|_under|a\\b|c|c.temp|"
                      "with space|~tilde|é|日本語");
    store_expect_list(st, "odd dir/é/", "leaf");
}

static void test_long_names(void **state)
{
    struct store *st = *state;
    static const size_t lengths[] = {249, 250, 254, 300};
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        char path[512] = "long/";
        memset(path + 5, 'n', lengths[i]);
        struct storage_put put = {str_from_cstr(path), bytes_from_str(STR("v")), false};
        struct error *e = store_commit(st, &put, 1);
        if (is_file(st) && lengths[i] > 249) {
            expect_kind(e, ERR_INTERNAL);
            assert_true(str_eq(e->text, STR("file name too long")));
        } else {
            expect_ok(e);
            store_expect(st, path, "v");
        }
    }
    char deep[4001];
    for (size_t i = 0; i < sizeof deep; i++)
        deep[i] = i % 2 ? '/' : 'd';
    deep[sizeof deep - 1] = '\0';
    deep[sizeof deep - 2] = 'd';
    if (!is_file(st)) /* two thousand directories, each fsynced, are no unit test */
        store_put(st, deep, "v");
    store_put(st, "long/still", "works");
}

/* The slash is part of the path, but for the file layout, which cannot keep it. */
static void test_trailing_slash(void **state)
{
    struct store *st = *state;
    store_put(st, "t/s/", "slash");
    store_expect(st, "t/s/", "slash");
    store_expect(st, "t/s", is_file(st) ? "slash" : NULL);
    store_expect_list(st, "t/", is_file(st) ? "s" : "s/");
    str *names;
    size_t n;
    expect_ok(storage_list(st->s, st->a, STR("t/s/"), &names, &n));
    assert_int_equal(n, is_file(st) ? 0 : 1);
    if (n)
        assert_int_equal(names[0].n, 0);
    store_delete(st, "t/s/");
    store_expect(st, "t/s/", NULL);
    store_expect_list(st, "", "");
}

static void test_values(void **state)
{
    struct store *st = *state;
    static const size_t sizes[] = {0, 1, 2, 3, 33, 1000, 1003, 4096, 65537, 1 << 20, 32 << 20};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        uint8_t *value = arena_alloc(st->a, sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            value[k] = (uint8_t)(k * 7 + k / 251 + i);
        struct storage_put put = {STR("values/v"), {value, sizes[i]}, false};
        expect_ok(store_commit(st, &put, 1));
        bytes got;
        expect_ok(storage_get(st->s, st->a, STR("values/v"), &got));
        assert_non_null(got.p);
        assert_int_equal(got.n, sizes[i]);
        assert_true(got.n == 0 || memcmp(got.p, value, got.n) == 0);
        arena_reset(st->a);
    }
    struct storage_put put = {STR("values/null"), {NULL, 0}, false};
    expect_ok(store_commit(st, &put, 1));
    store_expect(st, "values/null", "");
    store_expect_list(st, "values/", "null|v");
}

static void test_batch_order(void **state)
{
    struct store *st = *state;
    bytes one = bytes_from_str(STR("one")), two = bytes_from_str(STR("two"));
    struct storage_put puts[] = {
        {STR("x/only"), one, false}, {STR("gone"), one, false}, {STR("x/only"), {0}, true},
        {STR("x/new"), one, false},  {STR("last"), one, false}, {STR("gone"), {0}, true},
        {STR("last"), two, false},   {STR("back"), {0}, true},  {STR("back"), two, false},
    };
    expect_ok(store_commit(st, puts, COUNT_OF(puts)));
    store_expect(st, "x/only", NULL);
    store_expect(st, "gone", NULL);
    store_expect(st, "last", "two");
    store_expect(st, "back", "two");
    store_expect_list(st, "", "back|last|x/");
    /* the only entry of a folder goes and another comes, in both orders */
    struct storage_put swap[] = {{STR("x/new"), {0}, true}, {STR("x/newer"), two, false}};
    expect_ok(store_commit(st, swap, 2));
    store_expect_list(st, "x/", "newer");
    struct storage_put swap_back[] = {{STR("x/new"), one, false}, {STR("x/newer"), {0}, true}};
    expect_ok(store_commit(st, swap_back, 2));
    store_expect_list(st, "x/", "new");
}

static void test_limits(void **state)
{
    struct store *st = *state;
    bytes v = bytes_from_str(STR("v"));
    size_t n = st->s->caps.key_bytes_max + 1;
    char *path = arena_alloc(st->a, n);
    memset(path, 'k', n);
    struct storage_put bad[] = {{{path, n}, v, false}, {STR("/abs"), v, false}, {{NULL, 0}, v, false}};
    static const enum err_kind kinds[] = {ERR_TOO_LARGE, ERR_INTERNAL, ERR_INTERNAL};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct storage_put puts[] = {{STR("good"), v, false}, bad[i]};
        bytes value;
        expect_kind(store_commit(st, puts, 2), kinds[i]);
        expect_kind(storage_get(st->s, st->a, bad[i].path, &value), kinds[i]);
    }
    store_expect(st, "good", NULL);
    struct storage_batch many = {NULL, (size_t)st->s->caps.batch_max + 1, NULL};
    expect_kind(storage_commit(st->s, st->a, &many), ERR_TOO_LARGE);
    struct storage_fence fence = {NULL};
    struct storage_batch fenced = {NULL, 0, &fence};
    if (!st->s->caps.has_lock)
        expect_kind(storage_commit(st->s, st->a, &fenced), ERR_INTERNAL);
    str *names;
    expect_kind(storage_list(st->s, st->a, STR("noslash"), &names, &n), ERR_INTERNAL);
    st->s->caps.value_bytes_max = 3;
    struct storage_put large = {STR("large"), bytes_from_str(STR("four")), false};
    struct error *e = store_commit(st, &large, 1);
    expect_kind(e, ERR_TOO_LARGE);
    assert_true(str_eq(e->text, STR("put failed due to value being too large")));
}

static void test_big_folder(void **state)
{
    struct store *st = *state;
    unsigned count = is_file(st) ? 100 : 20000;
    struct storage_put *puts = ARENA_ARRAY(st->a, struct storage_put, 3 * count);
    for (unsigned i = 0; i < count; i++) {
        bytes v = bytes_from_str(STR("v"));
        puts[3 * i] = (struct storage_put){arena_fmt(st->a, "big/%08u", (i * 7919) % count), v, false};
        puts[3 * i + 1] = (struct storage_put){arena_fmt(st->a, "deep/one/%u", i), v, false};
        puts[3 * i + 2] = (struct storage_put){arena_fmt(st->a, "wide/%08u/leaf", i), v, false};
    }
    expect_ok(store_commit(st, puts, 3 * count));
    static const char *const prefixes[] = {"big/", "wide/"};
    for (size_t p = 0; p < COUNT_OF(prefixes); p++) {
        str *names;
        size_t n;
        expect_ok(storage_list(st->s, st->a, str_from_cstr(prefixes[p]), &names, &n));
        assert_int_equal(n, count);
        for (unsigned i = 0; i < count; i++)
            assert_true(str_eq(names[i], arena_fmt(st->a, p ? "%08u/" : "%08u", i)));
    }
    store_expect_list(st, "deep/", "one/");
    store_expect_list(st, "", "big/|deep/|wide/");
}

static void test_reopen(void **state)
{
    struct store *st = *state;
    for (unsigned i = 0; i < 50; i++)
        store_put(st, arena_cstr(st->a, arena_fmt(st->a, "keep/%02u", i % 25)),
                  arena_cstr(st->a, arena_fmt(st->a, "value %u", i)));
    store_delete(st, "keep/07");
    store_reopen(st);
    store_expect(st, "keep/00", "value 25");
    store_expect(st, "keep/24", "value 49");
    store_expect(st, "keep/07", NULL);
    store_put(st, "keep/07", "again");
    store_reopen(st);
    store_expect(st, "keep/07", "again");
}

static void test_second_server(void **state)
{
    struct store *st = *state;
    struct storage *second;
    if (!st->dir[0])
        return;
    struct error *e = store_try_open(st, &second);
    expect_kind(e, ERR_BUSY);
    assert_true(str_find(e->text, str_from_cstr(st->dir)) < e->text.n);
    store_put(st, "still", "ours");
}

/* Random commits beside a model in a plain array; what is there, and every list, must be the same. */
enum { MODEL_KEYS = 64 };
static void model_path(char out[32], unsigned key)
{
    snprintf(out, 32, key & 1 ? "m/%u/x%u" : "m/%u/y/%u", (key >> 1) & 3, key >> 3);
}

static void model_check(struct store *st, const unsigned model[MODEL_KEYS])
{
    unsigned in_folder[4] = {0}, in_sub[4] = {0};
    for (unsigned key = 0; key < MODEL_KEYS; key++) {
        char path[32], value[32];
        model_path(path, key);
        snprintf(value, sizeof value, "%u", model[key]);
        store_expect(st, path, model[key] ? value : NULL);
        if (model[key])
            (*(key & 1 ? &in_folder[(key >> 1) & 3] : &in_sub[(key >> 1) & 3]))++;
    }
    for (unsigned f = 0; f < 4; f++) {
        str *names;
        size_t n;
        expect_ok(storage_list(st->s, st->a, arena_fmt(st->a, "m/%u/", f), &names, &n));
        assert_int_equal(n, in_folder[f] + (in_sub[f] > 0));
        for (size_t i = 1; i < n; i++)
            assert_true(str_cmp(names[i - 1], names[i]) < 0);
    }
}

static void test_model(void **state)
{
    struct store *st = *state;
    unsigned model[MODEL_KEYS] = {0}, seed = 7, commits = is_file(st) ? 60 : 500;
    for (unsigned c = 1; c <= commits; c++) {
        struct storage_put puts[8];
        char paths[8][32], values[8][32];
        unsigned n = 1 + (unsigned)rand_r(&seed) % 8;
        for (unsigned i = 0; i < n; i++) {
            unsigned key = (unsigned)rand_r(&seed) % MODEL_KEYS;
            bool deletes = rand_r(&seed) % 3 == 0;
            model_path(paths[i], key);
            snprintf(values[i], sizeof values[i], "%u", c);
            puts[i] = (struct storage_put){str_from_cstr(paths[i]), bytes_from_str(str_from_cstr(values[i])),
                                           deletes};
            model[key] = deletes ? 0 : c;
        }
        expect_ok(store_commit(st, puts, n));
        if (c % 20 == 0) {
            model_check(st, model);
            arena_reset(st->a);
        }
    }
    store_reopen(st);
    model_check(st, model);
}

/* Readers see what was committed, never a value go back, and on transactional stores never half a batch in
 * one list. */
struct reading {
    struct storage *s;
    _Atomic(unsigned) committed;
    atomic_bool end;
    atomic_uint errors;
};

static void read_along(void *arg)
{
    struct reading *r = arg;
    struct arena *a = arena_new(0);
    while (!r->end) {
        unsigned before = r->committed;
        bytes value;
        str *names;
        size_t n;
        if (storage_get(r->s, a, STR("run/x"), &value) || storage_list(r->s, a, STR("pair/"), &names, &n)) {
            r->errors++;
            break;
        }
        uint64_t got = 0;
        if (value.p && (!str_parse_u64(str_from_bytes(value), &got) || got < before))
            r->errors++;
        if (!value.p && before)
            r->errors++;
        if (r->s->caps.transactional && n != 0 && n != 2)
            r->errors++;
        arena_reset(a);
    }
    arena_free(a);
}

static void test_concurrent(void **state)
{
    struct store *st = *state;
    struct reading r = {.s = st->s};
    struct thread threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        thread_start(&threads[i], "reader", read_along, &r);
    for (unsigned c = 1; c <= (is_file(st) ? 40U : 200U); c++) {
        char text[16];
        snprintf(text, sizeof text, "%u", c);
        bytes v = bytes_from_str(str_from_cstr(text));
        struct storage_put puts[] = {
            {STR("pair/a"), v, c % 2 == 0}, {STR("run/x"), v, false}, {STR("pair/b"), v, c % 2 == 0}};
        expect_ok(store_commit(st, puts, 3));
        r.committed = c;
    }
    r.end = true;
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        thread_join(&threads[i]);
    assert_int_equal(r.errors, 0);
}

#ifdef COFFER_FAULTS
static void test_faults(void **state)
{
    struct store *st = *state;
    bytes value;
    str *names;
    size_t n;
    struct storage_put put = {STR("f"), bytes_from_str(STR("new")), false};
    store_put(st, "f", "old");
    assert_true(fault_set(STR("storage_read=always")));
    expect_kind(storage_get(st->s, st->a, STR("f"), &value), ERR_IO);
    expect_kind(storage_list(st->s, st->a, STR(""), &names, &n), ERR_IO);
    fault_clear();
    store_expect(st, "f", "old");
    assert_true(fault_set(STR("storage_full=always")));
    expect_kind(store_commit(st, &put, 1), ERR_FULL);
    fault_clear();
    store_expect(st, "f", "old");
    store_put(st, "f", "older"); /* a full disk is no reason to stop */
    assert_true(fault_set(STR("storage_fsync=always")));
    expect_kind(store_commit(st, &put, 1), ERR_IO);
    fault_clear();
    expect_kind(store_commit(st, &put, 1), ERR_IO); /* a failed fsync is */
    store_reopen(st);
    store_put(st, "f", "newest");
    store_expect(st, "f", "newest");
}
#endif

static void test_caps(void **state)
{
    struct store *st = *state;
    const struct storage_caps *caps = &st->s->caps;
    assert_int_equal(caps->transactional, !is_file(st));
    assert_int_equal(caps->blocking, st->dir[0] != '\0');
    assert_int_equal(caps->has_lock, st->s->ops->lock_acquire != NULL);
    assert_true(caps->value_bytes_max >= 32 << 20);
    assert_string_equal(st->s->ops->type, st->type);
}

static void test_unknown_type(void **state UNUSED)
{
    struct arena *a = arena_new(0);
    struct config_block block = {.type = STR("floppy")};
    struct storage *s;
    struct error *e = storage_open(a, &block, &s);
    expect_kind(e, ERR_BAD_REQUEST);
    assert_true(str_eq(e->text, STR("Unknown storage type floppy")));
    arena_free(a);
}

static int open_one(void **state)
{
    const char *type = *state;
    struct store *st = malloc(sizeof *st);
    store_open(st, type);
    *state = st;
    return 0;
}

static int close_one(void **state)
{
    store_close(*state);
    free(*state);
    return 0;
}

static const struct {
    const char *name;
    CMUnitTestFunction fn;
} rules[] = {
    {"absent", test_absent},
    {"put_get_delete", test_put_get_delete},
    {"listing", test_listing},
    {"odd_keys", test_odd_keys},
    {"long_names", test_long_names},
    {"trailing_slash", test_trailing_slash},
    {"values", test_values},
    {"batch_order", test_batch_order},
    {"limits", test_limits},
    {"big_folder", test_big_folder},
    {"reopen", test_reopen},
    {"second_server", test_second_server},
    {"model", test_model},
    {"concurrent", test_concurrent},
#ifdef COFFER_FAULTS
    {"faults", test_faults},
#endif
    {"caps", test_caps},
};

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(types) * COUNT_OF(rules) + 1];
    char names[COUNT_OF(types) * COUNT_OF(rules)][48];
    size_t n = 0;
    for (size_t t = 0; t < COUNT_OF(types); t++)
        for (size_t r = 0; r < COUNT_OF(rules); r++, n++) {
            snprintf(names[n], sizeof names[n], "%s: %s", types[t], rules[r].name);
            tests[n] =
                (struct CMUnitTest){names[n], rules[r].fn, open_one, close_one, (void *)(uintptr_t)types[t]};
        }
    tests[n] = (struct CMUnitTest)cmocka_unit_test(test_unknown_type);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
