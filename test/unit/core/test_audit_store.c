/* Audit devices on a whole core: enabling, entries of requests, disabling, a restart, failing devices. */
#include "base/fault.h"
#include "core/active_private.h"
#include "core/audit/audit_private.h"
#include "rig.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct rig r;
static str path;

static int setup(void **state)
{
    char name[] = "/tmp/coffer-audit-XXXXXX";
    int fd = mkstemp(name);

    (void)state;
    if (fd < 0)
        return 1;
    close(fd);
    rig_init(&r, "file");
    path = arena_fmt(r.arena, "%s", name);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
#ifdef COFFER_FAULTS
    fault_clear();
#endif
    unlink(path.p);
    rig_done(&r);
    return 0;
}

static struct answer enable(const char *at, str file, const char *more)
{
    const char *body =
        arena_fmt(r.arena, "{\"type\":\"file\",\"options\":{\"file_path\":\"%.*s\"}%s}", PSTR(file), more).p;

    return rig_call(&r, OP_UPDATE, at, r.root, body);
}

static str content(void)
{
    FILE *f = fopen(path.p, "re");
    char *text = arena_alloc(r.arena, 100000);
    size_t n = f ? fread(text, 1, 100000, f) : 0;

    if (f)
        fclose(f);
    return (str){text, n};
}

/* "type operation path" of each entry. */
static str entries(void)
{
    str left = content(), line, out = {0};
    struct json *e;

    while (str_cut(left, '\n', &line, &left)) {
        assert_ok(json_parse(r.arena, line, false, &e));
        const struct json *rq = json_get(e, STR("request"));

        out = arena_fmt(r.arena, "%.*s%.*s %.*s %.*s\n", PSTR(out), PSTR(json_get_str(e, STR("type"))),
                        PSTR(json_get_str(rq, STR("operation"))), PSTR(json_get_str(rq, STR("path"))));
    }
    return out;
}

static void test_life(void **state)
{
    (void)state;
    assert_int_equal(enable("sys/audit/f", path, "").status, 204);
    rig_must(&r, 200, OP_READ, "sys/policies/acl/default", r.root, NULL);
    rig_must(&r, 204, OP_DELETE, "sys/audit/f", r.root, NULL);
    rig_must(&r, 200, OP_READ, "sys/policies/acl/default", r.root, NULL);
    rig_must(&r, 204, OP_DELETE, "sys/audit/f", r.root, NULL);
    assert_str(entries(), "request update sys/audit/test\n"
                          "response update sys/audit/f\n"
                          "request read sys/policies/acl/default\n"
                          "response read sys/policies/acl/default\n"
                          "request delete sys/audit/f\n");
}

static void test_hash_and_restart(void **state)
{
    struct answer a;

    (void)state;
    assert_int_equal(enable("sys/audit/f", path, ",\"local\":true").status, 204);
    a = rig_must(&r, 200, OP_UPDATE, "sys/audit-hash/f", r.root, "{\"input\":\"MARKER-ONE\"}");
    str hash = json_get_str(a.data, STR("hash"));

    rig_must(&r, 204, OP_UPDATE, "sys/policies/acl/one", r.root, "{\"policy\":\"# MARKER-TWO\"}");
    rig_restart(&r);
    a = rig_must(&r, 200, OP_UPDATE, "sys/audit-hash/f", r.root, "{\"input\":\"MARKER-ONE\"}");
    assert_true(str_eq(json_get_str(a.data, STR("hash")), hash));
    str text = content();

    assert_true(str_find(text, hash) < text.n);
    assert_int_equal(str_find(text, STR("MARKER")), text.n);
    assert_int_equal(str_find(text, r.root), text.n);
    a = rig_must(&r, 200, OP_READ, "sys/audit", r.root, NULL);
    assert_true(json_get_bool(json_get(a.data, STR("f/")), STR("local")));
}

static void test_refusals(void **state)
{
    (void)state;
    assert_int_equal(enable("sys/audit/a/b", path, "").status, 204);
    assert_str(enable("sys/audit/a", path, "").error, "path already in use");
    assert_str(enable("sys/audit/a/b/c", path, "").error, "path already in use");
    assert_str(enable("sys/audit/x", STR("/proc/none/x"), "").error,
               "sanity check failed; unable to open \"/proc/none/x\" for writing: mkdir /proc/none: no such "
               "file or directory");
    assert_str(rig_call(&r, OP_UPDATE, "sys/audit/x", r.root, "{\"type\":\"nosuch\"}").error,
               "unknown backend type: \"nosuch\"");
    assert_int_equal(rig_must(&r, 200, OP_READ, "sys/audit", r.root, NULL).data->n, 1);
}

/* A request that no device takes has no effect; with a second device that works it goes on. */
static void test_failing_device(void **state)
{
    (void)state;
#ifdef COFFER_FAULTS
    assert_int_equal(enable("sys/audit/f", path, "").status, 204);
    assert_true(fault_set(STR("audit_write=always")));
    assert_str(rig_must(&r, 500, OP_UPDATE, "sys/policies/acl/one", r.root, "{\"policy\":\"# x\"}").error,
               "internal error");
    assert_str(rig_must(&r, 500, OP_READ, "sys/policies/acl/default", r.root, NULL).error, "internal error");
    fault_clear();
    rig_must(&r, 404, OP_READ, "sys/policies/acl/one", r.root, NULL);
    assert_true(fault_set(STR("audit_write=after:0"))); /* the test entry of a new device */
    assert_str(enable("sys/audit/g", STR("discard"), "").error,
               "audit backend failed test message: write discard: injected fault");
    assert_int_equal(rig_must(&r, 200, OP_READ, "sys/audit", r.root, NULL).data->n, 1);
    assert_int_equal(enable("sys/audit/g", STR("discard"), "").status, 204);
    assert_true(fault_set(STR("audit_write=after:0"))); /* one of two devices */
    rig_must(&r, 204, OP_UPDATE, "sys/policies/acl/one", r.root, "{\"policy\":\"# x\"}");
#else
    skip();
#endif
}

static size_t shown_headers(bool *ret_hmac)
{
    struct audit_set *s = active_audit_set(atomic_load(&r.core->active));
    size_t n = s->n_headers;

    *ret_hmac = n && s->headers[0].hmac;
    audit_set_unref(s);
    return n;
}

/* What is configured holds at once, for devices to come, and after a restart. */
static void test_request_headers(void **state)
{
    bool hmac;
    struct answer a;

    (void)state;
    assert_int_equal(shown_headers(&hmac), 0);
    rig_must(&r, 204, OP_UPDATE, "sys/config/auditing/request-headers/X-One", r.root, "{\"hmac\":true}");
    rig_must(&r, 204, OP_UPDATE, "sys/config/auditing/request-headers/x-two", r.root, NULL);
    assert_int_equal(enable("sys/audit/f", path, "").status, 204);
    assert_int_equal(shown_headers(&hmac), 2);
    assert_true(hmac);
    rig_restart(&r);
    assert_int_equal(shown_headers(&hmac), 2);
    assert_true(hmac);
    rig_must(&r, 204, OP_UPDATE, "sys/config/auditing/request-headers/x-ONE", r.root, "{\"hmac\":false}");
    rig_must(&r, 204, OP_DELETE, "sys/config/auditing/request-headers/X-TWO", r.root, NULL);
    assert_int_equal(shown_headers(&hmac), 1);
    assert_false(hmac);
    a = rig_must(&r, 200, OP_READ, "sys/config/auditing/request-headers", r.root, NULL);
    assert_str(json_text(r.arena, json_get(a.data, STR("headers"))), "{\"x-one\":{\"hmac\":false}}");
    assert_str(rig_call(&r, OP_READ, "sys/config/auditing/request-headers/x-two", r.root, NULL).error,
               "Could not find header in config");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_life, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hash_and_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_request_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failing_device, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
