/* kv version 2: its stored form against worked examples, and its answers on a whole core. */
#include "../core/rig.h"
#include "core/active_private.h"
#include "engine/kv/kv2.h"
#include "engine/kv/kv2_private.h"

#include <stdatomic.h>

static struct rig r;

static int setup(void **state)
{
    (void)state;
    rig_init(&r, "inmem");
    rig_must(&r, 204, OP_UPDATE, "sys/mounts/s", r.root, "{\"type\":\"kv-v2\"}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_done(&r);
    return 0;
}

/* ---- stored form ---- */

#define BASE "66666666-2222-3333-4444-555555555555/"
#define SALT "77777777-2222-3333-4444-555555555555"
/* bytes 00 01 .. 1f */
#define KEY "\"key\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\""
#define FORM                                                                                                 \
    "\"derived\":true,\"kdf\":1,\"convergent_encryption\":true,\"convergent_version\":-1,\"type\":0,"        \
    "\"latest_version\":1"

static void test_names(void **state)
{
    static const char apps[] = "5kKI13I8VVyTAxQVbDErjUk3aubJFhkZAfW2QNrw6rjukNXpevc4g5CDtipw5f",
                      db[] = "18ybyhSLXYYeGgVUtlfkY3CvdFHptvUgAHY9IcsAQjZARronYIJT5Hdfz";
    struct arena *a = arena_new(0);
    struct object *o;
    str clear;

    (void)state;
    assert_ok(kv2_names_parse(
        a, STR("p"), bytes_from_str(STR("{\"keys\":{\"1\":{" KEY ",\"convergent_version\":3}}," FORM "}")),
        &o));
    const struct kv2_names *names = (const struct kv2_names *)(const void *)o;
    str path = kv2_names_seal(names, a, STR(BASE), STR("apps/db"));

    assert_str(path, arena_cstr(a, arena_fmt(a, BASE "metadata/%s/%s", apps, db)));
    assert_true(str_eq(kv2_names_seal(names, a, STR(BASE), STR("apps/db/")), path));
    assert_str(kv2_names_seal(names, a, STR(BASE), (str){0}), BASE "metadata");
    assert_ok(kv2_names_open(names, a, STR(BASE), (str){0}, str_from_cstr(apps), &clear));
    assert_str(clear, "apps");
    assert_ok(kv2_names_open(names, a, STR(BASE), STR("apps"), str_from_cstr(db), &clear));
    assert_str(clear, "db");
    /* in another folder, cut, with a strange letter */
    assert_non_null(kv2_names_open(names, a, STR(BASE), STR("app"), str_from_cstr(db), &clear));
    assert_non_null(
        kv2_names_open(names, a, STR(BASE), STR("apps"), str_slice(str_from_cstr(db), 0, 40), &clear));
    assert_non_null(kv2_names_open(names, a, STR(BASE), STR("apps"), STR("18yb-"), &clear));
    assert_non_null(kv2_names_open(names, a, STR(BASE), STR("apps"), (str){0}, &clear));
    object_unref(o);
    arena_free(a);
}

static void test_policies_refused(void **state)
{
    static const char *const policies[] = {
        "",
        "{}",
        "[]",
        "{\"keys\":{}," FORM "}",
        "{\"keys\":{\"1\":{" KEY ",\"convergent_version\":2}}," FORM "}",
        "{\"keys\":{\"1\":{\"key\":\"AAEC\",\"convergent_version\":3}}," FORM "}",
        "{\"keys\":{\"x\":{" KEY ",\"convergent_version\":3}}," FORM "}",
        "{\"keys\":{\"2\":{" KEY ",\"convergent_version\":3}}," FORM "}", /* the latest is missing */
        "{\"keys\":{\"1\":{" KEY ",\"convergent_version\":3}},\"kdf\":0,\"derived\":true}",
    };
    struct arena *a = arena_new(0);
    struct object *o;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        const struct error *e = kv2_names_parse(a, STR("p"), bytes_from_str(str_from_cstr(policies[i])), &o);

        assert_non_null(e);
        assert_int_equal(e->kind, ERR_INTERNAL);
    }
    arena_free(a);
}

static void test_base62(void **state)
{
    struct arena *a = arena_new(0);
    uint8_t b[64];
    bytes back;

    (void)state;
    for (size_t n = 1; n <= sizeof(b); n++) {
        rng_bytes(rng_system(), b, n);
        b[0] |= 1;
        assert_true(kv2_base62_decode(a, kv2_base62_encode(a, (bytes){b, n}), &back));
        assert_int_equal(back.n, n);
        assert_memory_equal(back.p, b, n);
    }
    assert_str(kv2_base62_encode(a, (bytes){(const uint8_t *)"\x3d", 1}), "Z");
    assert_str(kv2_base62_encode(a, (bytes){(const uint8_t *)"\x3e", 1}), "10");
    assert_int_equal(kv2_base62_encode(a, (bytes){(const uint8_t *)"\0\0", 2}).n, 0);
    assert_false(kv2_base62_decode(a, STR("a b"), &back));
    arena_free(a);
}

static void test_version_path(void **state)
{
    struct arena *a = arena_new(0);
    struct request rq = {.arena = a};
    struct kv2 s = {.rq = &rq, .base = STR(BASE), .salt = STR(SALT)};
    char key[] = "apps/db";
    Kv2__KeyMetadata m;

    (void)state;
    kv2__key_metadata__init(&m);
    m.key = key;
    assert_str(kv2_version_path(&s, &m, 1),
               BASE "versions/33d/dbf3139c82ba1fdb665196b69eed1f2ed9cea0ab3b2cabdc29c3965bfd761");
    arena_free(a);
}

/* key "k", version 2 before version 1, and fields 15 and 20 that are not known, also inside a version. */
static void test_unknown_fields(void **state)
{
    static const uint8_t stored[] = {0x0a, 1, 'k',  0x12, 11,  8,   2,    0x12, 7, 0x0a,
                                     2,    8, 5,    0x7a, 1,   'u', 0x12, 2,    8, 1,
                                     0x18, 2, 0x7a, 3,    'a', 'b', 'c',  0xa0, 1, 7};
    struct arena *a = arena_new(0);
    Kv2__KeyMetadata *m = kv2_meta_unpack(a, (bytes){stored, sizeof(stored)});

    (void)state;
    assert_non_null(m);
    assert_int_equal(m->n_versions, 2);
    assert_int_equal(m->versions[0]->key, 1);
    assert_int_equal(kv2_meta_find(m, 2)->created_time->seconds, 5);
    assert_null(kv2_meta_find(m, 3));
    assert_null(kv2_meta_find(m, 0));
    bytes again = kv2_pack(a, &m->base);

    assert_non_null(memmem(again.p, again.n,
                           "\x7a\x03"
                           "abc",
                           5));
    assert_non_null(memmem(again.p, again.n, "\xa0\x01\x07", 3));
    assert_non_null(memmem(again.p, again.n, "\x7a\x01u", 3));
    assert_int_equal(again.n, sizeof(stored) + 2); /* the version that had no value has an empty one */
    for (size_t n = 1; n < sizeof(stored); n++)
        (void)kv2_meta_unpack(a, (bytes){stored, n});
    assert_null(kv2_meta_unpack(a, (bytes){stored, 5}));
    arena_free(a);
}

static void test_times(void **state)
{
    struct arena *a = arena_new(0);
    Kv2__Timestamp far = KV2__TIMESTAMP__INIT;

    (void)state;
    assert_int_equal(kv2_time(a, -1)->seconds, -1);
    assert_int_equal(kv2_time(a, -1)->nanos, 999999999);
    assert_int_equal(kv2_time_ns(kv2_time(a, INT64_C(-5000000001))), INT64_C(-5000000001));
    assert_int_equal(kv2_duration_ns(kv2_duration(a, -1500000000)), -1500000000);
    far.seconds = INT64_MAX;
    assert_int_equal(kv2_time_ns(&far), INT64_MAX);
    arena_free(a);
}

/* ---- merge patch ---- */

static void test_merge(void **state)
{
    static const struct {
        const char *target, *patch, *want;
    } rows[] = {
        /* RFC 7396, appendix A: those whose patch is an object */
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"{\"e\":null}", "{\"a\":1}", "{\"a\":1,\"e\":null}"},
        {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
        {"null", "{\"z\":1,\"a\":{\"x\":2}}", "{\"a\":{\"x\":2},\"z\":1}"},
        {"{\"a\":1,\"c\":3,\"e\":5}", "{\"b\":2,\"c\":null,\"d\":4,\"f\":[null]}",
         "{\"a\":1,\"b\":2,\"d\":4,\"e\":5,\"f\":[null]}"},
        {"{\"n\":12345678901234567890}", "{}", "{\"n\":12345678901234567890}"},
    };
    struct arena *a = arena_new(0);
    struct json *target, *patch;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_ok(json_parse(a, str_from_cstr(rows[i].target), false, &target));
        assert_ok(json_parse(a, str_from_cstr(rows[i].patch), false, &patch));
        assert_str(json_text(a, kv2_merge(a, target, patch)), rows[i].want);
    }
    arena_free(a);
}

/* ---- answers ---- */

static str text_at(const struct json *o, const char *path)
{
    str rest = str_from_cstr(path), name;

    while (rest.n > 0) {
        str_cut(rest, '/', &name, &rest);
        o = json_get(o, name);
    }
    return o ? json_text(r.arena, o) : STR("absent");
}

static void test_cas(void **state)
{
    static const struct {
        const char *options;
        const char *error; /* NULL: written */
    } rows[] = {
        {"{\"cas\":0}", NULL},
        {"{\"cas\":\"1\"}", NULL},
        {"{\"cas\":true}", "check-and-set parameter did not match the current version"},
        {"{\"cas\":null}", "check-and-set parameter did not match the current version"},
        {"{\"cas\":1.5}", "error parsing check-and-set parameter"},
        {"{\"cas\":[2]}", "error parsing check-and-set parameter"},
        {"{\"cas\":-1}", "check-and-set parameter did not match the current version"},
        {"{\"other\":1}", NULL},
        {"null", NULL},
        {"{\"cas\":4}", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        str body = arena_fmt(r.arena, "{\"data\":{\"i\":%zu},\"options\":%s}", i, rows[i].options);
        struct answer a = rig_must(&r, rows[i].error ? 400 : 200, OP_UPDATE, "s/data/cas", r.root, body.p);

        if (rows[i].error)
            assert_str(a.error, rows[i].error);
    }
    rig_must(&r, 204, OP_UPDATE, "s/config", r.root, "{\"cas_required\":true}");
    assert_str(rig_must(&r, 400, OP_UPDATE, "s/data/cas", r.root, "{\"data\":{}}").error,
               "check-and-set parameter required for this call");
    struct answer a = rig_must(&r, 200, OP_UPDATE, "s/metadata/cas", r.root, "{\"cas_required\":false}");

    assert_str(
        a.warnings[0],
        "\"cas_required\" set to false, but is mandated by backend config. This value will be ignored.");
    rig_must(&r, 204, OP_UPDATE, "s/config", r.root, "{\"cas_required\":false}");
    rig_must(&r, 200, OP_UPDATE, "s/data/cas", r.root, "{\"data\":{}}");
}

static void test_delete_version_after(void **state)
{
    static const struct {
        const char *mount, *key, *deletion;
    } rows[] = {
        {"0s", "0s", "\"\""},
        {"2h", "0s", "\"2026-11-22T06:36:28Z\""},
        {"0s", "1h", "\"2026-11-22T05:36:28Z\""},
        {"2h", "1h", "\"2026-11-22T05:36:28Z\""},
        {"1h", "2h", "\"2026-11-22T05:36:28Z\""},
        {"-7s", "1h", "\"\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        str config = arena_fmt(r.arena, "{\"delete_version_after\":\"%s\"}", rows[i].mount),
            key = arena_fmt(r.arena, "{\"delete_version_after\":\"%s\"}", rows[i].key);

        rig_must(&r, 204, OP_UPDATE, "s/config", r.root, config.p);
        rig_must(&r, 204, OP_UPDATE, "s/metadata/dva", r.root, key.p);
        struct answer a = rig_must(&r, 200, OP_UPDATE, "s/data/dva", r.root, "{\"data\":{\"a\":1}}");

        assert_str(text_at(a.data, "deletion_time"), rows[i].deletion);
    }
    assert_str(text_at(rig_must(&r, 200, OP_READ, "s/config", r.root, NULL).data, "delete_version_after"),
               "\"-1s\"");
    rig_must(&r, 400, OP_UPDATE, "s/metadata/dva", r.root, "{\"delete_version_after\":\"-1s\"}");
    rig_must(&r, 204, OP_UPDATE, "s/config", r.root, "{\"delete_version_after\":0}");
    clock_manual_advance(r.clock, 3600 * NS_PER_S);
    struct answer gone = rig_must(&r, 404, OP_READ, "s/data/dva", r.root, "{\"version\":5}");

    assert_str(text_at(gone.data, "data"), "null");
    assert_str(text_at(gone.data, "metadata/deletion_time"), "\"2026-11-22T05:36:28Z\"");
    rig_must(&r, 204, OP_UPDATE, "s/undelete/dva", r.root,
             "{\"versions\":[5,5,99]}"); /* its time begins again */
    assert_str(text_at(rig_must(&r, 200, OP_READ, "s/data/dva", r.root, "{\"version\":5}").data,
                       "metadata/deletion_time"),
               "\"2026-11-22T06:36:28Z\"");
}

static void test_custom_metadata(void **state)
{
#define FAILED "custom_metadata validation failed: "
    static const struct {
        const char *custom, *error;
    } rows[] = {
        {"{\"\":\"\"}", "2 errors occurred:\n\t* " FAILED
                        "length of key \"\" is 0 but must be 0 < len(key) <= 128\n\t* " FAILED
                        "length of value for key \"\" is 0 but must be 0 < len(value) <= 512\n\n"},
        {"{\"a\\\"\\u0007\":\"v\"}",
         "1 error occurred:\n\t* " FAILED "key \"a\\\"\\a\" (a\"\a) contains unprintable characters\n\n"},
        {"{\"a\":\"v\\u00a0\"}",
         "1 error occurred:\n\t* " FAILED "value for key \"a\" contains unprintable characters\n\n"},
        {"{\"a\":null}", "1 error occurred:\n\t* " FAILED
                         "length of value for key \"a\" is 0 but must be 0 < len(value) <= 512\n\n"},
        {"{\"a\":{\"z\":[1,null,true],\"b\":\"x\"}}",
         FAILED "'' expected type 'string', got unconvertible type "
                "'map[string]interface {}', value: 'map[b:x z:[1 <nil> true]]'"},
        {"{\"a\":[]}",
         FAILED "'' expected type 'string', got unconvertible type '[]interface {}', value: '[]'"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        str body = arena_fmt(r.arena, "{\"custom_metadata\":%s}", rows[i].custom);

        assert_str(rig_must(&r, 400, OP_UPDATE, "s/metadata/custom", r.root, body.p).error, rows[i].error);
    }
    rig_must(&r, 404, OP_READ, "s/metadata/custom", r.root, NULL);
    rig_must(&r, 204, OP_UPDATE, "s/metadata/custom", r.root,
             "{\"custom_metadata\":{\"n\":1.50,\"b\":true,\"t\":\"gr\xc3\xbc\xc3\x9f\"}}");
    assert_str(text_at(rig_must(&r, 200, OP_READ, "s/metadata/custom", r.root, NULL).data, "custom_metadata"),
               "{\"b\":\"1\",\"n\":\"1.50\",\"t\":\"gr\xc3\xbc\xc3\x9f\"}");
    rig_must(&r, 204, OP_PATCH, "s/metadata/custom", r.root,
             "{\"custom_metadata\":{\"n\":null,\"b\":\"2\"}}");
    assert_str(text_at(rig_must(&r, 200, OP_READ, "s/metadata/custom", r.root, NULL).data, "custom_metadata"),
               "{\"b\":\"2\",\"t\":\"gr\xc3\xbc\xc3\x9f\"}");
    rig_must(&r, 500, OP_PATCH, "s/metadata/custom", r.root, "{\"custom_metadata\":{\"b\":2}}");
    rig_must(&r, 204, OP_PATCH, "s/metadata/custom", r.root, "{\"custom_metadata\":null}");
    assert_str(text_at(rig_must(&r, 200, OP_READ, "s/metadata/custom", r.root, NULL).data, "custom_metadata"),
               "null");
}

static void test_paths(void **state)
{
    struct answer a;

    (void)state;
    rig_must(&r, 200, OP_UPDATE, "s/data/p/q", r.root, "{\"data\":{\"a\":{},\"b\":{\"c\":{\"d\":1}}}}");
    rig_must(&r, 200, OP_UPDATE, "s/data/p", r.root, "{\"data\":{\"a\":1}}");
    a = rig_must(&r, 200, OP_LIST, "s/metadata/p", r.root, NULL);
    assert_str(json_text(r.arena, a.data), "{\"keys\":[\"q\"]}");
    a = rig_must(&r, 200, OP_READ, "s/subkeys/p/q", r.root, "{\"depth\":2}");
    assert_str(text_at(a.data, "subkeys"), "{\"a\":null,\"b\":{\"c\":null}}");
    assert_str(rig_must(&r, 404, OP_READ, "s/data/p/", r.root, NULL).warnings[0],
               "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API "
               "endpoints to use. If using the "
               "Vault CLI, use 'vault kv get' for this operation.");
    rig_must(&r, 404, OP_LIST, "s/data/p", r.root, NULL);
    rig_must(&r, 404, OP_PATCH, "s/p", r.root, "{\"a\":1}");
    assert_str(rig_must(&r, 400, OP_UPDATE, "s/destroy/p", r.root, "{\"versions\":[\"x\"]}").error,
               "Field validation failed: error converting input for field \"versions\": cannot parse '' as "
               "int: strconv.ParseInt: "
               "parsing \"x\": invalid syntax");
    rig_must(&r, 500, OP_UPDATE, "s/data/\xff", r.root, "{\"data\":{}}");
    rig_must(&r, 204, OP_DELETE, "s/metadata/p", r.root, NULL);
    rig_must(&r, 200, OP_READ, "s/data/p/q", r.root, NULL);
}

/* ---- steps ---- */

static size_t count_entries(str prefix)
{
    struct arena *a = arena_new(0);
    size_t n, total = 0;
    str *names;

    assert_ok(storage_list(r.storage, a, prefix, &names, &n));
    for (size_t i = 0; i < n; i++)
        total += str_ends(names[i], STR("/")) ? count_entries(arena_join(a, prefix, names[i])) : 1;
    arena_free(a);
    return total;
}

static str prefix_of(const char *mount, const char *below)
{
    struct answer a = rig_must(&r, 200, OP_READ, arena_fmt(r.arena, "sys/mounts/%s", mount).p, r.root, NULL);
    str uuid = json_get_str(a.data, STR("uuid")), *names;
    size_t n;
    str prefix = arena_fmt(r.arena, "logical/%.*s/", PSTR(uuid));

    assert_ok(storage_list(r.storage, r.arena, prefix, &names, &n));
    assert_int_equal(n, 1); /* all lies below the second UUID */
    return arena_fmt(r.arena, "%.*s%.*s%s", PSTR(prefix), PSTR(names[0]), below);
}

static void write_versions(const char *path, int n)
{
    for (int i = 0; i < n; i++)
        rig_must(&r, 200, OP_UPDATE, path, r.root, "{\"data\":{\"a\":1}}");
}

static void test_many_versions(void **state)
{
    (void)state;
    rig_must(&r, 204, OP_UPDATE, "sys/mounts/many", r.root,
             "{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}");
    rig_must(&r, 204, OP_UPDATE, "many/config", r.root, "{\"max_versions\":200}");
    str versions = prefix_of("many", "versions/"), metadata = prefix_of("many", "metadata/");

    write_versions("many/data/k", 170);
    assert_int_equal(count_entries(versions), 170);
    str list = STR("1");

    for (int i = 2; i <= 120; i++)
        list = arena_fmt(r.arena, "%.*s,%d", PSTR(list), i);
    rig_must(&r, 204, OP_UPDATE, "many/destroy/k", r.root,
             arena_fmt(r.arena, "{\"versions\":\"%.*s\"}", PSTR(list)).p);
    assert_int_equal(count_entries(versions), 50);
    write_versions("many/data/other", 150);
    rig_must(&r, 204, OP_UPDATE, "many/config", r.root, "{\"max_versions\":3}");
    struct answer a = rig_must(&r, 200, OP_UPDATE, "many/data/other", r.root,
                               "{\"data\":{\"a\":2},\"options\":{\"cas\":150}}");

    assert_str(text_at(a.data, "version"), "151");
    assert_int_equal(count_entries(versions), 53);
    a = rig_must(&r, 200, OP_READ, "many/metadata/other", r.root, NULL);
    assert_str(text_at(a.data, "oldest_version"), "149");
    assert_int_equal(json_get(a.data, STR("versions"))->n, 3);
    rig_must(&r, 204, OP_DELETE, "many/metadata/k", r.root, NULL);
    assert_int_equal(count_entries(versions), 3);
    assert_int_equal(count_entries(metadata), 1);
    a = rig_must(&r, 200, OP_UPDATE, "many/data/k", r.root, "{\"data\":{\"a\":2}}");
    assert_str(text_at(a.data, "version"), "1");
}

/* ---- upgrade ---- */

struct upgrade {
    const char *path;
    bool done;
};

static struct error *upgrade_step(struct request *rq, struct response *rs)
{
    struct upgrade *u = rq->internal_arg;

    (void)rs;
    return kv2_upgrade_step(rq, mount_find(request_mounts(rq), str_from_cstr(u->path)), &u->done);
}

static void test_upgrade(void **state)
{
    struct upgrade u = {.path = "old/"};

    (void)state;
    rig_must(&r, 204, OP_UPDATE, "sys/mounts/old", r.root,
             "{\"type\":\"kv\",\"options\":{\"version\":\"1\"}}");
    for (int i = 0; i < 40; i++)
        rig_must(&r, 204, OP_UPDATE, arena_fmt(r.arena, "old/%s%d", i % 2 ? "deep/er/" : "", i).p, r.root,
                 arena_fmt(r.arena, "{\"i\":%d}", i).p);
    rig_must(&r, 200, OP_UPDATE, "sys/mounts/old/tune", r.root, "{\"options\":{\"version\":\"2\"}}");
    /* tune answers when the data is in its new form; doing it again changes nothing */
    rig_must(&r, 200, OP_READ, "old/data/0", r.root, NULL);
    assert_ok(active_run(atomic_load(&r.core->active), r.arena, upgrade_step, &u));
    assert_true(u.done);
    struct answer a = rig_must(&r, 200, OP_LIST, "old/metadata/deep/er", r.root, NULL);

    assert_int_equal(json_get(a.data, STR("keys"))->n, 20);
    a = rig_must(&r, 200, OP_READ, "old/data/deep/er/39", r.root, NULL);
    assert_str(text_at(a.data, "data"), "{\"i\":39}");
    a = rig_must(&r, 200, OP_READ, "old/metadata/38", r.root, NULL);
    assert_str(text_at(a.data, "oldest_version"), "1");
    assert_str(text_at(a.data, "current_version"), "1");
    (void)prefix_of("old", "");
    rig_must(&r, 200, OP_UPDATE, "old/data/38", r.root, "{\"data\":{}}");
    assert_ok(active_run(atomic_load(&r.core->active), r.arena, upgrade_step, &u));
    assert_true(u.done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_policies_refused),
        cmocka_unit_test(test_base62),
        cmocka_unit_test(test_version_path),
        cmocka_unit_test(test_unknown_fields),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_cas),
        cmocka_unit_test(test_delete_version_after),
        cmocka_unit_test(test_custom_metadata),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_many_versions),
        cmocka_unit_test(test_upgrade),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
