/* The layout of the file store, and what it does when the disk fails. */
#include "stores.h"
#include "syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *in_store(struct store *st, const char *name)
{
    return arena_cstr(st->a, arena_fmt(st->a, "%s/%s", st->dir, name));
}

static void expect_file(struct store *st, const char *name, const char *content)
{
    char text[256];
    int fd = open(in_store(st, name), O_RDONLY);
    if (!content) {
        assert_int_equal(fd, -1);
        return;
    }
    assert_true(fd >= 0);
    ssize_t n = read(fd, text, sizeof text - 1);
    assert_true(n >= 0);
    text[n] = '\0';
    assert_string_equal(text, content);
    struct stat sb;
    assert_int_equal(fstat(fd, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    close(fd);
}

static void write_file(struct store *st, const char *name, const char *content)
{
    int fd = open(in_store(st, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
}

static void test_layout(void **state UNUSED)
{
    struct store st;
    store_open(&st, "file");
    store_put(&st, "a/b/c", "value");
    store_put(&st, "a/b", "folder and leaf");
    store_put(&st, "top", "");
    store_put(&st, "x//y/./z/", "cleaned");
    expect_file(&st, "a/b/_c", "{\"Value\":\"dmFsdWU=\"}\n");
    expect_file(&st, "a/_b", "{\"Value\":\"Zm9sZGVyIGFuZCBsZWFm\"}\n");
    expect_file(&st, "_top", "{\"Value\":\"\"}\n");
    expect_file(&st, "x/y/_z", "{\"Value\":\"Y2xlYW5lZA==\"}\n");
    store_expect(&st, "x/y/z", "cleaned");
    struct stat sb;
    assert_int_equal(stat(in_store(&st, "a/b"), &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0700);
    store_delete(&st, "a/b/c");
    assert_int_equal(access(in_store(&st, "a/b"), F_OK), -1);
    store_delete(&st, "a/b");
    assert_int_equal(access(in_store(&st, "a"), F_OK), -1);
    store_delete(&st, "x/y/z");
    assert_int_equal(access(in_store(&st, "x"), F_OK), -1);
    store_close(&st);
}

/* Files as others write them. */
static void test_foreign(void **state UNUSED)
{
    struct store st;
    store_open(&st, "file");
    assert_int_equal(mkdir(in_store(&st, "d"), 0700), 0);
    write_file(&st, "d/_spaced", " {\"Key\": \"d/x\", \"value\" : \"dmFsdWU=\" } ");
    write_file(&st, "d/_empty", "");
    write_file(&st, "d/_null", "{\"Value\":null}\n");
    write_file(&st, "d/_x.temp", "{\"Value\":\"dmFsdWU=\"}\n");
    write_file(&st, "d/plain", "not an entry");
    write_file(&st, "d/_plain", "{\"Value\":\"dmFsdWU=\"}\n");
    store_expect(&st, "d/spaced", "value");
    store_expect(&st, "d/empty", NULL);
    store_expect(&st, "d/null", "");
    store_expect_list(&st, "d/", "empty|null|plain|spaced|x.temp");
    static const char *const damaged[] = {"{", "[]", "{\"Value\":5}", "{\"Value\":\"?\"}",
                                          "{\"Value\":\"dmFsdWU\"}"};
    for (size_t i = 0; i < COUNT_OF(damaged); i++) {
        bytes value;
        write_file(&st, "d/_bad", damaged[i]);
        struct error *e = storage_get(st.s, st.a, STR("d/bad"), &value);
        expect_kind(e, ERR_INTERNAL);
        assert_true(str_find(e->text, STR("d/bad")) < e->text.n);
    }
    store_close(&st);
}

static void test_parent_references(void **state UNUSED)
{
    struct store st;
    store_open(&st, "file");
    static const char *const paths[] = {"..", "a/../b", "a..b", "a/b.."};
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        bytes value;
        struct storage_put put = {str_from_cstr(paths[i]), bytes_from_str(STR("v")), false};
        expect_kind(store_commit(&st, &put, 1), ERR_INTERNAL);
        struct error *e = storage_get(st.s, st.a, put.path, &value);
        expect_kind(e, ERR_INTERNAL);
        assert_true(str_eq(e->text, STR("path cannot contain parent references")));
    }
    str *names;
    size_t n;
    expect_kind(storage_list(st.s, st.a, STR("a/../"), &names, &n), ERR_INTERNAL);
    struct storage_put put = {STR("a\0b"), bytes_from_str(STR("v")), false};
    expect_kind(store_commit(&st, &put, 1), ERR_INTERNAL);
    put.path = STR("./");
    expect_kind(store_commit(&st, &put, 1), ERR_INTERNAL);
    store_close(&st);
}

/* "c" is the file _c, and so is the folder of "_c/x": the second comer is refused, alone or together, and
 * nothing changes. */
static void test_clash(void **state UNUSED)
{
    struct store st;
    store_open(&st, "file");
    bytes v = bytes_from_str(STR("v"));
    struct storage_put both[] = {{STR("p"), v, false}, {STR("d/c"), v, false}, {STR("d/_c/x"), v, false}};
    struct storage_put turned[] = {both[0], both[2], both[1]};
    expect_kind(store_commit(&st, both, 3), ERR_INTERNAL);
    expect_kind(store_commit(&st, turned, 3), ERR_INTERNAL);
    store_expect_list(&st, "", "");
    expect_ok(store_commit(&st, both, 2));
    expect_kind(store_commit(&st, &both[2], 1), ERR_INTERNAL);
    store_expect(&st, "d/_c/x", NULL);
    store_delete(&st, "d/_c/x");
    store_delete(&st, "d/c");
    store_put(&st, "d/_c/x", "v");
    store_expect(&st, "d/c", NULL);
    expect_kind(store_commit(&st, &both[1], 1), ERR_INTERNAL);
    store_expect_list(&st, "d/", "_c/");
    store_close(&st);
}

static void test_leftovers(void **state UNUSED)
{
    struct store st;
    store_open(&st, "file");
    store_put(&st, "kept", "v");
    write_file(&st, ".coffer-temp-3", "half an ent");
    store_expect_list(&st, "", "kept");
    store_reopen(&st);
    expect_file(&st, ".coffer-temp-3", NULL);
    store_expect_list(&st, "", "kept");
    store_close(&st);
}

static void test_bad_paths(void **state UNUSED)
{
    struct store st;
    store_open(&st, "file");
    write_file(&st, "plain", "x");
    struct storage *s;
    struct config_pair pair = {STR("path"), {0}};
    struct config_block block = {STR("file"), &pair, 1};
    struct error *e = storage_open(st.a, &block, &s);
    expect_kind(e, ERR_BAD_REQUEST);
    assert_true(str_eq(e->text, STR("'path' must be set")));
    pair.value = str_from_cstr(in_store(&st, "plain/below"));
    expect_kind(storage_open(st.a, &block, &s), ERR_INTERNAL);
    pair.value = str_from_cstr(in_store(&st, "made//deeply/"));
    expect_ok(storage_open(st.a, &block, &s));
    storage_close(s);
    store_close(&st);
}

/* Entry i of a batch is old or new; nothing after an old one is new. */
static const char *const order[] = {"new/dir/x", "top", "gone/only", "again", "new/dir/y", "again"};
static const char *const old_values[] = {NULL, "old", "old", NULL, NULL, NULL};
static const char *const new_values[] = {"new", "new", NULL, NULL, "new", "newer"};

static bool entry_is(struct store *st, size_t i, const char *wanted)
{
    bytes value;
    expect_ok(storage_get(st->s, st->a, str_from_cstr(order[i]), &value));
    return wanted ? value.p && str_eq(str_from_bytes(value), str_from_cstr(wanted)) : !value.p;
}

static void expect_prefix(struct store *st, bool *ret_all_old, bool *ret_all_new)
{
    bool is_new[6];
    for (size_t i = 0; i < 6; i++) {
        is_new[i] = entry_is(st, i, new_values[i]);
        if (i != 3)
            assert_true(is_new[i] || entry_is(st, i, old_values[i]) || entry_is(st, 3, "first"));
    }
    is_new[3] = entry_is(st, 3, "first") || is_new[5];
    static const size_t in_order[] = {0, 1, 2, 3, 4, 5};
    for (size_t i = 1; i < 6; i++)
        assert_true(!is_new[in_order[i]] || is_new[in_order[i - 1]]);
    *ret_all_old = !is_new[0];
    *ret_all_new = is_new[5];
}

static void torture(unsigned n, int os_errno, bool for_good, bool *ret_fired)
{
    struct store st;
    store_open(&st, "file");
    store_put(&st, "top", "old");
    store_put(&st, "gone/only", "old");
    struct storage_put puts[6];
    for (size_t i = 0; i < 6; i++)
        puts[i] = (struct storage_put){str_from_cstr(order[i]), bytes_from_str(str_from_cstr(new_values[i])),
                                       i == 2};
    puts[3].value = bytes_from_str(STR("first"));
    bool all_old, all_new;
    syscalls_fail(n, os_errno, for_good);
    struct error *e = store_commit(&st, puts, 6);
    *ret_fired = syscalls_end();
    assert_int_equal(e != NULL, *ret_fired);
    if (e && e->kind == ERR_IO)
        store_reopen(&st);
    expect_prefix(&st, &all_old, &all_new);
    if (!e)
        assert_true(all_new);
    else if (e->kind != ERR_IO) {
        assert_true(all_old);
        assert_true(os_errno == ENOSPC);
        expect_kind(e, ERR_FULL);
        store_expect_list(&st, "", "gone/|top");
    }
    expect_ok(store_commit(&st, puts, 6));
    expect_prefix(&st, &all_old, &all_new);
    assert_true(all_new);
    store_close(&st);
}

static void test_torture(void **state UNUSED)
{
    static const int errnos[] = {ENOSPC, EIO};
    for (size_t k = 0; k < 4; k++) {
        bool fired = true;
        unsigned n = 0;
        while (fired)
            torture(++n, errnos[k / 2], k & 1, &fired);
        assert_true(n > 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_parent_references),
        cmocka_unit_test(test_clash),
        cmocka_unit_test(test_leftovers),
        cmocka_unit_test(test_bad_paths),
        cmocka_unit_test(test_torture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
