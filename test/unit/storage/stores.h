/* stores: a store of each type in a fresh directory, and assertions about what is in it. */
#pragma once
#include "storage/storage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four above */
#include <cmocka.h>

struct store {
    const char *type;
    char dir[32]; /* below the working directory; "" for a store in memory */
    struct arena *a;
    struct storage *s;
};

void store_open(struct store *st, const char *type);
void store_reopen(struct store *st); /* a store in memory: through a second handle */
void store_close(struct store *st);  /* the directory goes too */
struct error *store_try_open(struct store *st, struct storage **ret_s);

struct error *store_commit(struct store *st, struct storage_put *puts, size_t n);
void store_put(struct store *st, const char *path, const char *value);
void store_delete(struct store *st, const char *path);
void store_expect(struct store *st, const char *path, const char *value);        /* NULL: absent */
void store_expect_list(struct store *st, const char *prefix, const char *names); /* "a b/ c" joined by '|' */

#define expect_ok(e) expect_ok_at((e), __FILE__, __LINE__)
void expect_ok_at(const struct error *e, const char *file, int line);
#define expect_kind(e, k) expect_kind_at((e), (k), __FILE__, __LINE__)
void expect_kind_at(const struct error *e, enum err_kind kind, const char *file, int line);
