#include "stores.h"

#include "base/buf.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void expect_ok_at(const struct error *e, const char *file, int line)
{
    if (e) {
        print_error("unexpected error: %.*s\n", PSTR(e->text));
        _fail(file, line);
    }
}

void expect_kind_at(const struct error *e, enum err_kind kind, const char *file, int line)
{
    if (e && e->kind == kind)
        return;
    if (e)
        print_error("error of kind %d, not %d: %.*s\n", (int)e->kind, (int)kind, PSTR(e->text));
    else
        print_error("no error, kind %d expected\n", (int)kind);
    _fail(file, line);
}

struct error *store_try_open(struct store *st, struct storage **ret_s)
{
    struct config_pair pair = {STR("path"), str_from_cstr(st->dir)};
    struct config_block block = {str_from_cstr(st->type), &pair, st->dir[0] ? 1 : 0};
    return storage_open(st->a, &block, ret_s);
}

void store_open(struct store *st, const char *type)
{
    *st = (struct store){.type = type, .a = arena_new(0)};
    if (strncmp(type, "inmem", 5) != 0) {
        memcpy(st->dir, "store-XXXXXX", sizeof "store-XXXXXX");
        assert_non_null(mkdtemp(st->dir));
    }
    expect_ok(store_try_open(st, &st->s));
}

void store_reopen(struct store *st)
{
    if (st->dir[0]) {
        storage_close(st->s);
        st->s = NULL;
        expect_ok(store_try_open(st, &st->s));
    } else {
        struct storage *second = storage_inmem_share(st->s);
        storage_close(st->s);
        st->s = second;
    }
}

static int remove_one(const char *path, const struct stat *sb UNUSED, int flag UNUSED, struct FTW *ftw UNUSED)
{
    return remove(path);
}

void store_close(struct store *st)
{
    storage_close(st->s);
    if (st->dir[0])
        assert_int_equal(nftw(st->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    arena_free(st->a);
}

struct error *store_commit(struct store *st, struct storage_put *puts, size_t n)
{
    struct storage_batch batch = {puts, n, NULL};
    return storage_commit(st->s, st->a, &batch);
}

void store_put(struct store *st, const char *path, const char *value)
{
    struct storage_put put = {str_from_cstr(path), bytes_from_str(str_from_cstr(value)), false};
    expect_ok(store_commit(st, &put, 1));
}

void store_delete(struct store *st, const char *path)
{
    struct storage_put put = {.path = str_from_cstr(path), .deletes = true};
    expect_ok(store_commit(st, &put, 1));
}

void store_expect(struct store *st, const char *path, const char *value)
{
    bytes got;
    expect_ok(storage_get(st->s, st->a, str_from_cstr(path), &got));
    if (!value) {
        assert_null(got.p);
    } else {
        assert_non_null(got.p);
        assert_string_equal(arena_cstr(st->a, str_from_bytes(got)), value);
    }
}

void store_expect_list(struct store *st, const char *prefix, const char *names)
{
    str *got;
    size_t n;
    expect_ok(storage_list(st->s, st->a, str_from_cstr(prefix), &got, &n));
    struct buf text;
    buf_init(&text, st->a, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_put_byte(&text, '|');
        buf_put_str(&text, got[i]);
    }
    assert_string_equal(arena_cstr(st->a, buf_str(&text)), names);
}
