/* The SQLite store: its file, other users of the file, and what it does when the disk fails. */
#include "stores.h"
#include "syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *in_store(struct store *st, const char *name)
{
    return arena_cstr(st->a, arena_fmt(st->a, "%s/%s", st->dir, name));
}

static off_t size_of(struct store *st, const char *name)
{
    struct stat sb;
    assert_int_equal(stat(in_store(st, name), &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    return sb.st_size;
}

static void sql(struct store *st, const char *text)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(in_store(st, "coffer.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void test_file(void **state UNUSED)
{
    struct store st;
    mode_t mask = umask(0);
    store_open(&st, "sqlite");
    store_put(&st, "core/x", "v");
    size_of(&st, "coffer.db");
    size_of(&st, "coffer.db-wal");
    size_of(&st, "coffer.db-shm");
    sql(&st, "insert into kv values (cast('core/y' as blob), cast('by hand' as blob))");
    store_expect(&st, "core/y", "by hand");
    /* a path that ends in .db is the file itself */
    struct config_pair pair = {STR("path"), str_from_cstr(in_store(&st, "sub/other.db"))};
    struct config_block block = {STR("sqlite"), &pair, 1};
    struct storage *s;
    expect_ok(storage_open(st.a, &block, &s));
    storage_close(s);
    assert_true(size_of(&st, "sub/other.db") > 0);
    struct stat sb;
    assert_int_equal(stat(in_store(&st, "sub"), &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0700);
    pair.value = (str){0};
    expect_kind(storage_open(st.a, &block, &s), ERR_BAD_REQUEST);
    umask(mask);
    store_close(&st);
}

static void expect_refused(struct store *st, const char *text)
{
    struct storage *s;
    struct error *e = store_try_open(st, &s);
    expect_kind(e, ERR_INTERNAL);
    assert_true(str_find(e->text, str_from_cstr(text)) < e->text.n);
    assert_true(str_find(e->text, str_from_cstr(in_store(st, "coffer.db"))) < e->text.n);
}

static void overwrite(struct store *st, off_t at, const char *text, size_t n)
{
    int fd = open(in_store(st, "coffer.db"), O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, text, n, at), n);
    close(fd);
}

static void test_damaged(void **state UNUSED)
{
    struct store st;
    store_open(&st, "sqlite");
    for (unsigned i = 0; i < 500; i++) {
        char path[32];
        snprintf(path, sizeof path, "entry/%u", i);
        store_put(&st, path, path);
    }
    storage_close(st.s);
    st.s = NULL;
    char noise[4096];
    memset(noise, 0xa5, sizeof noise);
    off_t n = size_of(&st, "coffer.db");
    for (off_t at = 4096; at < n; at += 4096) /* all but the header */
        overwrite(&st, at, noise, sizeof noise);
    expect_ok(store_try_open(&st, &st.s));
    bytes value;
    struct error *e = storage_get(st.s, st.a, STR("entry/7"), &value);
    expect_kind(e, ERR_INTERNAL);
    assert_true(str_find(e->text, STR("coffer.db is damaged")) < e->text.n);
    str *names;
    size_t count;
    expect_kind(storage_list(st.s, st.a, STR(""), &names, &count), ERR_INTERNAL);
    struct storage_put put = {STR("x"), bytes_from_str(STR("v")), false};
    expect_kind(store_commit(&st, &put, 1), ERR_INTERNAL);
    storage_close(st.s);
    st.s = NULL;
    overwrite(&st, 0, noise, 100);
    expect_refused(&st, "is damaged");
    expect_refused(&st, "is damaged"); /* the refusal has let go of the lock: the same answer again */
    assert_int_equal(unlink(in_store(&st, "coffer.db")), 0);
    expect_ok(store_try_open(&st, &st.s));
    store_close(&st);
}

static void test_newer_format(void **state UNUSED)
{
    struct store st;
    store_open(&st, "sqlite");
    storage_close(st.s);
    st.s = NULL;
    sql(&st, "pragma user_version = 2");
    expect_refused(&st, "format version 2");
    sql(&st, "pragma user_version = 1");
    expect_ok(store_try_open(&st, &st.s));
    store_close(&st);
}

/* Another program reads or writes the file: reading harms nobody, a held write lock ends in ERR_BUSY after
 * five seconds. */
static void test_other_users(void **state UNUSED)
{
    struct store st;
    store_open(&st, "sqlite");
    store_put(&st, "x", "1");
    sqlite3 *db;
    assert_int_equal(sqlite3_open(in_store(&st, "coffer.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "begin; select * from kv", NULL, NULL, NULL), SQLITE_OK);
    store_put(&st, "x", "2");
    assert_int_equal(sqlite3_exec(db, "commit; begin immediate", NULL, NULL, NULL), SQLITE_OK);
    struct storage_put put = {STR("x"), bytes_from_str(STR("3")), false};
    struct error *e = store_commit(&st, &put, 1);
    expect_kind(e, ERR_BUSY);
    store_expect(&st, "x", "2");
    assert_int_equal(sqlite3_exec(db, "commit", NULL, NULL, NULL), SQLITE_OK);
    store_put(&st, "x", "3");
    sqlite3_close(db);
    store_close(&st);
}

static void put_large(struct store *st, unsigned commits)
{
    char value[3000];
    memset(value, 'v', sizeof value);
    struct storage_put puts[40];
    for (unsigned i = 0; i < COUNT_OF(puts); i++)
        puts[i] =
            (struct storage_put){arena_fmt(st->a, "large/%u", i), {(uint8_t *)value, sizeof value}, false};
    for (unsigned i = 0; i < commits; i++)
        expect_ok(store_commit(st, puts, COUNT_OF(puts)));
}

static void test_checkpoint(void **state UNUSED)
{
    struct store st;
    store_open(&st, "sqlite");
    put_large(&st, 100);
    assert_in_range(size_of(&st, "coffer.db-wal"), 1, 6 << 20);
    /* a reader that stays keeps the log from beginning anew; once it is gone the log shrinks */
    sqlite3 *db;
    assert_int_equal(sqlite3_open(in_store(&st, "coffer.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "begin; select * from kv", NULL, NULL, NULL), SQLITE_OK);
    put_large(&st, 100);
    off_t grown = size_of(&st, "coffer.db-wal");
    assert_true(grown > 16 << 20);
    sqlite3_close(db);
    put_large(&st, 50);
    assert_true(size_of(&st, "coffer.db-wal") <= 16 << 20);
    storage_close(st.s);
    st.s = NULL;
    assert_int_equal(access(in_store(&st, "coffer.db-wal"), F_OK), -1);
    expect_ok(store_try_open(&st, &st.s));
    store_close(&st);
}

/* The n-th system call of a commit fails: all or nothing, whatever the answer says. */
static void expect_all(struct store *st, unsigned entries, char wanted[2])
{
    wanted[0] = '\0';
    for (unsigned i = 0; i < entries; i++) {
        bytes value;
        expect_ok(storage_get(st->s, st->a, arena_fmt(st->a, "t/%u", i), &value));
        assert_non_null(value.p);
        if (i == 0)
            wanted[0] = (char)value.p[0];
        assert_int_equal(value.p[0], wanted[0]);
    }
}

static struct error *write_all(struct store *st, unsigned entries, char c)
{
    struct storage_put *puts = ARENA_ARRAY(st->a, struct storage_put, entries);
    char value[4000];
    memset(value, c, sizeof value);
    for (unsigned i = 0; i < entries; i++)
        puts[i] = (struct storage_put){arena_fmt(st->a, "t/%u", i), {(uint8_t *)value, sizeof value}, false};
    return store_commit(st, puts, entries);
}

static bool torture(unsigned entries, unsigned n, int os_errno, bool for_good)
{
    struct store st;
    char seen[2];
    store_open(&st, "sqlite");
    expect_ok(write_all(&st, entries, 'a'));
    syscalls_fail(n, os_errno, for_good);
    struct error *e = write_all(&st, entries, 'b');
    bool fired = syscalls_end();
    if (e && os_errno != EIO && e->kind != ERR_IO) {
        expect_kind(e, ERR_FULL);
        expect_all(&st, entries, seen);
        assert_int_equal(seen[0], 'a');
        expect_ok(write_all(&st, entries, 'a')); /* later ones may succeed */
        expect_all(&st, entries, seen);
        assert_int_equal(seen[0], 'a');
    } else if (e) {
        expect_kind(e, ERR_IO);
        expect_kind(write_all(&st, entries, 'c'), ERR_IO);
    } else if (st.s->failed) { /* durable, but the checkpoint after it failed */
        expect_kind(write_all(&st, entries, 'c'), ERR_IO);
    }
    store_reopen(&st);
    expect_all(&st, entries, seen);
    assert_true(e ? seen[0] == 'a' || seen[0] == 'b' : seen[0] == 'b');
    expect_ok(write_all(&st, entries, 'd'));
    expect_all(&st, entries, seen);
    assert_int_equal(seen[0], 'd');
    store_close(&st);
    return fired;
}

static void test_torture(void **state UNUSED)
{
    static const struct {
        unsigned entries, step; /* the large ones end in a checkpoint */
    } sizes[] = {{3, 1}, {600, 397}};
    static const int errnos[] = {ENOSPC, EDQUOT, EIO};
    for (size_t s = 0; s < COUNT_OF(sizes); s++)
        for (size_t k = 0; k < 2 * COUNT_OF(errnos); k++)
            for (unsigned n = 1; torture(sizes[s].entries, n, errnos[k / 2], k & 1); n += sizes[s].step)
                ;
}

int main(void)
{
    syscalls_into_sqlite();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),         cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_newer_format), cmocka_unit_test(test_other_users),
        cmocka_unit_test(test_checkpoint),   cmocka_unit_test(test_torture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
