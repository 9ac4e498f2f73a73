/* Tokens on a whole core: creation rules, use counts, trees, expiry, a restart in the middle. */
#include "base/fault.h"
#include "core/active.h"
#include "core/active_private.h"
#include "core/lease/lease.h"
#include "rig.h"

#include <stdatomic.h>

static struct rig r;
static const char *storage_type;
static bool with_faults; /* misses, failed groups and changed versions at random: no answer may differ */

static int setup(void **state)
{
    (void)state;
    rig_init(&r, storage_type);
#ifdef COFFER_FAULTS
    if (with_faults)
        assert_true(fault_set(STR("lru_miss=1/4")) && fault_set(STR("commit_group=1/5")) &&
                    fault_set(STR("version_changed=1/4")));
#endif
    rig_must(&r, 204, OP_UPDATE, "sys/policies/acl/maker", r.root,
             "{\"policy\":\"path \\\"auth/token/create\\\" { capabilities = [\\\"update\\\"] }\"}");
    rig_must(
        &r, 204, OP_UPDATE, "sys/policies/acl/sudoer", r.root,
        "{\"policy\":\"path \\\"auth/token/create\\\" { capabilities = [\\\"update\\\", \\\"sudo\\\"] }\"}");
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

static str make(str parent, const char *body)
{
    return rig_must(&r, 200, OP_UPDATE, "auth/token/create", parent, body).auth->client_token;
}

static const char *json_with(const char *name, str value)
{
    return arena_cstr(r.arena, arena_fmt(r.arena, "{\"%s\":\"%.*s\"}", name, PSTR(value)));
}

static bool is_alive(str token)
{
    return rig_call(&r, OP_READ, "auth/token/lookup-self", token, NULL).status == 200;
}

static int64_t number(const struct answer *a, const char *name)
{
    return json_get_int(a->data, str_from_cstr(name));
}

static void test_lookup(void **state)
{
    struct answer made = rig_must(&r, 200, OP_UPDATE, "auth/token/create", r.root,
                                  "{\"policies\":[\"default\"],\"ttl\":\"10m\",\"meta\":{\"a\":\"b\"},"
                                  "\"display_name\":\"My T\xc3\xb6\xc3\xb6l!\"}");
    str token = made.auth->client_token;

    (void)state;
    assert_int_equal(token.n, 95);
    assert_int_equal(made.auth->ttl_ns, 600 * NS_PER_S);
    struct answer a = rig_must(&r, 200, OP_READ, "auth/token/lookup-self", token, NULL);

    assert_str(json_get_str(a.data, STR("display_name")), "token-My-T--l");
    assert_true(str_eq(json_get_str(a.data, STR("id")), token));
    assert_str(json_get_str(a.data, STR("path")), "auth/token/create");
    assert_str(json_text(r.arena, json_get(a.data, STR("meta"))), "{\"a\":\"b\"}");
    assert_int_equal(number(&a, "ttl"), 600);
    assert_true(json_get_bool(a.data, STR("renewable")));
    assert_false(json_get_bool(a.data, STR("orphan")));
    assert_str(json_get_str(a.data, STR("expire_time")), "2026-11-22T04:46:28Z");
    a = rig_must(&r, 200, OP_UPDATE, "auth/token/lookup-accessor", r.root,
                 json_with("accessor", made.auth->accessor));
    assert_str(json_get_str(a.data, STR("id")), "");
    a = rig_must(&r, 200, OP_READ, "auth/token/lookup-self", r.root, NULL);
    assert_true(json_is_null(json_get(a.data, STR("expire_time"))));
    assert_null(json_get(a.data, STR("renewable")));
    assert_int_equal(rig_call(&r, OP_READ, "auth/token/lookup-self", STR("hvs.bad"), NULL).status, 403);
    assert_str(rig_must(&r, 403, OP_UPDATE, "auth/token/lookup", r.root, "{\"token\":\"hvs.bad\"}").error,
               "bad token");
}

static const struct {
    const char *by, *body;
    int status;
    const char *text; /* the error, or the policies given */
} create_rows[] = {
    {"root", "{}", 200, "root"},
    {"root", "{\"policies\":[\"Beta\",\"alpha\",\" beta \"]}", 200, "alpha,beta,default"},
    {"root", "{\"policies\":[\"a\"],\"no_default_policy\":true}", 200, "a"},
    {"root", "{\"policies\":[\"root\",\"a\"]}", 200, "root"},
    {"root", "{\"policies\":[\"response-wrapping\"]}", 400, "cannot assign policy \"response-wrapping\""},
    {"root", "{\"num_uses\":-1}", 400, "number of uses cannot be negative"},
    {"root", "{\"ttl\":\"-1h\"}", 400, "ttl must be positive"},
    {"root", "{\"period\":\"-1h\"}", 400, "period must be positive"},
    {"root", "{\"ttl\":\"long\"}", 400, "time: invalid duration \"long\""},
    {"root", "{\"type\":\"odd\"}", 400, "invalid 'token_type' value"},
    {"root", "{\"type\":\"batch\"}", 400, "batch tokens cannot be root tokens"},
    {"root", "{\"id\":\"a.b\"}", 400, "custom token ID cannot have a '.' in the value"},
    {"root", "{\"id\":\"s.b\"}", 400, "custom token ID cannot have the 's.' prefix"},
    {"root", "{\"id\":\"hvs.b\"}", 400, "custom token ID cannot have the 'hvs.' prefix"},
    {"root", "{\"id\":\"own\",\"policies\":[\"a\"]}", 200, "a,default"},
    {"root", "{\"id\":\"own\"}", 400, "cannot create a token with a duplicate ID"},
    {"root", "{\"entity_alias\":\"x\"}", 400,
     "'entity_alias' is only allowed in combination with token role"},
    {"maker", "{}", 200, "default,maker"},
    {"maker", "{\"policies\":[\"maker\"]}", 200, "default,maker"},
    {"maker", "{\"policies\":[\"default\"]}", 200, "default"},
    {"maker", "{\"policies\":[\"other\"]}", 400, "child policies must be subset of parent"},
    {"maker", "{\"policies\":[\"Root\"]}", 400, "child policies must be subset of parent"},
    {"maker", "{\"no_parent\":true}", 400, "root or sudo privileges required to create orphan token"},
    {"maker", "{\"period\":\"1h\"}", 400, "root or sudo privileges required to create periodic token"},
    {"maker", "{\"id\":\"zzz\"}", 400, "root or sudo privileges required to specify token id"},
    {"sudoer", "{\"policies\":[\"other\"]}", 200, "default,other"},
    {"sudoer", "{\"policies\":[\"root\"]}", 400,
     "root tokens may not be created without parent token being root"},
    {"sudoer", "{\"period\":\"1h\"}", 200, "default,sudoer"},
    {"sudoer", "{\"no_parent\":true}", 200, "default,sudoer"},
    {"limited", "{}", 400, "restricted use token cannot generate child tokens"},
    {"expiring", "{}", 400, "expiring root tokens cannot create non-expiring root tokens"},
    {"expiring", "{\"ttl\":\"1h\"}", 200, "root"},
};

static void test_create(void **state)
{
    str maker = make(r.root, "{\"policies\":[\"maker\"]}"),
        sudoer = make(r.root, "{\"policies\":[\"sudoer\"]}");
    str expiring = make(r.root, "{\"ttl\":\"1h\"}");

    (void)state;
    for (size_t i = 0; i < COUNT_OF(create_rows); i++) {
        str by = str_from_cstr(create_rows[i].by);
        str token = str_eq(by, STR("maker"))      ? maker
                    : str_eq(by, STR("sudoer"))   ? sudoer
                    : str_eq(by, STR("expiring")) ? expiring
                    : str_eq(by, STR("limited"))  ? make(r.root, "{\"policies\":[\"maker\"],\"num_uses\":2}")
                                                  : r.root;
        struct answer a =
            rig_must(&r, create_rows[i].status, OP_UPDATE, "auth/token/create", token, create_rows[i].body);
        str text = a.error;

        for (size_t k = 0; a.auth && k < a.auth->n_policies; k++)
            text = arena_fmt(r.arena, "%.*s%s%.*s", PSTR(text), k ? "," : "", PSTR(a.auth->policies[k]));
        assert_str(text, create_rows[i].text);
    }
}

static void test_times(void **state)
{
    struct answer a = rig_must(&r, 200, OP_UPDATE, "auth/token/create", r.root,
                               "{\"policies\":[\"default\"],\"ttl\":\"9999h\"}");

    (void)state;
    assert_int_equal(a.n_warnings, 1);
    assert_str(
        a.warnings[0],
        "TTL of \"9999h\" exceeded the effective max_ttl of \"768h\"; TTL value is capped accordingly");
    str token = make(r.root, "{\"policies\":[\"default\"],\"ttl\":\"1m\",\"explicit_max_ttl\":\"2m\"}");

    clock_manual_advance(r.clock, 30 * NS_PER_S);
    a = rig_must(&r, 200, OP_UPDATE, "auth/token/renew-self", token, "{\"increment\":\"1h\"}");
    assert_int_equal(a.auth->ttl_ns, 90 * NS_PER_S);
    assert_str(a.warnings[0],
               "TTL of \"1h\" exceeded the effective max_ttl of \"1m30s\"; TTL value is capped accordingly");
    a = rig_must(&r, 200, OP_READ, "auth/token/lookup-self", token, NULL);
    assert_int_equal(number(&a, "ttl"), 90);
    assert_non_null(json_get(a.data, STR("last_renewal")));
    clock_manual_advance(r.clock, 90 * NS_PER_S);
    assert_false(is_alive(token));

    token = make(r.root, "{\"policies\":[\"default\"],\"renewable\":false}");
    assert_str(rig_must(&r, 400, OP_UPDATE, "auth/token/renew-self", token, NULL).error,
               "lease is not renewable");
    assert_str(rig_must(&r, 400, OP_UPDATE, "auth/token/renew-self", r.root, NULL).error, "invalid lease ID");
    assert_str(rig_must(&r, 400, OP_UPDATE, "auth/token/renew", r.root, "{\"token\":\"hvs.bad\"}").error,
               "token not found");
}

static void test_uses(void **state)
{
    static const int64_t shown[] = {2, 1, -1};
    str token = make(r.root, "{\"policies\":[\"default\"],\"num_uses\":3}");

    (void)state;
    for (size_t i = 0; i < COUNT_OF(shown); i++) {
        struct answer a = rig_must(&r, 200, OP_READ, "auth/token/lookup-self", token, NULL);

        assert_int_equal(number(&a, "num_uses"), shown[i]);
    }
    assert_false(is_alive(token));

    /* a refused request spends a use too */
    token = make(r.root, "{\"policies\":[\"default\"],\"num_uses\":1}");
    rig_must(&r, 403, OP_READ, "sys/mounts", token, NULL);
    assert_false(is_alive(token));
}

/* Entries below a core view. */
static size_t count_below(const char *prefix)
{
    str *names, *more;
    size_t n, n_more, total = 0;

    assert_ok(storage_list(r.storage, r.arena, str_from_cstr(prefix), &names, &n));
    for (size_t i = 0; i < n; i++) {
        if (!str_ends(names[i], STR("/"))) {
            total++;
            continue;
        }
        str below = arena_fmt(r.arena, "%s%.*s", prefix, PSTR(names[i]));

        assert_ok(storage_list(r.storage, r.arena, below, &more, &n_more));
        total += n_more ? count_below(arena_cstr(r.arena, below)) : 0;
    }
    return total;
}

struct counts {
    size_t id, accessor, parent, lease, pending, cubbyhole;
};

static struct counts counts(void)
{
    return (struct counts){count_below("sys/token/id/"),        count_below("sys/token/accessor/"),
                           count_below("sys/token/parent/"),    count_below("sys/expire/id/"),
                           count_below("core/coffer-pending/"), count_below("logical/")};
}

static void check_counts(struct counts before)
{
    struct counts now = counts();

    assert_memory_equal(&before, &now, sizeof(now));
}

/* Wide, deep and with much in its cubbyhole: everything goes, and nothing of others. */
static void test_revoke_tree(void **state)
{
    str orphan;
    struct counts before = counts();
    str top = make(r.root, "{\"ttl\":\"1h\"}"), at = top;
    char path[64];

    (void)state;
    for (int i = 0; i < 40; i++)
        make(top, "{\"ttl\":\"1h\"}");
    for (int i = 0; i < 30; i++)
        at = make(at, "{\"ttl\":\"1h\"}");
    for (int i = 0; i < 150; i++) {
        snprintf(path, sizeof(path), "cubbyhole/%d/x", i);
        rig_must(&r, 204, OP_UPDATE, path, at, "{\"a\":1}");
    }
    orphan = rig_must(&r, 200, OP_UPDATE, "auth/token/create-orphan", top, "{\"policies\":[\"default\"]}")
                 .auth->client_token;
    rig_must(&r, 204, OP_UPDATE, "auth/token/revoke-self", top, NULL);
    assert_false(is_alive(top));
    assert_false(is_alive(at));
    assert_true(is_alive(orphan));
    rig_must(&r, 204, OP_UPDATE, "auth/token/revoke", r.root, json_with("token", orphan));
    check_counts(before);
}

static void test_revoke_orphan(void **state)
{
    struct counts before = counts();
    str top = make(r.root, "{\"ttl\":\"1h\"}"), child[70];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(child); i++)
        child[i] = make(top, "{\"policies\":[\"default\"]}");
    rig_must(&r, 204, OP_UPDATE, "auth/token/revoke-orphan", r.root, json_with("token", top));
    assert_false(is_alive(top));
    for (size_t i = 0; i < COUNT_OF(child); i++) {
        struct answer a = rig_must(&r, 200, OP_READ, "auth/token/lookup-self", child[i], NULL);

        assert_true(json_get_bool(a.data, STR("orphan")));
        rig_must(&r, 204, OP_UPDATE, "auth/token/revoke", r.root, json_with("token", child[i]));
    }
    check_counts(before);
    assert_str(
        rig_must(&r, 400, OP_UPDATE, "auth/token/revoke-orphan", r.root, "{\"token\":\"hvs.bad\"}").error,
        "token to revoke not found");
}

static void test_accessor(void **state)
{
    struct answer made =
        rig_must(&r, 200, OP_UPDATE, "auth/token/create", r.root, "{\"policies\":[\"default\"]}");
    const char *body = json_with("accessor", made.auth->accessor);
    bool listed = false;

    (void)state;
    struct answer a = rig_must(&r, 200, OP_LIST, "auth/token/accessors", r.root, NULL);
    const struct json *keys = json_get(a.data, STR("keys"));

    for (uint32_t i = 0; i < keys->n; i++)
        listed = listed || str_eq(keys->items[i]->text, made.auth->accessor);
    assert_true(listed);
    rig_must(&r, 204, OP_UPDATE, "auth/token/revoke-accessor", r.root, body);
    assert_false(is_alive(made.auth->client_token));
    a = rig_must(&r, 200, OP_UPDATE, "auth/token/revoke-accessor", r.root, body);
    assert_str(a.warnings[0], "No token found with this accessor");
    assert_str(rig_must(&r, 400, OP_UPDATE, "auth/token/lookup-accessor", r.root, body).error,
               "1 error occurred:\n\t* invalid accessor\n\n");
}

/* The lane is given the time that the revocations need; what is awaited is looked at, never a fixed time. */
static bool wait_for(bool (*is_so)(const void *arg), const void *arg)
{
    for (int i = 0; i < 20000; i++) {
        if (is_so(arg))
            return true;
        rig_call(&r, OP_UPDATE, "auth/token/renew-self", r.root, NULL); /* through the lane */
    }
    return false;
}

static bool counts_are(const void *arg)
{
    struct counts now = counts();

    return memcmp(arg, &now, sizeof(now)) == 0;
}

static struct lease_manager *manager(void)
{
    return active_leases(atomic_load(&r.core->active));
}

static void test_expiry(void **state)
{
    struct counts before = counts();
    size_t known = lease_manager_count(manager());
    str token[100], child;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(token); i++)
        token[i] = make(r.root, "{\"ttl\":\"720h\"}");
    child = make(token[0], "{\"ttl\":\"768h\"}");
    assert_int_equal(lease_manager_count(manager()), known + COUNT_OF(token) + 1);
    clock_manual_advance(r.clock, 719 * 3600 * NS_PER_S);
    rig_must(&r, 200, OP_UPDATE, "auth/token/renew-self", token[1], "{\"increment\":\"700h\"}");
    clock_manual_advance(r.clock, 3600 * NS_PER_S);
    assert_false(is_alive(token[0])); /* dead before it is revoked */
    assert_true(is_alive(token[1]));
    lease_manager_poke(manager());
    struct counts left = before;

    left.id++, left.accessor++, left.parent++, left.lease++;
    assert_true(wait_for(counts_are, &left));
    assert_false(is_alive(child)); /* with its parent */
    assert_true(is_alive(token[1]));
    rig_must(&r, 204, OP_UPDATE, "auth/token/revoke", r.root, json_with("token", token[1]));
    check_counts(before);
    assert_int_equal(lease_manager_count(manager()), known);
}

static bool is_loaded(const void *arg)
{
    (void)arg;
    return lease_manager_is_loaded(manager());
}

static void test_restart(void **state)
{
    str token = make(r.root, "{\"policies\":[\"default\"],\"ttl\":\"1h\"}"),
        dead = make(r.root, "{\"policies\":[\"default\"],\"ttl\":\"1m\"}");
    struct counts left = counts();

    (void)state;
    left.id--, left.accessor--, left.parent--, left.lease--;
    clock_manual_advance(r.clock, 120 * NS_PER_S);
    rig_restart(&r);
    assert_true(is_alive(token));
    assert_false(is_alive(dead));
    assert_true(wait_for(is_loaded, NULL));
    assert_true(wait_for(counts_are, &left)); /* the dead one was revoked */
    assert_int_equal(lease_manager_count(manager()), 1);
    assert_true(is_alive(token));
}

/* What a cut-short revocation leaves is finished after the next start. */
struct cut {
    str id;
};

static struct error *first_step(struct request *rq, struct response *rs)
{
    const struct cut *c = rq->internal_arg;
    bool done;

    (void)rs;
    TRY(token_revoke_step(rq, c->id, &done));
    assert_false(done);
    return NULL;
}

static _Atomic(int) internal_state; /* 0 under way, 1 done, -1 failed, as a group may */

static void internal_done(const struct error *e, void *arg)
{
    (void)arg;
    atomic_store(&internal_state, e ? -1 : 1);
}

static bool internal_ended(const void *arg)
{
    (void)arg;
    return atomic_load(&internal_state) != 0;
}

static void run_internal(handler_fn *fn, void *arg)
{
    do {
        atomic_store(&internal_state, 0);
        assert_true(internal_submit(atomic_load(&r.core->active), fn, arg, internal_done));
        assert_true(wait_for(internal_ended, NULL));
    } while (atomic_load(&internal_state) < 0);
}

static bool has_pending(const void *arg)
{
    (void)arg;
    return count_below("core/coffer-pending/") == 1;
}

static bool nothing_pending(const void *arg)
{
    (void)arg;
    return count_below("core/coffer-pending/") == 0;
}

static void test_resume(void **state)
{
    struct counts before;
    str top = make(r.root, "{\"ttl\":\"1h\"}"), inner = {0};
    struct cut cut;

    (void)state;
    rig_must(&r, 204, OP_UPDATE, "auth/token/revoke", r.root, json_with("token", top));
    before = counts();
    top = make(r.root, "{\"id\":\"cut-short\",\"ttl\":\"1h\"}");
    for (int i = 0; i < 40; i++)
        inner = make(top, "{\"ttl\":\"1h\"}");
    cut.id = STR("cut-short");
    run_internal(first_step, &cut);
    assert_true(wait_for(has_pending, NULL));
    assert_false(is_alive(top)); /* from the first step on */
    rig_restart(&r);
    assert_true(wait_for(nothing_pending, NULL));
    assert_false(is_alive(inner));
    check_counts(before);
}

/* Many leases below one path go with their tokens, others stay. */
static struct error *revoke_below(struct request *rq, struct response *rs)
{
    bool done;

    TRY(lease_revoke_prefix_step(rq, STR("auth/token/create/"), &done));
    return done ? NULL : response_again(rs);
}

static void test_prefix(void **state)
{
    struct counts before = counts();
    str stays =
        rig_must(&r, 200, OP_UPDATE, "auth/token/create-orphan", r.root, "{\"policies\":[\"default\"]}")
            .auth->client_token;

    (void)state;
    before = counts();
    for (int i = 0; i < 40; i++)
        make(make(r.root, "{\"ttl\":\"1h\"}"), "{\"ttl\":\"1h\"}");
    run_internal(revoke_below, NULL);
    assert_true(wait_for(counts_are, &before));
    assert_true(is_alive(stays));
}

static void test_cubbyhole(void **state)
{
    str a = make(r.root, "{\"policies\":[\"default\"]}"),
        own = make(r.root, "{\"id\":\"box\",\"policies\":[\"default\"]}");
    struct answer got;

    (void)state;
    rig_must(&r, 204, OP_UPDATE, "cubbyhole/dir/one", a, "{\"n\":1.50}");
    rig_must(&r, 204, OP_UPDATE, "cubbyhole/x", own, "{\"v\":1}");
    got = rig_must(&r, 200, OP_READ, "cubbyhole/dir/one", a, NULL);
    assert_str(json_text(r.arena, got.data), "{\"n\":1.50}");
    rig_must(&r, 404, OP_READ, "cubbyhole/dir/one", r.root, NULL);
    got = rig_must(&r, 200, OP_LIST, "cubbyhole/", a, NULL);
    assert_str(json_text(r.arena, got.data), "{\"keys\":[\"dir/\"]}");
    rig_must(&r, 200, OP_READ, "cubbyhole/x", own, NULL);
    assert_str(rig_must(&r, 500, OP_UPDATE, "cubbyhole/b", a, "{}").error,
               "1 error occurred:\n\t* missing data fields\n\n");
    rig_must(&r, 204, OP_DELETE, "cubbyhole/dir/one", a, NULL);
    rig_must(&r, 404, OP_LIST, "cubbyhole/", a, NULL);
    rig_must(&r, 204, OP_UPDATE, "auth/token/revoke", r.root, "{\"token\":\"box\"}");
    rig_must(&r, 204, OP_UPDATE, "auth/token/revoke", r.root, json_with("token", a));
}

/* A token without its lease, one without its entry, one whose parent is gone. */
static struct error *break_tokens(struct request *rq, struct response *rs)
{
    struct view tokens = txn_view(rq->txn, SPACE_TOKEN);
    const struct token_entry *te;

    (void)rs;
    TRY(token_find(rq, STR("leaseless"), &te));
    assert_non_null(te);
    TRY(lease_delete(rq, arena_fmt(rq->arena, "auth/token/create/%s", te->hash)));
    TRY(token_find(rq, STR("entryless"), &te));
    assert_non_null(te);
    TRY(lease_delete(rq, arena_fmt(rq->arena, "auth/token/create/%s", te->hash)));
    return view_delete(&tokens, arena_fmt(rq->arena, "id/%s", te->hash));
}

static void test_tidy(void **state)
{
    struct counts before = counts();

    (void)state;
    make(r.root, "{\"id\":\"leaseless\",\"policies\":[\"default\"]}");
    make(r.root, "{\"id\":\"entryless\",\"policies\":[\"default\"]}");
    run_internal(break_tokens, NULL);
    struct answer a = rig_must(&r, 202, OP_UPDATE, "auth/token/tidy", r.root, NULL);

    assert_int_equal(a.n_warnings, 1);
    assert_true(wait_for(counts_are, &before));
    assert_true(is_alive(r.root));
}

#ifdef COFFER_FAULTS
static bool attempts_are_used_up(const void *arg)
{
    (void)arg;
    clock_manual_advance(r.clock, 400 * NS_PER_S);
    lease_manager_poke(manager());
    return lease_manager_irrevocable(manager()) == 1;
}

/* A lease that cannot be revoked stays, marked, over a restart too; its token is dead. */
static void test_irrevocable(void **state)
{
    str token = make(r.root, "{\"policies\":[\"default\"],\"ttl\":\"1m\"}");

    (void)state;
    assert_true(fault_set(STR("storage_full=always")));
    clock_manual_advance(r.clock, 61 * NS_PER_S);
    lease_manager_poke(manager());
    assert_true(wait_for(attempts_are_used_up, NULL));
    fault_clear();
    assert_false(is_alive(token));
    rig_restart(&r);
    assert_true(wait_for(is_loaded, NULL));
    assert_false(is_alive(token));
    rig_must(&r, 204, OP_UPDATE, "auth/token/revoke", r.root,
             json_with("token", token)); /* by hand it still goes */
    assert_int_equal(lease_manager_count(manager()), 0);
}
#endif

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* A root token without an end has a lease that never expires, and loses it with its life. */
static void test_endless_root(void **state)
{
    const char *list = "sys/leases/lookup/auth/token/create/", *text = "{\"policies\":[\"root\"]}";
    int status = rig_call(&r, OP_LIST, list, r.root, NULL).status;
    struct answer made = rig_must(&r, 200, OP_UPDATE, "auth/token/create", r.root, text);
    str token = made.auth->client_token;
    struct json *d = rig_must(&r, 200, OP_READ, "auth/token/lookup-self", token, NULL).data;

    (void)state;
    assert_true(json_is_null(json_get(d, STR("expire_time"))));
    assert_true(json_get_str(d, STR("issue_time")).n > 0);
    assert_non_null(json_get(d, STR("renewable")));
    assert_false(json_get_bool(d, STR("renewable")));
    assert_str(rig_must(&r, 400, OP_UPDATE, "auth/token/renew-self", token, "{}").error,
               "lease is not renewable");
    rig_must(&r, 200, OP_LIST, list, r.root, NULL);
    clock_manual_advance(r.clock, INT64_C(86400) * 365 * 100 * NS_PER_S);
    rig_must(&r, 200, OP_READ, "auth/token/lookup-self", token, NULL);
    rig_must(&r, 204, OP_UPDATE, "auth/token/revoke-self", token, "{}");
    assert_int_equal(rig_call(&r, OP_LIST, list, r.root, NULL).status, status == 200 ? 200 : 404);
    token = rig_must(&r, 200, OP_UPDATE, "auth/token/create", r.root, text).auth->client_token;
    rig_must(&r, 204, OP_UPDATE, "sys/leases/revoke-prefix/auth/token/create", r.root, "{}");
    rig_must(&r, 403, OP_READ, "auth/token/lookup-self", token, NULL);
}

/* Its end must be a time: 2^63 ns are 292 years. */
static void test_longest(void **state)
{
    static const char *const bodies[] = {
        "{\"ttl\":\"2560000h\",\"policies\":[\"default\"]}",
        "{\"period\":\"2560000h\",\"policies\":[\"default\"]}",
        "{\"ttl\":\"2560000h\",\"type\":\"batch\",\"policies\":[\"default\"]}",
        "{\"explicit_max_ttl\":\"2560000h\"}"};

    (void)state;
    rig_must(&r, 204, OP_UPDATE, "sys/auth/token/tune", r.root, "{\"max_lease_ttl\":\"2560000h\"}");
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        str token = make(r.root, bodies[i]);
        struct answer a = rig_must(&r, 200, OP_READ, "auth/token/lookup-self", token, NULL);

        assert_true(number(&a, "ttl") > INT64_C(150) * 365 * 86400);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lookup),      TEST(test_create),        TEST(test_times),    TEST(test_uses),
        TEST(test_revoke_tree), TEST(test_revoke_orphan), TEST(test_accessor), TEST(test_expiry),
        TEST(test_restart),     TEST(test_resume),        TEST(test_prefix),   TEST(test_cubbyhole),
        TEST(test_tidy),        TEST(test_endless_root),  TEST(test_longest),
#ifdef COFFER_FAULTS
        TEST(test_irrevocable),
#endif
    };
    static const struct {
        const char *type;
        bool faults;
    } runs[] = {{"inmem", false}, {"sqlite", false}, {"file", false}, {"inmem", true}, {"sqlite", true}};
    int failed = 0;

    for (size_t i = 0; i < COUNT_OF(runs); i++) {
        storage_type = runs[i].type;
        with_faults = runs[i].faults;
        print_message("on %s%s\n", storage_type, with_faults ? " with faults" : "");
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    return failed;
}
