/* Entries byte for byte as recorded, but for the hashes, which are made with the test's own salt; sets and
 * writing. */
#include "../base/check.h"

#undef fail
#include "base/clock.h"
#include "core/audit/audit_private.h"
#include "core/mount.h"
#include "core/policy/policy.h"
#include "core/token/token.h"
#include "net/http_header.h"

#include <stdlib.h>

/* ---- a device that remembers ---- */

struct memory {
    struct arena *arena;
    struct buf out;
    int writes, reopens;
    bool broken;
};

static struct memory memories[3]; /* by option `slot` */

static struct error *memory_open(struct arena *a, const struct json *options, void **ret_device)
{
    str slot = json_get_str(options, STR("slot"));

    if (str_eq(slot, STR("none")))
        return error_new(a, ERR_BAD_REQUEST, "no such slot");
    struct memory *m = &memories[slot.n ? slot.p[0] - '0' : 0];

    *m = (struct memory){.arena = arena_new(0)};
    buf_init(&m->out, m->arena, 1 << 20);
    *ret_device = m;
    return NULL;
}

static struct error *memory_write(void *device, struct arena *a, const bytes *entries, size_t n)
{
    struct memory *m = device;

    if (m->broken)
        return error_new(a, ERR_INTERNAL, "broken");
    for (size_t i = 0; i < n; i++)
        buf_put(&m->out, entries[i].p, entries[i].n);
    m->writes++;
    return NULL;
}

static void memory_reopen(void *device)
{
    ((struct memory *)device)->reopens++;
}

static void memory_close(void *device)
{
    struct memory *m = device;

    arena_free(m->arena);
    m->arena = NULL;
}

static const struct audit_device_ops memory_ops = {"memory", memory_open, memory_write, memory_reopen,
                                                   memory_close};

const struct audit_device_ops *audit_device_find(str type)
{
    return str_eq(type, STR("memory")) ? &memory_ops : NULL;
}

#define SALT STR("10f1c2a3-0000-1111-2222-333344445555")

static struct audit_device *device(struct arena *a, const char *path, const char *options)
{
    struct audit_device *d;
    struct json *entry = json_object(a), *o;

    assert_ok(json_parse(a, str_from_cstr(options), false, &o));
    json_set_str(a, entry, STR("path"), str_from_cstr(path));
    json_set_str(a, entry, STR("type"), STR("memory"));
    json_set(a, entry, STR("options"), o);
    assert_ok(audit_device_new(a, entry, SALT, &d));
    return d;
}

/* `text` with each "<value>" made the hash of value. */
static str expand(struct arena *a, struct audit_device *d, const char *text)
{
    str left = str_from_cstr(text), out = {0}, before, value;

    while (str_cut(left, '<', &before, &left)) {
        str_cut(left, '>', &value, &left);
        str hash = audit_hash(a, d, value);

        out = arena_fmt(a, "%.*s%.*s%.*s", PSTR(out), PSTR(before), PSTR(hash));
    }
    return arena_join(a, out, before);
}

/* ---- the recorded requests ---- */

static const str root_policies[] = {{"root", 4}};
static const struct token_entry root_token = {.type = TOKEN_SERVICE,
                                              .id = {"root", 4},
                                              .accessor = {"MrBkXnslNN4bx9dXbRRVtr9W", 24},
                                              .display_name = {"token", 5},
                                              .policies = root_policies,
                                              .n_policies = 1,
                                              .creation_time_s = 1795323705};
static const struct acl_result root_decision = {
    .allowed = true, .is_root = true, .granting = root_policies, .n_granting = 1};
static const struct engine kv_engine = {.type = "kv", .plugin_version = "v0.15.0+builtin"};
static const struct engine userpass_engine = {
    .type = "userpass", .kind = ENGINE_AUTH, .plugin_version = "v1.14.7+builtin.vault"};
static const struct mount kv_mount = {
    .path = {"secret/", 7}, .type = {"kv", 2}, .accessor = {"kv_4e80006d", 11}, .engine = &kv_engine};
static const struct mount userpass_mount = {.path = {"auth/userpass/", 14},
                                            .type = {"userpass", 8},
                                            .accessor = {"auth_userpass_be4d6a86", 22},
                                            .is_auth = true,
                                            .engine = &userpass_engine};
static const struct field kv_fields[] = {{"data", FT_MAP, 0, "d"}, {"path", FT_STRING, FIELD_PATH, "p"}, {0}};
static const struct route kv_route = {"data/{path...}", kv_fields},
                          raw_route = {"{path...}", .flags = ROUTE_RAW_BODY},
                          login_route = {"login/{name}", .flags = ROUTE_UNAUTH};

#define AUTH_ROOT                                                                                            \
    "\"auth\":{\"client_token\":\"<root>\",\"accessor\":\"<MrBkXnslNN4bx9dXbRRVtr9W>\",\"display_name\":"    \
    "\"token\",\"policies\":[\"root\"],"                                                                     \
    "\"token_policies\":[\"root\"],\"policy_results\":{\"allowed\":true,\"granting_policies\":[{\"name\":"   \
    "\"root\",\"namespace_id\":\"root\","                                                                    \
    "\"type\":\"acl\"}]},\"token_type\":\"service\",\"token_issue_time\":\"2026-11-22T05:01:45Z\"}"
#define CLIENT "\"client_id\":\"0DHqvq2D77kL2/JTPSZkTMJbkFVmUu0TzMi0jiXcFy8=\""
#define TOKENS                                                                                               \
    "\"client_token\":\"<root>\",\"client_token_accessor\":\"<MrBkXnslNN4bx9dXbRRVtr9W>\",\"namespace\":{"   \
    "\"id\":\"root\"}"
#define WRITE_REQUEST                                                                                        \
    "\"request\":{\"id\":\"00f8134b-9be2-13ae-0515-3ba309168ca3\"," CLIENT                                   \
    ",\"operation\":\"create\",\"mount_point\":\"secret/\","                                                 \
    "\"mount_type\":\"kv\",\"mount_accessor\":\"kv_4e80006d\",\"mount_running_version\":\"v0.15.0+"          \
    "builtin\",\"mount_class\":\"secret\"," TOKENS ",\"path\":\"secret/data/"                                \
    "b\",\"data\":{\"data\":{\"a\":\"<s>\",\"b\":true,\"l\":"                                                \
    "[\"<x>\",\"<2>\"],\"n\":\"<1>\",\"o\":{\"k\":\"<v>\"},"                                                 \
    "\"z\":null}},\"remote_address\":\"127.0.0.1\",\"remote_port\":49440}"

static struct request write_request(struct arena *a)
{
    struct request rq = {.arena = a,
                         .id = STR("00f8134b-9be2-13ae-0515-3ba309168ca3"),
                         .op = OP_CREATE,
                         .path = STR("secret/data/b"),
                         .mount = &kv_mount,
                         .route = &kv_route,
                         .client_token = STR("root"),
                         .token = &root_token,
                         .peer = {STR("127.0.0.1"), 49440}};

    assert_ok(json_parse(
        a, STR("{\"data\":{\"a\":\"s\",\"n\":1,\"b\":true,\"l\":[\"x\",2],\"o\":{\"k\":\"v\"},\"z\":null}}"),
        false, &rq.data));
    return rq;
}

static struct request read_request(struct arena *a)
{
    struct request rq = write_request(a);

    rq.op = OP_READ;
    rq.data = NULL;
    return rq;
}

static int64_t at(const char *time)
{
    int64_t ns = 0;

    assert_true(time_parse(str_from_cstr(time), &ns));
    return ns;
}

/* The line of one device; the set is freed with everything. */
static str line(struct arena *a, struct audit_device *d, const struct audit_event *e)
{
    struct audit_set *set = audit_set_changed(NULL, d, (str){0});
    struct audit_lines lines;

    if (e->rs)
        audit_make_response(a, set, e, &lines);
    else
        audit_make_request(a, set, e, &lines);
    free(set);
    return str_from_bytes(lines.lines[0]);
}

static void check_line(const char *options, const struct audit_event *e, const char *want)
{
    struct arena *a = arena_new(0);
    struct audit_device *d = device(a, "file/", options);
    str got = line(a, d, e), expected = expand(a, d, want);

    if (!str_eq(got, expected))
        print_error("got  %.*s\nwant %.*s\n", PSTR(got), PSTR(expected));
    assert_true(str_eq(got, expected));
    audit_device_unref(d);
    arena_free(a);
}

static void test_write(void **state)
{
    struct arena *a = arena_new(0);
    struct request rq = write_request(a);
    struct response rs = {0};
    struct audit_event e = {
        .rq = &rq, .decision = &root_decision, .time_ns = at("2026-11-22T05:01:48.015293609Z")};

    (void)state;
    check_line("{}", &e,
               "{\"time\":\"2026-11-22T05:01:48.015293609Z\",\"type\":\"request\"," AUTH_ROOT
               "," WRITE_REQUEST "}\n");
    assert_ok(json_parse(a,
                         STR("{\"version\":1,\"created_time\":\"2026-11-22T05:01:48.0160Z\",\"deletion_"
                             "time\":\"\",\"custom_metadata\":null,\"destroyed\":false}"),
                         false, &rs.data));
    e.rs = &rs;
    e.time_ns = at("2026-11-22T05:01:48.016384176Z");
    check_line(
        "{}", &e,
        "{\"time\":\"2026-11-22T05:01:48.016384176Z\",\"type\":\"response\"," AUTH_ROOT "," WRITE_REQUEST
        ",\"response\":{\"mount_point\":\"secret/\",\"mount_type\":\"kv\",\"mount_accessor\":\"kv_4e80006d\","
        "\"mount_running_plugin_version\":\"v0.15.0+builtin\",\"mount_class\":\"secret\",\"data\":{"
        "\"created_time\":\"<2026-11-22T05:01:48.0160Z>\",\"custom_metadata\":null,\"deletion_time\":\"<>\","
        "\"destroyed\":false,\"version\":1}}}\n");
    arena_free(a);
}

static void test_raw_device(void **state)
{
    struct arena *a = arena_new(0);
    struct request rq = write_request(a);
    struct audit_event e = {
        .rq = &rq, .decision = &root_decision, .time_ns = at("2026-11-22T05:01:48.01538814Z")};

    (void)state;
    check_line("{\"log_raw\":\"true\",\"hmac_accessor\":\"false\",\"prefix\":\"PFX:\"}", &e,
               "PFX:{\"time\":\"2026-11-22T05:01:48.01538814Z\",\"type\":\"request\",\"auth\":{\"client_"
               "token\":\"root\","
               "\"accessor\":\"MrBkXnslNN4bx9dXbRRVtr9W\",\"display_name\":\"token\",\"policies\":[\"root\"],"
               "\"token_policies\":[\"root\"],"
               "\"policy_results\":{\"allowed\":true,\"granting_policies\":[{\"name\":\"root\",\"namespace_"
               "id\":\"root\",\"type\":\"acl\"}]},"
               "\"token_type\":\"service\",\"token_issue_time\":\"2026-11-22T05:01:45Z\"},\"request\":{"
               "\"id\":\"00f8134b-9be2-13ae-0515-3ba309168ca3\"," CLIENT
               ",\"operation\":\"create\",\"mount_point\":\"secret/\",\"mount_type\":\"kv\","
               "\"mount_accessor\":\"kv_4e80006d\",\"mount_running_version\":\"v0.15.0+builtin\",\"mount_"
               "class\":\"secret\",\"client_token\":\"root\","
               "\"client_token_accessor\":\"MrBkXnslNN4bx9dXbRRVtr9W\",\"namespace\":{\"id\":\"root\"},"
               "\"path\":\"secret/data/b\",\"data\":{\"data\":{"
               "\"a\":\"s\",\"b\":true,\"l\":[\"x\",2],\"n\":1,\"o\":{\"k\":\"v\"},\"z\":null}},\"remote_"
               "address\":\"127.0.0.1\",\"remote_port\":49440}}\n");
    arena_free(a);
}

/* A token that is not known: no accessor, no policies; the answer's entry has its text hashed. */
static void test_refused(void **state)
{
    struct arena *a = arena_new(0);
    struct request rq = read_request(a);
    struct response rs = {0};
    struct audit_event e = {
        .rq = &rq, .error_text = STR("permission denied"), .time_ns = at("2026-11-22T05:01:48.819050592Z")};
#define BAD                                                                                                  \
    "\"auth\":{\"token_type\":\"default\"},\"request\":{\"id\":\"f9d52dcd-9936-5a06-cfb2-b0040d11bfe5\","    \
    "\"operation\":\"read\","                                                                                \
    "\"mount_point\":\"secret/"                                                                              \
    "\",\"mount_type\":\"kv\",\"mount_running_version\":\"v0.15.0+builtin\",\"mount_class\":\"secret\","     \
    "\"client_token\":\"<bad>\",\"namespace\":{\"id\":\"root\"},\"path\":\"secret/data/"                     \
    "b\",\"remote_address\":\"127.0.0.1\",\"remote_port\":39238}"

    (void)state;
    rq.id = STR("f9d52dcd-9936-5a06-cfb2-b0040d11bfe5");
    rq.client_token = STR("bad");
    rq.token = NULL;
    rq.peer.remote_port = 39238;
    check_line("{}", &e,
               "{\"time\":\"2026-11-22T05:01:48.819050592Z\",\"type\":\"request\"," BAD
               ",\"error\":\"permission denied\"}\n");
    e.rs = &rs;
    check_line("{}", &e,
               "{\"time\":\"2026-11-22T05:01:48.819050592Z\",\"type\":\"response\"," BAD
               ",\"response\":{\"mount_point\":\"secret/"
               "\",\"mount_type\":\"kv\",\"mount_running_plugin_version\":\"v0.15.0+builtin\","
               "\"mount_class\":\"secret\",\"data\":{\"error\":\"<permission "
               "denied>\"}},\"error\":\"permission denied\"}\n");
    arena_free(a);
}

static void test_denied_by_policy(void **state)
{
    struct arena *a = arena_new(0);
    struct request rq = read_request(a);
    struct acl_result denied = {0};
    struct response rs = {0};
    struct audit_event e = {.rq = &rq,
                            .rs = &rs,
                            .decision = &denied,
                            .error_text = STR("1 error occurred:\n\t* permission denied\n\n")};
    struct audit_device *d = device(a, "file/", "{}");

    (void)state;
    str text = line(a, d, &e);

    assert_true(str_find(text, STR("\"policy_results\":{\"allowed\":false}")) < text.n);
    assert_int_equal(str_find(text, STR("mount_accessor")), text.n);
    assert_true(str_find(text, expand(a, d, "\"data\":{\"error\":\"<permission denied>\"}")) < text.n);
    assert_true(str_ends(text, STR(",\"error\":\"1 error occurred:\\n\\t* permission denied\\n\\n\"}\n")));
    audit_device_unref(d);
    arena_free(a);
}

/* The words of a handler may repeat a secret: hashed only. */
static void test_error_is_not_shown(void **state)
{
    struct arena *a = arena_new(0);
    struct request rq = write_request(a);
    struct response rs = {0};
    struct audit_event e = {
        .rq = &rq, .rs = &rs, .decision = &root_decision, .error_text = STR("error converting input MARKER")};
    struct audit_device *d = device(a, "file/", "{}");

    (void)state;
    str text = line(a, d, &e);

    assert_int_equal(str_find(text, STR("MARKER")), text.n);
    assert_true(str_find(text, expand(a, d, "\"error\":\"<error converting input MARKER>\"")) < text.n);
    audit_device_unref(d);
    arena_free(a);
}

static void test_login(void **state)
{
    struct arena *a = arena_new(0);
    str policies[] = {STR("default")};
    struct json *metadata = json_object(a);
    struct request rq = {.arena = a,
                         .id = STR("9a2a9a0f-7887-a338-0f7b-837b4339bd4a"),
                         .op = OP_UPDATE,
                         .path = STR("auth/userpass/login/u"),
                         .mount = &userpass_mount,
                         .route = &login_route,
                         .peer = {STR("127.0.0.1"), 39274}};
    struct response_auth auth = {.client_token = STR("hvs.x"),
                                 .accessor = STR("acc"),
                                 .display_name = STR("userpass-u"),
                                 .policies = policies,
                                 .token_policies = policies,
                                 .n_policies = 1,
                                 .n_token_policies = 1,
                                 .metadata = metadata,
                                 .entity_id = STR("cc93dbfb-9418-58ac-836f-ba766d49ee52"),
                                 .token_type = STR("service"),
                                 .ttl_ns = 2764800 * NS_PER_S};
    struct response rs = {.auth = &auth};
    struct audit_event e = {.rq = &rq, .time_ns = at("2026-11-22T05:01:49.197686783Z")};
#define LOGIN_REQUEST                                                                                        \
    "\"request\":{\"id\":\"9a2a9a0f-7887-a338-0f7b-837b4339bd4a\",\"operation\":\"update\",\"mount_point\":" \
    "\"auth/userpass/\","                                                                                    \
    "\"mount_type\":\"userpass\",\"mount_accessor\":\"auth_userpass_be4d6a86\",\"mount_running_version\":"   \
    "\"v1.14.7+builtin.vault\","                                                                             \
    "\"mount_class\":\"auth\",\"namespace\":{\"id\":\"root\"},\"path\":\"auth/userpass/login/"               \
    "u\",\"data\":{\"password\":\"<pw>\"},"                                                                  \
    "\"remote_address\":\"127.0.0.1\",\"remote_port\":39274}"
#define LOGIN_AUTH                                                                                           \
    "\"auth\":{\"client_token\":\"<hvs.x>\",\"accessor\":\"<acc>\",\"display_name\":\"userpass-u\","         \
    "\"policies\":[\"default\"],"                                                                            \
    "\"token_policies\":[\"default\"],\"metadata\":{\"username\":\"u\"},\"entity_id\":\"cc93dbfb-9418-58ac-" \
    "836f-ba766d49ee52\","                                                                                   \
    "\"token_type\":\"service\",\"token_ttl\":2764800}"

    (void)state;
    json_set_str(a, metadata, STR("username"), STR("u"));
    assert_ok(json_parse(a, STR("{\"password\":\"pw\"}"), false, &rq.data));
    check_line("{}", &e,
               "{\"time\":\"2026-11-22T05:01:49.197686783Z\",\"type\":\"request\",\"auth\":{\"policy_"
               "results\":{\"allowed\":true},"
               "\"token_type\":\"default\"}," LOGIN_REQUEST "}\n");
    e.rs = &rs;
    check_line("{}", &e,
               "{\"time\":\"2026-11-22T05:01:49.197686783Z\",\"type\":\"response\"," LOGIN_AUTH
               "," LOGIN_REQUEST ",\"response\":{" LOGIN_AUTH ",\"mount_point\":\"auth/userpass/"
               "\",\"mount_type\":\"userpass\",\"mount_accessor\":\"auth_userpass_be4d6a86\","
               "\"mount_running_plugin_version\":\"v1.14.7+builtin.vault\",\"mount_class\":\"auth\"}}\n");
    arena_free(a);
}

/* Headers that are configured, in both entries; what proves who asks is hashed whatever is configured. */
static void test_headers(void **state)
{
    static const struct http_header sent[] = {{{"X-Plain", 7}, {"p1", 2}},
                                              {{"X-Custom", 8}, {"c\"", 2}},
                                              {{"x-plain", 7}, {"p2", 2}},
                                              {{"X-Other", 7}, {"o", 1}},
                                              {{"X-Vault-Token", 13}, {"root", 4}}};
    static const struct {
        const char *configured, *want; /* NULL: no headers */
    } cases[] = {
        {"{}", NULL},
        {"{\"x-absent\":{\"hmac\":false}}", NULL},
        {"{\"x-plain\":{\"hmac\":false},\"x-custom\":{\"hmac\":true},\"y\":{}}",
         ",\"headers\":{\"x-custom\":[\"<c\">\"],\"x-plain\":[\"p1\",\"p2\"]}"},
        {"{\"x-custom\":{\"hmac\":false}}", ",\"headers\":{\"x-custom\":[\"c\\\"\"]}"},
        {"{\"x-plain\":{\"hmac\":true}}", ",\"headers\":{\"x-plain\":[\"<p1>\",\"<p2>\"]}"},
        {"{\"x-vault-token\":{\"hmac\":false}}", ",\"headers\":{\"x-vault-token\":[\"<root>\"]}"},
    };

    (void)state;
    for (int raw = 0; raw < 2; raw++)
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
            struct arena *a = arena_new(0);
            struct audit_device *d = device(a, "file/", raw ? "{\"log_raw\":\"true\"}" : "{}");
            struct audit_set *one = audit_set_changed(NULL, d, (str){0}), *set, *again;
            struct request rq = read_request(a);
            struct response rs = {0};
            struct audit_event e = {.rq = &rq, .rs = &rs, .decision = &root_decision};
            struct audit_lines lines[2];
            struct json *configured;

            rq.headers = sent;
            rq.n_headers = COUNT_OF(sent);
            assert_ok(json_parse(a, str_from_cstr(cases[i].configured), false, &configured));
            set = audit_set_with_headers(one, configured);
            again = audit_set_changed(set, NULL, (str){0}); /* another device keeps them */
            audit_make_request(a, again, &e, &lines[0]);
            audit_make_response(a, again, &e, &lines[1]);
            for (int k = 0; k < 2; k++) {
                str got = str_from_bytes(lines[k].lines[0]);
                str want = cases[i].want ? expand(a, d, cases[i].want) : (str){0};
                str around = arena_fmt(a, "\"remote_port\":49440%.*s}", PSTR(want));

                assert_true(str_find(got, around) < got.n);
            }
            audit_set_unref(one);
            audit_set_unref(set);
            audit_set_unref(again);
            arena_free(a);
        }
}

static void test_wrapped(void **state)
{
    struct arena *a = arena_new(0);
    struct request rq = read_request(a);
    struct wrap_info w = {.token = STR("hvs.w"),
                          .accessor = STR("wacc"),
                          .creation_path = STR("secret/data/b"),
                          .ttl_ns = 60 * NS_PER_S,
                          .creation_time_ns = at("2026-11-22T05:01:48.638419861Z")};
    struct response rs = {.wrap_info = &w, .lease_id = STR("secret/creds/x/1")};
    struct audit_event e = {.rq = &rq, .rs = &rs, .decision = &root_decision};
    struct audit_device *d = device(a, "file/", "{}"),
                        *open = device(a, "b/", "{\"hmac_accessor\":\"false\",\"slot\":\"1\"}");

    (void)state;
    rq.wrap_ttl_ns = 60 * NS_PER_S;
    str got = line(a, d, &e);

    assert_true(str_find(got, STR(",\"remote_port\":49440,\"wrap_ttl\":60}")) < got.n);
    assert_true(str_find(got, STR(",\"secret\":{\"lease_id\":\"secret/creds/x/1\"},\"wrap_info\":")) < got.n);
    assert_true(
        str_ends(got, expand(a, d,
                             "\"wrap_info\":{\"ttl\":60,\"token\":\"<hvs.w>\",\"accessor\":\"<wacc>\","
                             "\"creation_time\":\"2026-11-22T05:01:48.638419861Z\",\"creation_path\":"
                             "\"secret/data/b\"}}}\n")));
    w.wrapped_accessor = STR("inner");
    got = line(a, open, &e);
    assert_true(
        str_ends(got, STR("\"creation_path\":\"secret/data/b\",\"wrapped_accessor\":\"inner\"}}}\n")));
    audit_device_unref(d);
    audit_device_unref(open);
    arena_free(a);
}

/* What clients stored comes back hashed, numbers too; what the server says of it is plain. */
static void test_read(void **state)
{
    struct arena *a = arena_new(0);
    struct request rq = read_request(a);
    struct response rs = {.warnings = (str[]){STR("take care")}, .n_warnings = 1};
    struct audit_event e = {
        .rq = &rq, .rs = &rs, .decision = &root_decision, .time_ns = at("2026-11-22T05:01:48Z")};

    (void)state;
    rq.wrap_ttl_ns = 60 * NS_PER_S;
#define READ_REQUEST(accessor)                                                                               \
    AUTH_ROOT ",\"request\":{\"id\":\"00f8134b-9be2-13ae-0515-3ba309168ca3\"," CLIENT                        \
              ",\"operation\":\"read\",\"mount_point\":\"secret/\","                                         \
              "\"mount_type\":\"kv\"," accessor                                                              \
              "\"mount_running_version\":\"v0.15.0+builtin\",\"mount_class\":\"secret\"," TOKENS             \
              ",\"path\":\"secret/data/"                                                                     \
              "b\",\"remote_address\":\"127.0.0.1\",\"remote_port\":49440,\"wrap_ttl\":60}"
#define READ_RESPONSE                                                                                        \
    "\"response\":{\"mount_point\":\"secret/\",\"mount_type\":\"kv\",\"mount_accessor\":\"kv_4e80006d\","    \
    "\"mount_running_plugin_version\":\"v0.15.0+builtin\",\"mount_class\":\"secret\",\"data\":"
    assert_ok(json_parse(a, STR("{\"data\":{\"pin\":1234,\"l\":[5]},\"metadata\":{\"version\":3}}"), false,
                         &rs.data));
    check_line("{}", &e,
               "{\"time\":\"2026-11-22T05:01:48Z\",\"type\":\"response\"," READ_REQUEST(
                   "\"mount_accessor\":\"kv_4e80006d\",") "," READ_RESPONSE
                                                          "{\"data\":{\"l\":[\"<5>\"],\"pin\":\"<1234>\"},"
                                                          "\"metadata\":{\"version\":3}},\"warnings\":["
                                                          "\"take care\"]}}\n");
    rq.route = &raw_route;
    check_line("{}", &e,
               "{\"time\":\"2026-11-22T05:01:48Z\",\"type\":\"response\"," READ_REQUEST(
                   "\"mount_accessor\":\"kv_4e80006d\",") "," READ_RESPONSE
                                                          "{\"data\":{\"l\":[\"<5>\"],\"pin\":\"<1234>\"},"
                                                          "\"metadata\":{\"version\":\"<3>\"}},\"warnings\":["
                                                          "\"take care\"]}}\n");
    e.rs = NULL;
    check_line("{}", &e, "{\"time\":\"2026-11-22T05:01:48Z\",\"type\":\"request\"," READ_REQUEST("") "}\n");
    arena_free(a);
}

static void test_plain_keys(void **state)
{
    struct arena *a = arena_new(0);
    struct mount m = kv_mount;
    str keys[] = {STR("data"), STR("s"), STR("n"), STR("l")};
    struct request rq = write_request(a);
    struct audit_event e = {.rq = &rq, .decision = &root_decision};
    struct audit_device *d = device(a, "file/", "{}");

    (void)state;
    m.audit_request_keys = keys;
    m.n_audit_request_keys = 4;
    rq.mount = &m;
    assert_ok(json_parse(a,
                         STR("{\"data\":{\"s\":\"plain\",\"t\":\"x\",\"n\":1,\"l\":[\"p\",{\"q\":\"z\"}]}}"),
                         false, &rq.data));
    str text = line(a, d, &e);
    str want = expand(
        a, d, "\"data\":{\"data\":{\"l\":[\"p\",{\"q\":\"<z>\"}],\"n\":1,\"s\":\"plain\",\"t\":\"<x>\"}}");

    assert_true(str_find(text, want) < text.n);
    audit_device_unref(d);
    arena_free(a);
}

static void test_lists_and_bodies(void **state)
{
    struct arena *a = arena_new(0);
    struct request rq = read_request(a);
    struct response rs = {0};
    struct audit_event e = {.rq = &rq, .rs = &rs, .decision = &root_decision};
    struct audit_device *d =
        device(a, "file/", "{\"elide_list_responses\":\"true\",\"hmac_accessor\":\"0\"}");

    (void)state;
    rq.op = OP_LIST;
    assert_ok(json_parse(
        a, STR("{\"keys\":[\"a\",\"b\"],\"key_info\":{\"a\":{},\"b\":{},\"c\":{}},\"other\":[\"x\"]}"), false,
        &rs.data));
    str text = line(a, d, &e);

    assert_true(str_find(text, expand(a, d, "\"data\":{\"key_info\":3,\"keys\":2,\"other\":[\"<x>\"]}")) <
                text.n);
    assert_true(str_find(text, STR("\"client_token_accessor\":\"MrBkXnslNN4bx9dXbRRVtr9W\"")) < text.n);
    rq.op = OP_READ;
    text = line(a, d, &e);
    assert_true(str_find(text, expand(a, d, "\"keys\":[\"<a>\",\"<b>\"]")) < text.n);
    rs = (struct response){
        .raw_content_type = STR("text/plain"), .raw_body = bytes_from_str(STR("body")), .status = 201};
    text = line(a, d, &e);
    assert_true(str_find(text, expand(a, d,
                                      "\"data\":{\"http_content_type\":\"<text/"
                                      "plain>\",\"http_raw_body\":\"<body>\",\"http_status_code\":201}")) <
                text.n);
    audit_device_unref(d);
    arena_free(a);
}

static void test_jsonx(void **state)
{
    struct arena *a = arena_new(0);
    struct audit_device *d = device(a, "file/", "{\"format\":\"jsonx\",\"prefix\":\"@cee: \"}");
    struct buf b;

    (void)state;
    assert_ok(audit_device_test(a, d, STR("0376bc84-fed7-f42e-adf1-e1a1c4b8a4b8"),
                                at("2026-11-22T05:01:47.105345577Z")));
    assert_str(buf_str(&memories[0].out),
               "@cee: <json:object name=\"auth\"><json:string "
               "name=\"token_type\">default</json:string></json:object><json:object name=\"request\">"
               "<json:string name=\"id\">0376bc84-fed7-f42e-adf1-e1a1c4b8a4b8</json:string><json:object "
               "name=\"namespace\">"
               "<json:string name=\"id\">root</json:string></json:object><json:string "
               "name=\"operation\">update</json:string>"
               "<json:string name=\"path\">sys/audit/test</json:string></json:object>"
               "<json:string name=\"time\">2026-11-22T05:01:47.105345577Z</json:string><json:string "
               "name=\"type\">request</json:string>");
    buf_init(&b, a, 1000);
    audit_put_jsonx(&b, a, STR("{\"n\":1.50,\"l\":[\"<&>\\\"'\\n\",true,null],\"e\":{}}"));
    assert_str(buf_str(&b), "<json:object name=\"e\"></json:object><json:array "
                            "name=\"l\"><json:string>&lt;&amp;&gt;&#34;&#39;&#xA;</json:string>"
                            "<json:boolean>true</json:boolean><json:null /></json:array><json:number "
                            "name=\"n\">1.50</json:number>");
    audit_device_unref(d);
    arena_free(a);
}

static void test_test_entry(void **state)
{
    struct arena *a = arena_new(0);
    struct audit_device *d = device(a, "file/", "{}");

    (void)state;
    assert_ok(audit_device_test(a, d, STR("id"), at("2026-11-22T05:01:47.1Z")));
    assert_str(
        buf_str(&memories[0].out),
        "{\"time\":\"2026-11-22T05:01:47.1Z\",\"type\":\"request\",\"auth\":{\"token_type\":\"default\"},"
        "\"request\":{\"id\":\"id\",\"operation\":\"update\",\"namespace\":{\"id\":\"root\"},\"path\":\"sys/"
        "audit/test\"}}\n");
    memories[0].broken = true;
    assert_error(audit_device_test(a, d, STR("id"), 0), ERR_BAD_REQUEST,
                 "audit backend failed test message: broken");
    audit_device_unref(d);
    arena_free(a);
}

static void test_options(void **state)
{
    static const struct {
        const char *type, *options, *error;
    } rows[] = {
        {"nosuch", "{}", "unknown backend type: \"nosuch\""},
        {"", "{}", "unknown backend type: \"\""},
        {"memory", "{\"format\":\"xml\"}", "unknown format type \"xml\""},
        {"memory", "{\"log_raw\":\"maybe\"}", "strconv.ParseBool: parsing \"maybe\": invalid syntax"},
        {"memory", "{\"hmac_accessor\":\"\"}", "strconv.ParseBool: parsing \"\": invalid syntax"},
        {"memory", "{\"elide_list_responses\":\"2\"}", "strconv.ParseBool: parsing \"2\": invalid syntax"},
        {"memory", "{\"slot\":\"none\"}", "no such slot"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *a = arena_new(0);
        struct json *entry = json_object(a), *options;
        struct audit_device *d = NULL;

        assert_ok(json_parse(a, str_from_cstr(rows[i].options), false, &options));
        json_set_str(a, entry, STR("type"), str_from_cstr(rows[i].type));
        json_set(a, entry, STR("options"), options);
        assert_error(audit_device_new(a, entry, SALT, &d), ERR_BAD_REQUEST, rows[i].error);
        assert_null(d);
        arena_free(a);
    }
}

/* Lines of many requests go out in one write; one working device is enough. */
static void test_writing(void **state)
{
    struct arena *a = arena_new(0);
    struct audit_set *empty = audit_set_changed(NULL, NULL, (str){0});
    struct audit_set *one = audit_set_changed(empty, device(a, "a/", "{\"slot\":\"1\"}"), (str){0});
    struct audit_set *two = audit_set_changed(one, device(a, "b/", "{\"slot\":\"2\"}"), (str){0});
    struct request rq = read_request(a);
    struct response rs = {0};
    struct audit_event e = {.rq = &rq, .decision = &root_decision};
    struct audit_lines request, response;

    (void)state;
    assert_true(audit_set_is_empty(empty) && audit_set_is_empty(NULL) && !audit_set_is_empty(two));
    assert_ptr_equal(audit_set_find(two, STR("a/")), one->devices[0]);
    assert_null(audit_set_find(two, STR("c/")));
    audit_make_request(a, two, &e, &request);
    e.rs = &rs;
    e.request_lines = &request;
    audit_make_response(a, two, &e, &response);
    assert_ptr_equal(request.hashes, response.hashes);
    const struct audit_lines *both[] = {&request, &response};

    assert_true(audit_write(a, two, both, 2));
    for (int slot = 1; slot < 3; slot++) {
        str out = buf_str(&memories[slot].out);

        assert_int_equal(memories[slot].writes, 1);
        assert_int_equal(out.n, request.lines[slot - 1].n + response.lines[slot - 1].n);
        assert_true(str_starts(out, str_from_bytes(request.lines[slot - 1])));
        assert_true(str_ends(out, str_from_bytes(response.lines[slot - 1])));
    }
    memories[1].broken = true;
    assert_true(audit_write(a, two, both, 1));
    memories[2].broken = true;
    assert_false(audit_write(a, two, both, 2));
    assert_true(audit_write(a, empty, NULL, 0));
    audit_reopen(two);
    assert_int_equal(memories[1].reopens, 1);
    struct audit_set *last = audit_set_changed(two, NULL, STR("a/"));

    audit_set_unref(two);
    audit_set_unref(one);
    assert_null(memories[1].arena); /* closed with its last set */
    assert_non_null(memories[2].arena);
    assert_int_equal(last->n, 1);
    audit_set_unref(audit_set_ref(last));
    audit_set_unref(last);
    assert_null(memories[2].arena);
    audit_set_unref(empty);
    arena_free(a);
}

static void test_client_id(void **state)
{
    struct arena *a = arena_new(0);
    struct token_entry te = root_token;

    (void)state;
    assert_str(audit_client_id(a, &te), "0DHqvq2D77kL2/JTPSZkTMJbkFVmUu0TzMi0jiXcFy8=");
    te.namespace_id = STR("root");
    assert_str(audit_client_id(a, &te), "0DHqvq2D77kL2/JTPSZkTMJbkFVmUu0TzMi0jiXcFy8=");
    te.entity_id = STR("entity");
    assert_str(audit_client_id(a, &te), "entity");
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
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_raw_device),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_wrapped),
        cmocka_unit_test(test_denied_by_policy),
        cmocka_unit_test(test_error_is_not_shown),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_plain_keys),
        cmocka_unit_test(test_lists_and_bodies),
        cmocka_unit_test(test_jsonx),
        cmocka_unit_test(test_test_entry),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_writing),
        cmocka_unit_test(test_client_id),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
