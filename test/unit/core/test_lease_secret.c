/* Leases of secrets on a whole core: an engine of the test's own gives them out, renews them and takes them
 * back. */
#include "base/fault.h"
#include "core/active_private.h"
#include "core/lease/lease.h"
#include "core/token/token_private.h"
#include "rig.h"

#include <stdatomic.h>

static struct rig r;
static const char *storage_type;
static bool with_faults;

/* ---- the engine: a secret is an entry out/NAME in its view ---- */

static _Atomic(bool) refuses; /* its outside world is down */

static struct error *creds_read(struct request *rq, struct response *rs)
{
    struct secret_lease *l = ARENA_NEW(rq->arena, struct secret_lease);
    str name = rng_uuid_str(rq->rng, rq->arena);

    TRY(view_put(rq->view, arena_join(rq->arena, STR("out/"), name), bytes_from_str(name)));
    json_set_str(rq->arena, response_data(rq, rs), STR("name"), name);
    *l = (struct secret_lease){.secret_type = "creds",
                               .ttl_ns = field_ns(rq, "ttl"),
                               .max_ttl_ns = field_ns(rq, "max_ttl"),
                               .renewable = !field_bool(rq, "fixed"),
                               .internal_data = json_object(rq->arena)};
    json_set_str(rq->arena, l->internal_data, STR("name"), name);
    rs->secret_lease = l;
    return NULL;
}

static struct error *creds_renew(struct request *rq, struct secret_lease *l)
{
    assert_string_equal(l->secret_type, "creds");
    assert_str(json_get_str(l->internal_data, STR("name")),
               arena_cstr(rq->arena, json_get_str(l->data, STR("name"))));
    return atomic_load(&refuses) ? error_new(rq->arena, ERR_INTERNAL, "the world is down") : NULL;
}

static struct error *creds_revoke(struct request *rq, const struct secret_lease *l)
{
    if (atomic_load(&refuses))
        return error_new(rq->arena, ERR_INTERNAL, "the world is down");
    return view_delete(rq->view,
                       arena_join(rq->arena, STR("out/"), json_get_str(l->internal_data, STR("name"))));
}

static const struct field creds_fields[] = {
    {"name", FT_STRING, FIELD_PATH, .help = "name"},
    {"ttl", FT_SECONDS, FIELD_QUERY, .help = "ttl"},
    {"max_ttl", FT_SECONDS, FIELD_QUERY, .help = "max_ttl"},
    {"fixed", FT_BOOL, FIELD_QUERY, .help = "fixed"},
    {0},
};
static const struct route routes[] = {
    {"creds/{name...}", creds_fields, .ops = {[OP_READ] = {creds_read}}, .help = "lends"}, {0}};
static const struct engine lender = {.type = "lender",
                                     .kind = ENGINE_SECRETS,
                                     .help = "lends",
                                     .routes = routes,
                                     .plugin_version = "v1",
                                     .secret_renew = creds_renew,
                                     .secret_revoke = creds_revoke};
static const struct engine *const engines[] = {&lender, NULL};

/* ---- looking ---- */

static int setup(void **state)
{
    (void)state;
    atomic_store(&refuses, false);
    rig_init_with(&r, storage_type, engines);
#ifdef COFFER_FAULTS
    if (with_faults)
        assert_true(fault_set(STR("lru_miss=1/4")) && fault_set(STR("commit_group=1/6")) &&
                    fault_set(STR("version_changed=1/5")));
#endif
    rig_must(&r, 204, OP_UPDATE, "sys/mounts/len", r.root, "{\"type\":\"lender\"}");
    rig_must(&r, 204, OP_UPDATE, "sys/policies/acl/user", r.root,
             "{\"policy\":\"path \\\"len/*\\\" { capabilities = [\\\"read\\\"] }\"}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
#ifdef COFFER_FAULTS
    fault_clear();
#endif
    rig_done(&r);
    return 0;
}

static size_t count_in(str folder)
{
    str *names;
    size_t n, total = 0;

    assert_ok(storage_list(r.storage, r.arena, folder, &names, &n));
    for (size_t i = 0; i < n; i++) {
        str path = arena_join(r.arena, folder, names[i]);

        total += str_ends(path, STR("/")) ? count_in(path) : 1;
    }
    return total;
}

struct counts {
    size_t leases, index, out;
};

static struct counts counts(void)
{
    return (struct counts){count_in(STR("sys/expire/id/len/")), count_in(STR("sys/expire/token/")),
                           count_in(STR("logical/"))};
}

static bool nothing_is_left(void)
{
    struct counts c = counts();

    return c.leases + c.index + c.out == 0;
}

static void check_one_is_left(void)
{
    struct counts c = counts();

    assert_int_equal(c.leases, 1);
    assert_int_equal(c.index, 1);
    assert_int_equal(c.out, 1);
}

static struct lease_manager *manager(void)
{
    return active_leases(atomic_load(&r.core->active));
}

/* What the manager does is awaited by going through the lane. */
static bool wait_for(bool (*is_so)(void))
{
    for (int i = 0; i < 20000; i++) {
        if (is_so())
            return true;
        lease_manager_poke(manager());
        rig_call(&r, OP_UPDATE, "auth/token/renew-self", r.root, NULL);
    }
    return false;
}

static struct answer lend(const char *name, str token, const char *query)
{
    const char *path = arena_cstr(r.arena, arena_fmt(r.arena, "len/creds/%s", name));

    return rig_must(&r, 200, OP_READ, path, token, query);
}

static str user(const char *body)
{
    return rig_must(&r, 200, OP_UPDATE, "auth/token/create", r.root, body).auth->client_token;
}

static const char *about(str lease_id, const char *more)
{
    return arena_cstr(r.arena, arena_fmt(r.arena, "{\"lease_id\":\"%.*s\"%s}", PSTR(lease_id), more));
}

/* ---- tests ---- */

static struct error *check_stored(struct request *rq, struct response *rs)
{
    const struct answer *a = rq->internal_arg;
    struct view v = txn_view(rq->txn, SPACE_EXPIRE);
    struct lease *l;

    (void)rs;
    TRY(lease_get(&v, rq->arena, a->lease_id, &l));
    assert_non_null(l);
    const struct json *secret = json_get(l->stored, STR("secret"));

    assert_false(l->of_token);
    assert_int_equal(l->token_type, TOKEN_SERVICE);
    assert_str(l->path, "len/creds/a/b");
    assert_true(json_is_null(json_get(l->stored, STR("auth"))));
    assert_int_equal(json_get_int(l->stored, STR("version")), 1);
    assert_int_equal(json_get_int(secret, STR("lease")), 600 * NS_PER_S);
    assert_int_equal(json_get_int(secret, STR("max_ttl")), 1800 * NS_PER_S);
    assert_true(json_get_bool(secret, STR("renewable")));
    assert_str(json_get_str(json_get(secret, STR("internal_data")), STR("secret_type")), "creds");
    assert_true(json_eq(json_get(l->stored, STR("data")), a->data));
    return NULL;
}

static void test_life(void **state)
{
    str token = user("{\"policies\":[\"user\"],\"ttl\":\"1h\"}");
    struct answer a = lend("a/b", token, "{\"ttl\":\"600\",\"max_ttl\":\"1800\"}"), b;

    (void)state;
    assert_true(str_starts(a.lease_id, STR("len/creds/a/b/")));
    assert_int_equal(a.lease_id.n, STR("len/creds/a/b/").n + 24);
    assert_int_equal(a.lease_duration_s, 600);
    assert_true(a.renewable);
    check_one_is_left();
    assert_ok(active_run(atomic_load(&r.core->active), r.arena, check_stored, &a));
    b = rig_must(&r, 200, OP_UPDATE, "sys/leases/lookup", r.root, about(a.lease_id, ""));
    assert_int_equal(json_get_int(b.data, STR("ttl")), 600);
    assert_true(json_get_bool(b.data, STR("renewable")));
    assert_true(json_is_null(json_get(b.data, STR("last_renewal"))));
    clock_manual_advance(r.clock, 500 * NS_PER_S);
    b = rig_must(&r, 200, OP_UPDATE, "sys/leases/renew", r.root, about(a.lease_id, ",\"increment\":1000"));
    assert_true(str_eq(b.lease_id, a.lease_id));
    assert_int_equal(b.lease_duration_s, 1000);
    clock_manual_advance(r.clock, 900 * NS_PER_S);
    rig_restart(&r); /* the lease is there as it was */
    b = rig_must(&r, 200, OP_UPDATE, "sys/renew", r.root, about(a.lease_id, ",\"increment\":1000"));
    assert_int_equal(b.lease_duration_s, 400); /* 1800 since it was given out */
    assert_int_equal(b.n_warnings, 1);
    rig_must(&r, 204, OP_UPDATE, "sys/leases/revoke", r.root, about(a.lease_id, ""));
    assert_true(nothing_is_left());
    rig_must(&r, 204, OP_UPDATE, "sys/leases/revoke", r.root, about(a.lease_id, ""));
    assert_str(rig_must(&r, 400, OP_UPDATE, "sys/leases/renew", r.root, about(a.lease_id, "")).error,
               "lease not found");
}

static void test_refusals(void **state)
{
    str fixed = lend("x", r.root, "{\"fixed\":\"true\"}").lease_id, other = lend("x", r.root, NULL).lease_id;

    (void)state;
    assert_str(rig_must(&r, 400, OP_UPDATE, "sys/leases/renew", r.root, about(fixed, "")).error,
               "lease is not renewable");
    atomic_store(&refuses, true);
    assert_str(rig_must(&r, 400, OP_UPDATE, "sys/leases/renew", r.root, about(other, "")).error,
               "failed to renew entry: the world is down");
    assert_str(rig_must(&r, 400, OP_UPDATE, "sys/leases/revoke", r.root, about(other, "")).error,
               "failed to revoke entry: the world is down");
    rig_must(&r, 400, OP_UPDATE, "sys/leases/revoke-prefix/len/creds", r.root, NULL);
    assert_int_equal(counts().leases, 2);
    rig_must(&r, 204, OP_UPDATE, "sys/leases/revoke-force/len", r.root, NULL);
    assert_int_equal(counts().leases, 0);
    assert_int_equal(counts().index, 0);
    assert_int_equal(counts().out, 2); /* force leaves what the engine did not undo */
}

static void test_expiry(void **state)
{
    (void)state;
    lend("x", r.root, "{\"ttl\":\"60\"}");
    str later = lend("x", r.root, "{\"ttl\":\"120\"}").lease_id;

    clock_manual_advance(r.clock, 61 * NS_PER_S);
    for (int i = 0; i < 20000 && counts().leases > 1; i++) {
        lease_manager_poke(manager());
        rig_call(&r, OP_UPDATE, "auth/token/renew-self", r.root, NULL);
    }
    assert_int_equal(counts().leases, 1);
    rig_must(&r, 200, OP_UPDATE, "sys/leases/lookup", r.root, about(later, ""));
    clock_manual_advance(r.clock, 60 * NS_PER_S);
    assert_true(wait_for(nothing_is_left));
}

/* More leases than a step takes, of the token and of its child: all end with it. */
static void test_token_revoked(void **state)
{
    str token = user("{\"policies\":[\"user\"],\"ttl\":\"1h\"}");

    (void)state;
    for (int i = 0; i < 100; i++)
        lend("x", token, NULL);
    str other = lend("x", r.root, NULL).lease_id;

    rig_must(&r, 204, OP_UPDATE, "auth/token/revoke-self", token, NULL);
    rig_must(&r, 403, OP_READ, "len/creds/x", token, NULL);
    for (int i = 0; i < 20000 && counts().leases > 1; i++) {
        lease_manager_poke(manager());
        rig_call(&r, OP_UPDATE, "auth/token/renew-self", r.root, NULL);
    }
    check_one_is_left();
    rig_must(&r, 204, OP_UPDATE, "sys/leases/revoke", r.root, about(other, ""));
    assert_true(nothing_is_left());
}

static bool is_given_up(void)
{
    clock_manual_advance(r.clock, 400 * NS_PER_S);
    return lease_manager_irrevocable(manager()) == 1;
}

static void test_irrevocable(void **state)
{
    (void)state;
    str id = lend("x", r.root, "{\"ttl\":\"60\"}").lease_id;

    atomic_store(&refuses, true);
    clock_manual_advance(r.clock, 61 * NS_PER_S);
    assert_true(wait_for(is_given_up));
    struct answer a = rig_must(&r, 200, OP_READ, "sys/leases", r.root, "{\"type\":\"irrevocable\"}");

    assert_int_equal(json_get_int(a.data, STR("lease_count")), 1);
    const struct json *one = json_get(a.data, STR("leases"))->items[0];

    assert_true(str_eq(json_get_str(one, STR("lease_id")), id));
    for (int i = 0; i < 20000 && json_get_str(one, STR("error")).n == 0; i++) { /* the mark follows */
        a = rig_must(&r, 200, OP_READ, "sys/leases", r.root, "{\"type\":\"irrevocable\",\"limit\":\"none\"}");
        one = json_get(a.data, STR("leases"))->items[0];
    }
    assert_str(json_get_str(one, STR("error")), "failed to revoke entry: the world is down");
    a = rig_must(&r, 200, OP_READ, "sys/leases/count", r.root, "{\"type\":\"irrevocable\"}");
    assert_int_equal(json_get(a.data, STR("counts"))->n, 1);
    atomic_store(&refuses, false);
    rig_must(&r, 204, OP_UPDATE, "sys/leases/revoke", r.root, about(id, ""));
    assert_true(nothing_is_left());
    assert_int_equal(lease_manager_irrevocable(manager()), 0);
}

/* Below a prefix with folders in it, at once and in the background. */
static void test_prefix(void **state)
{
    (void)state;
    for (int later = 0; later < 2; later++) {
        for (int i = 0; i < 60; i++)
            lend(i % 3 == 0 ? "a/b/c" : i % 3 == 1 ? "a/b" : "a", r.root, NULL);
        str other = lend("b", r.root, NULL).lease_id;
        struct answer a = rig_must(&r, 200, OP_LIST, "sys/leases/lookup/len/creds/a/b", r.root, NULL);

        assert_int_equal(json_get(a.data, STR("keys"))->n, 21);
        rig_must(&r, later ? 202 : 204, OP_UPDATE, "sys/leases/revoke-prefix/len/creds/a", r.root,
                 later ? "{\"sync\":false}" : NULL);
        for (int i = 0; i < 20000 && later && counts().leases > 1; i++) {
            lease_manager_poke(manager());
            rig_call(&r, OP_UPDATE, "auth/token/renew-self", r.root, NULL);
        }
        assert_int_equal(counts().leases, 1);
        rig_must(&r, later ? 202 : 204, OP_UPDATE,
                 arena_cstr(r.arena, arena_fmt(r.arena, "sys/leases/revoke-prefix/%.*s", PSTR(other))),
                 r.root, later ? "{\"sync\":false}" : NULL);
        assert_true(wait_for(nothing_is_left));
    }
}

static void test_unmount(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++)
        lend("x", r.root, NULL);
    atomic_store(&refuses, true);
    rig_must(&r, 400, OP_DELETE, "sys/mounts/len", r.root, NULL);
    atomic_store(&refuses, false);
    rig_must(&r, 204, OP_DELETE, "sys/mounts/len", r.root, NULL);
    assert_true(nothing_is_left());
}

static void test_remount(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++)
        lend("x", r.root, NULL);
    rig_must(&r, 200, OP_UPDATE, "sys/remount", r.root, "{\"from\":\"len\",\"to\":\"lender\"}");
    assert_true(nothing_is_left());
    assert_true(str_starts(rig_must(&r, 200, OP_READ, "lender/creds/x", r.root, NULL).lease_id,
                           STR("lender/creds/x/")));
}

/* A secret lives no longer than the batch token that asked for it, and ends with that one's parent. */
static void test_batch(void **state)
{
    str parent = user("{\"policies\":[\"root\"],\"ttl\":\"1h\"}");
    str batch = rig_must(&r, 200, OP_UPDATE, "auth/token/create", parent,
                         "{\"type\":\"batch\",\"policies\":[\"user\"],\"ttl\":\"10m\"}")
                    .auth->client_token;
    struct answer a = lend("x", batch, "{\"ttl\":\"3600\"}"), b;

    (void)state;
    assert_int_equal(a.lease_duration_s, 600);
    clock_manual_advance(r.clock, 300 * NS_PER_S);
    b = rig_must(&r, 200, OP_UPDATE, "sys/leases/renew", r.root, about(a.lease_id, ",\"increment\":1000"));
    assert_int_equal(b.lease_duration_s, 300);
    rig_must(&r, 204, OP_UPDATE, "auth/token/revoke-self", parent, NULL);
    assert_true(wait_for(nothing_is_left));
    batch = user("{\"type\":\"batch\",\"policies\":[\"user\"],\"ttl\":\"10m\",\"no_parent\":true}");
    a = lend("x", batch, "{\"ttl\":\"3600\"}");
    assert_int_equal(counts().index, 0); /* there is nobody to end it early */
    clock_manual_advance(r.clock, 600 * NS_PER_S);
    assert_true(wait_for(nothing_is_left));
}

static struct error *forget_token(struct request *rq, struct response *rs)
{
    const str *token = rq->internal_arg;
    struct view v = txn_view(rq->txn, SPACE_TOKEN), expire = txn_view(rq->txn, SPACE_EXPIRE);
    const struct token_entry *te;

    (void)rs;
    TRY(token_find_live(rq, *token, &te));
    if (!te)
        return NULL;
    TRY(view_put(&expire, STR("token/none/none"), bytes_from_str(STR("len/creds/none"))));
    TRY(lease_delete(rq, token_lease_id(rq->arena, te)));
    return view_delete(&v, arena_fmt(rq->arena, "id/%s", te->hash));
}

/* Leases whose token is gone, an index entry that points nowhere. */
static void test_tidy(void **state)
{
    str token = user("{\"policies\":[\"user\"],\"ttl\":\"1h\",\"id\":\"gone\"}");

    (void)state;
    lend("x", token, NULL);
    for (int i = 0; i < 50; i++) { /* a group may fail */
        struct error *e = active_run(atomic_load(&r.core->active), r.arena, forget_token, &token);

        if (!e)
            break;
    }
    assert_int_equal(counts().index, 2);
    rig_must(&r, 202, OP_UPDATE, "sys/leases/tidy", r.root, NULL);
    for (int i = 0; i < 20000 && !nothing_is_left(); i++) {
        lease_manager_poke(manager());
        if (i % 100 == 99) /* what failed is taken by the next run */
            rig_must(&r, 202, OP_UPDATE, "sys/leases/tidy", r.root, NULL);
        rig_call(&r, OP_UPDATE, "auth/token/renew-self", r.root, NULL);
    }
    assert_true(nothing_is_left());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_life),        TEST(test_refusals), TEST(test_expiry),  TEST(test_token_revoked),
        TEST(test_irrevocable), TEST(test_prefix),   TEST(test_unmount), TEST(test_remount),
        TEST(test_batch),       TEST(test_tidy),
    };
    static const struct {
        const char *type;
        bool faults;
    } runs[] = {
        {"inmem", false}, {"sqlite", false}, {"file", false},
#ifdef COFFER_FAULTS
        {"inmem", true},  {"sqlite", true},
#endif
    };
    int failed = 0;

    for (size_t i = 0; i < COUNT_OF(runs); i++) {
        storage_type = runs[i].type;
        with_faults = runs[i].faults;
        print_message("on %s%s\n", storage_type, with_faults ? " with faults" : "");
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    return failed;
}
