#include "core/active_private.h"
#include "core/stored.h"
#include "harness.h"

/* ---- finding ---- */

static void finds(void **state)
{
    (void)state;
    static const struct mount mounts[] = {
        /* sorted */
        {.path = STR("a/")},        {.path = STR("a/b/c/")},  {.path = STR("a/b0/")},
        {.path = STR("a0/")},       {.path = STR("auth/b/")}, {.path = STR("sec/")},
        {.path = STR("secret-2/")}, {.path = STR("secret/")}, {.path = STR("secrets/")},
        {.path = STR("\xc3\xa9/")},
    };
    static const struct {
        const char *path, *mount;
    } table[] = {
        {"a/x", "a/"},
        {"a", "a/"}, /* bare: without the slash */
        {"a/", "a/"},
        {"a/b", "a/"},
        {"a/b/", "a/"},
        {"a/b/c", "a/b/c/"},
        {"a/b/c/", "a/b/c/"},
        {"a/b/c/d/e", "a/b/c/"},
        {"a/b/cc", "a/"},
        {"a/b0", "a/b0/"},
        {"a/b00", "a/"},
        {"a0", "a0/"},
        {"a00", NULL},
        {"auth/b/login", "auth/b/"},
        {"auth", NULL},
        {"auth/", NULL},
        {"sec", "sec/"},
        {"secr", NULL},
        {"secret", "secret/"},
        {"secret-2", "secret-2/"},
        {"secret-", NULL},
        {"secret/secret-2/x", "secret/"},
        {"secrets/x//", "secrets/"},
        {"\xc3\xa9", "\xc3\xa9/"},
        {"A/x", NULL},
        {"/a/x", NULL},
        {"/", NULL},
        {"", NULL},
    };
    struct mount_table t = {mounts, COUNT_OF(mounts)}, none = {0};

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const struct mount *m = mount_find(&t, str_from_cstr(table[i].path));

        if (!m != !table[i].mount || (m && !str_eq(m->path, str_from_cstr(table[i].mount)))) {
            print_error("%s: %.*s\n", table[i].path, m ? (int)m->path.n : 4, m ? m->path.p : "none");
            assert_true(false);
        }
        assert_null(mount_find(&none, str_from_cstr(table[i].path)));
    }
}

/* ---- stored forms ---- */

#define TABLE "{\"type\":\"mounts\",\"entries\":[]}\n"
#define GZIP_HEX                                                                                             \
    "1f8b0800000000000203ab562aa92c4855b252cacd2fcd2b2956d2514acd2b29ca4c2d56b28a8eade50200565328b41f000000"
#define SNAPPY_HEAD  "ff060000 734e61507059" /* the stream's name */
#define SNAPPY_CLEAR "01230000 db11a92d 7b2274797065223a226d6f756e7473222c22656e7472696573223a5b5d7d0a"
#define SNAPPY_SHORT "000d0000 acd1f6b4 100c616263642e0400" /* abcdabcdabcdabcd, compressed */

static uint32_t crc32c_masked(str s)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < s.n; i++) {
        crc ^= (uint8_t)s.p[i];
        for (int k = 0; k < 8; k++)
            crc = crc & 1 ? crc >> 1 ^ UINT32_C(0x82f63b78) : crc >> 1;
    }
    return ((~crc >> 15 | ~crc << 17) + UINT32_C(0xa282ead8)) & UINT32_MAX;
}

static void unpacks(void **state)
{
    (void)state;
    static const struct {
        const char *hex, *clear;
    } forms[] = {
        {"", ""},
        {"7b7d", "{}"},
        {"0a 04", "\n\4"}, /* protobuf */
        {"47" GZIP_HEX, TABLE},
        {"47" GZIP_HEX "00", TABLE}, /* what follows the stream is not looked at */
        {"53" SNAPPY_HEAD, ""},
        {"53" SNAPPY_HEAD SNAPPY_CLEAR, TABLE},
        {"53" SNAPPY_HEAD SNAPPY_SHORT, "abcdabcdabcdabcd"},
        {"53" SNAPPY_HEAD SNAPPY_SHORT "fe030000 000000"
         "80010000 ff" SNAPPY_HEAD SNAPPY_SHORT, /* padding; a chunk that may be skipped */
         "abcdabcdabcdabcdabcdabcdabcdabcd"},
    };
    struct arena *a = arena_new(0);
    bytes clear;

    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        assert_ok(stored_unpack(a, STR("core/mounts"), unhex(a, forms[i].hex), &clear));
        assert_str(str_from_bytes(clear), forms[i].clear);
    }
    bytes packed = stored_gzip(a, bytes_from_str(STR(TABLE)));

    assert_memory_equal(packed.p, "G\x1f\x8b", 3);
    assert_ok(stored_unpack(a, STR("core/mounts"), packed, &clear));
    assert_str(str_from_bytes(clear), TABLE);
    arena_free(a);
}

static void refuses_damaged_forms(void **state)
{
    (void)state;
    static const char *const damaged[] = {
        "47",                                        /* no stream */
        "47 1f8b0800000000000203",                   /* cut off */
        "47 1f8b0800000000000203ab562aa92c4855b252", /* cut off */
        "47 7b7d",
        "53" SNAPPY_HEAD "01",
        "53" SNAPPY_HEAD "01230000",
        "53" SNAPPY_HEAD "01230000 db11a92d 7b22",
        "53" SNAPPY_HEAD "01030000 000000",                      /* no room for the checksum */
        "53" SNAPPY_HEAD "01050000 db11a92d 7b",                 /* another checksum */
        "53" SNAPPY_HEAD "000d0000 acd1f6b4 100c616263642e0500", /* copies from before the beginning */
        "53" SNAPPY_HEAD "000d0000 acd1f6b4 ffffffff0f616263 64",
        "53" SNAPPY_HEAD "02010000 00", /* a chunk that may not be skipped */
        "53 ff060000 734e61507000",     /* another name */
        "53 ff050000 734e615070",
    };
    struct arena *a = arena_new(0);
    bytes clear, gz = unhex(a, "47" GZIP_HEX);

    for (size_t i = 0; i < COUNT_OF(damaged); i++)
        assert_error(stored_unpack(a, STR("core/auth"), unhex(a, damaged[i]), &clear), ERR_INTERNAL,
                     "the stored entry core/auth cannot be decompressed");
    for (size_t bit = 8 * 11; bit < 8 * gz.n;
         bit++) { /* after the header: all of it is under the checksum, or is it */
        uint8_t *p = arena_copy(a, gz.p, gz.n);

        p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct error *e = stored_unpack(a, STR("core/auth"), (bytes){p, gz.n}, &clear);

        assert_true(e || str_eq(str_from_bytes(clear), STR(TABLE)));
    }
    assert_error(stored_unpack(a, STR("x"), unhex(a, "4c00"), &clear), ERR_INTERNAL,
                 "the stored entry x is compressed in a form that has no known writer");
    assert_error(stored_unpack(a, STR("x"), unhex(a, "34 04224d18"), &clear), ERR_INTERNAL,
                 "the stored entry x is compressed in a form that has no known writer");
    arena_free(a);
}

/* A chunk holds at most 65536 clear bytes: more is no valid stream, whatever it says. */
static void refuses_big_chunks(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    bytes clear, head = unhex(a, "53" SNAPPY_HEAD);

    for (size_t n = 65535; n <= 65537; n++) {
        uint8_t *p = arena_zalloc(a, head.n + 8 + n);
        uint32_t length = (uint32_t)n + 4, crc;

        memcpy(p, head.p, head.n);
        p[head.n] = 1;
        memcpy(p + head.n + 1, &length, 3);
        crc = crc32c_masked((str){(char *)p + head.n + 8, n});
        memcpy(p + head.n + 4, &crc, 4);
        struct error *e = stored_unpack(a, STR("x"), (bytes){p, head.n + 8 + n}, &clear);

        assert_int_equal(e == NULL, n <= 65536);
    }
    arena_free(a);
}

/* ---- whole stores ---- */

static struct error *put_plain(struct request *rq, struct response *rs)
{
    const char *const *path_and_text = rq->internal_arg;
    struct view core = txn_view(rq->txn, SPACE_CORE);
    str path = str_from_cstr(path_and_text[0]);

    (void)rs;
    return path_and_text[1] ? view_put(&core, path, bytes_from_str(str_from_cstr(path_and_text[1])))
                            : view_delete(&core, path);
}

/* path below core/; value NULL: deletes */
static void put(struct harness *h, const char *path, const char *value)
{
    assert_ok(active_run(atomic_load(&h->core->active), h->arena, put_plain, (const char *[]){path, value}));
}

struct got {
    struct arena *arena;
    const char *path;
    bytes stored;
    struct json *table;
};

static struct error *get_table(struct request *rq, struct response *rs)
{
    struct got *g = rq->internal_arg;
    struct view core = txn_view(rq->txn, SPACE_CORE);
    struct json *table;

    (void)rs;
    TRY(view_get(&core, str_from_cstr(g->path), &g->stored));
    g->stored = arena_bytes(g->arena, g->stored);
    TRY(stored_table_load(&core, str_from_cstr(g->path), rq->arena, &table));
    g->table = table ? json_copy(g->arena, table) : NULL;
    return NULL;
}

static struct got get(struct harness *h, const char *path)
{
    struct got g = {.arena = h->arena, .path = path};

    assert_ok(active_run(atomic_load(&h->core->active), h->arena, get_table, &g));
    return g;
}

static const struct json *entry_at(const struct json *table, const char *path)
{
    const struct json *list = json_get(table, STR("entries"));

    for (uint32_t i = 0; i < list->n; i++)
        if (str_eq(json_get_str(list->items[i], STR("path")), str_from_cstr(path)))
            return list->items[i];
    return NULL;
}

#define UUID "11111111-2222-3333-4444-555555555555"
#define KEPT                                                                                                 \
    "\"table\":\"mounts\",\"path\":\"plain/"                                                                 \
    "\",\"type\":\"generic\",\"description\":\"<old>\",\"uuid\":\"" UUID "\","
#define KEPT_CONFIG "{\"max_lease_ttl\":7200000000000,\"later\":{\"n\":1.50}}"
#define FOREIGN                                                                                              \
    "{\"table\":\"mounts\",\"path\":\"far/away/"                                                             \
    "\",\"type\":\"galaxy\",\"description\":\"\",\"uuid\":\"x\",\"accessor\":\"galaxy_1\","                  \
    "\"backend_aware_uuid\":\"y\",\"config\":{},\"options\":null,\"local\":false,\"seal_wrap\":false,"       \
    "\"namespace_id\":\"root\",\"f\":1e3}"
#define STORED                                                                                               \
    "{\"type\":\"mounts\",\"future\":[1.10],\"entries\":[{" KEPT "\"config\":" KEPT_CONFIG                   \
    ",\"options\":{\"o\":\"p\"}}," FOREIGN "]}"

/* A table as another server may have written it: plain, with fields and a type that are not known here. */
static void keeps_what_it_does_not_know(void **state)
{
    (void)state;
    struct harness h;

    harness_start(&h, &(struct harness_options){0});
    str system_uuid = json_get_str(entry_at(get(&h, "mounts").table, "sys/"), STR("uuid"));

    put(&h, "mounts", STORED);
    harness_restart(&h);
    struct got g = get(&h, "mounts"); /* completed at opening */

    assert_memory_equal(g.stored.p, "G\x1f\x8b", 3);
    harness_must(&h, 204, OP_UPDATE, "plain/a", "{\"k\":\"v\"}");
    harness_must(&h, 200, OP_READ, "plain/a", NULL);
    assert_str(harness_must(&h, 404, OP_READ, "far/away/x", NULL).error,
               "no handler for route \"far/away/x\". route entry found, but backend is nil.");
    harness_mount(&h, "new", "kv");
    harness_must(&h, 204, OP_DELETE, "sys/mounts/new", NULL);
    g = get(&h, "mounts");
    assert_str(json_text(h.arena, json_get(g.table, STR("future"))), "[1.10]");
    assert_null(entry_at(g.table, "new/"));
    const struct json *kept = entry_at(g.table, "plain/");
    struct json *foreign;

    assert_ok(json_parse(h.arena, STR(FOREIGN), false, &foreign));
    assert_true(json_eq(entry_at(g.table, "far/away/"), foreign));
    assert_str(json_get_str(kept, STR("type")), "generic");
    assert_str(json_get_str(kept, STR("description")), "<old>");
    assert_str(json_get_str(kept, STR("uuid")), UUID);
    assert_str(json_text(h.arena, json_get(kept, STR("config"))),
               "{\"later\":{\"n\":1.50},\"max_lease_ttl\":7200000000000}");
    assert_str(json_text(h.arena, json_get(kept, STR("options"))), "{\"o\":\"p\"}");
    assert_true(str_starts(json_get_str(kept, STR("accessor")), STR("generic_"))); /* was missing */
    assert_str(json_get_str(kept, STR("namespace_id")), "root");
    assert_int_equal(json_get_str(kept, STR("backend_aware_uuid")).n, UUID_TEXT_BYTES);
    const struct json *system = entry_at(g.table, "sys/"); /* was missing too: made anew */

    assert_false(str_eq(json_get_str(system, STR("uuid")), system_uuid));
    assert_true(json_get_bool(system, STR("seal_wrap")));
    assert_non_null(entry_at(g.table, "identity/"));
    harness_stop(&h);
}

static size_t count_below(struct harness *h, const char *folder)
{
    str *names;
    size_t n;

    assert_ok(storage_list(h->storage, h->arena, str_from_cstr(folder), &names, &n));
    return n;
}

#define SPLIT "{" KEPT "\"config\":" KEPT_CONFIG ",\"options\":null,\"novel\":[1e3]}"

/* A store that has an entry of each mount instead of tables keeps that form. */
static void keeps_one_entry_per_mount(void **state)
{
    (void)state;
    static const char *const tables[] = {"mounts", "local-mounts", "auth", "local-auth"};
    struct harness h;
    bytes got;

    harness_start(&h, &(struct harness_options){0});
    for (size_t i = 0; i < COUNT_OF(tables); i++)
        put(&h, tables[i], NULL);
    put(&h, "mounts/" UUID, SPLIT);
    harness_restart(&h);
    assert_int_equal(count_below(&h, "core/mounts/"), 3); /* with sys/ and identity/ */
    assert_int_equal(count_below(&h, "core/local-mounts/"), 1);
    assert_int_equal(count_below(&h, "core/auth/"), 1);
    harness_must(&h, 204, OP_UPDATE, "plain/a", "{\"k\":\"v\"}");
    harness_mount(&h, "new", "kv");
    assert_int_equal(count_below(&h, "core/mounts/"), 4);
    harness_restart(&h);
    harness_must(&h, 200, OP_READ, "plain/a", NULL);
    harness_must(&h, 204, OP_DELETE, "sys/mounts/new", NULL);
    assert_int_equal(count_below(&h, "core/mounts/"), 3);
    const struct json *kept = get(&h, "mounts/" UUID).table; /* one entry, read as it is */

    assert_str(json_text(h.arena, json_get(kept, STR("novel"))), "[1e3]");
    assert_str(json_get_str(kept, STR("description")), "<old>");
    assert_true(str_starts(json_get_str(kept, STR("accessor")), STR("generic_")));
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        assert_ok(storage_get(h.storage, h.arena, arena_fmt(h.arena, "core/%s", tables[i]), &got));
        assert_null(got.p);
    }
    harness_stop(&h);
}

/* Every one of these stops the opening, and nothing is written. */
static void refuses_tables(void **state)
{
    (void)state;
    static const struct {
        const char *path, *value; /* below core/ */
        const char *without;      /* removed first */
        const char *error;
    } bad[] = {
        {"mounts/" UUID, "{}", "mounts", "core/mounts/" UUID " is no entry of a mount table"},
        {"local-auth/" UUID, "[]", "local-auth", "core/local-auth/" UUID " is no entry of a mount table"},
        {"mounts", "G\x1f\x8b", NULL, "the stored entry core/mounts cannot be decompressed"},
        {"auth", "[]", NULL, "the stored entry core/auth is no table"},
        {"auth", "{\"entries\":", NULL, "the stored entry core/auth is not valid JSON"},
        {"local-mounts", "{\"entries\":\"x\"}", NULL, "core/local-mounts: \"entries\" is no list"},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct harness h;
        bytes before, after;

        harness_start(&h, &(struct harness_options){0});
        if (bad[i].without)
            put(&h, bad[i].without, NULL);
        put(&h, bad[i].path, bad[i].value);
        str touched = arena_fmt(h.arena, "core/%s", bad[i].without ? bad[i].without : bad[i].path);

        core_seal(h.core);
        assert_ok(storage_get(h.storage, h.arena, touched, &before));
        assert_str(harness_must(&h, 500, OP_UPDATE, "sys/unseal",
                                arena_fmt(h.arena, "{\"key\":\"%.*s\"}", PSTR(h.key)).p)
                       .error,
                   bad[i].error);
        assert_int_equal(core_state(h.core), CORE_SEALED);
        assert_ok(storage_get(h.storage, h.arena, touched, &after));
        assert_int_equal(!before.p, bad[i].without != NULL);
        assert_true(str_eq(str_from_bytes(before), str_from_bytes(after)));
        harness_stop(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds),
        cmocka_unit_test(unpacks),
        cmocka_unit_test(refuses_damaged_forms),
        cmocka_unit_test(refuses_big_chunks),
        cmocka_unit_test(keeps_what_it_does_not_know),
        cmocka_unit_test(keeps_one_entry_per_mount),
        cmocka_unit_test(refuses_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
