/* userpass on a whole core: users, logins and the entities they make, the lockout with a clock that stands
 * still, renewing. */
#include "../core/harness.h"
#include "base/fault.h"

enum { START_S = 1795322188 };

static struct harness h;
static struct clock *now;

static void start(struct harness_options o)
{
    now = clock_manual_new(START_S * NS_PER_S);
    o.clock = now;
    harness_start(&h, &o);
    harness_must(&h, 204, OP_UPDATE, "sys/auth/up", "{\"type\":\"userpass\"}");
    harness_must(&h, 204, OP_UPDATE, "auth/up/users/Ann",
                 "{\"password\":\"right\",\"token_policies\":\"dev\",\"token_ttl\":\"1h\"}");
}

static int setup(void **state)
{
    (void)state;
    start((struct harness_options){.storage_type = "inmem"});
    return 0;
}

static int setup_sqlite(void **state)
{
    (void)state;
    start((struct harness_options){.storage_type = "sqlite"});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    harness_stop(&h);
    clock_manual_free(now);
    return 0;
}

static struct answer try_login(const char *name, const char *password)
{
    return harness_call(&h, h.arena, OP_UPDATE, arena_fmt(h.arena, "auth/up/login/%s", name).p, (str){0},
                        arena_fmt(h.arena, "{\"password\":\"%s\"}", password).p);
}

static str login(const char *name, const char *password)
{
    struct answer a = try_login(name, password);

    if (a.status != 200)
        print_error("login %s: %d %.*s\n", name, a.status, PSTR(a.error));
    assert_int_equal(a.status, 200);
    return a.client_token;
}

static const struct json *lookup(str token)
{
    struct answer a = harness_call(&h, h.arena, OP_READ, "auth/token/lookup-self", token, NULL);

    assert_int_equal(a.status, 200);
    return answer_data(h.arena, &a);
}

static str entity_of(str token)
{
    return json_get_str(lookup(token), STR("entity_id"));
}

static void fails(const char *name, const char *password, int status)
{
    assert_int_equal(try_login(name, password).status, status);
}

static void test_one_spelling(void **state)
{
    str id = entity_of(login("ann", "right"));

    (void)state;
    assert_int_equal(id.n, 36);
    assert_true(str_eq(entity_of(login("ANN", "right")), id));
    assert_true(str_eq(entity_of(login("aNn", "right")), id));
    harness_must(&h, 204, OP_UPDATE, "auth/up/users/bob", "{\"password\":\"right\"}");
    assert_false(str_eq(entity_of(login("bob", "right")), id));
    assert_int_equal(try_login("a nn", "right").status, 404); /* no name */
}

static void test_entity_outlives_a_restart(void **state)
{
    str token = login("ann", "right"), id = entity_of(token);

    (void)state;
    harness_restart(&h);
    assert_true(str_eq(entity_of(token), id)); /* its bucket is read for it */
    assert_true(str_eq(entity_of(login("ann", "right")), id));
}

static void test_local_mount(void **state)
{
    str id, token;

    (void)state;
    harness_must(&h, 204, OP_UPDATE, "sys/auth/here", "{\"type\":\"userpass\",\"local\":true}");
    harness_must(&h, 204, OP_UPDATE, "auth/here/users/ann", "{\"password\":\"x\"}");
    token = harness_call(&h, h.arena, OP_UPDATE, "auth/here/login/ann", (str){0}, "{\"password\":\"x\"}")
                .client_token;
    id = entity_of(token);
    assert_false(str_eq(id, entity_of(login("ann", "right"))));
    harness_restart(&h);
    token = harness_call(&h, h.arena, OP_UPDATE, "auth/here/login/ann", (str){0}, "{\"password\":\"x\"}")
                .client_token;
    assert_true(str_eq(entity_of(token), id));
}

/* ---- many at once ---- */

struct crowd {
    struct mutex mutex;
    struct cond done;
    unsigned open, good;
    str tokens[64];
};

static void crowd_done(const struct answer *a, void *arg)
{
    struct crowd *c = arg;

    mutex_lock(&c->mutex);
    if (a->status == 200)
        c->tokens[c->good++] = arena_str(h.arena, a->client_token);
    c->open--;
    cond_signal(&c->done);
    mutex_unlock(&c->mutex);
}

static void crowd_run(struct crowd *c, unsigned n, const char *password)
{
    *c = (struct crowd){.open = n};
    mutex_init(&c->mutex);
    cond_init(&c->done);
    for (unsigned i = 0; i < n; i++)
        harness_send(&h, OP_UPDATE, "auth/up/login/ann", (str){0},
                     arena_fmt(h.arena, "{\"password\":\"%s\"}", password).p, crowd_done, c);
    mutex_lock(&c->mutex);
    while (c->open > 0)
        cond_wait(&c->done, &c->mutex);
    mutex_unlock(&c->mutex);
    cond_done(&c->done);
    mutex_done(&c->mutex);
}

static void test_first_logins_at_once(void **state)
{
    struct crowd c;

    (void)state;
#ifdef COFFER_FAULTS
    assert_true(fault_set(STR("commit_group=1/3")));
    assert_true(fault_set(STR("lru_miss=1/3")));
#endif
    crowd_run(&c, 24, "right");
#ifdef COFFER_FAULTS
    fault_clear();
#endif
    assert_int_equal(c.good, 24);
    str id = entity_of(c.tokens[0]);

    for (unsigned i = 1; i < c.good; i++)
        assert_true(str_eq(entity_of(c.tokens[i]), id));
}

/* Guesses sent side by side count like guesses one after the other. */
static void test_guesses_at_once(void **state)
{
    struct crowd c;

    (void)state;
#ifdef COFFER_FAULTS
    assert_true(fault_set(STR("commit_group=1/3")));
#endif
    crowd_run(&c, 4, "wrong");
#ifdef COFFER_FAULTS
    fault_clear();
#endif
    assert_int_equal(c.good, 0);
    fails("ann", "wrong", 400); /* the fifth, not more: a run that was void did not count */
    fails("ann", "right", 403);
}

/* ---- lockout ---- */

static struct answer locked(void)
{
    return harness_must(&h, 200, OP_READ, "sys/locked-users", NULL);
}

static str accessor(void)
{
    struct answer a = harness_must(&h, 200, OP_READ, "sys/auth/up", NULL);

    return json_get_str(answer_data(h.arena, &a), STR("accessor"));
}

static void wrong(const char *name, int n)
{
    for (int i = 0; i < n; i++)
        fails(name, "wrong", 400);
}

static void test_lockout(void **state)
{
    (void)state;
    wrong("ann", 4);
    login("Ann", "right"); /* forgets */
    wrong("ann", 4);
    fails("ANN", "wrong", 400);
    fails("ann", "right", 403);
    fails("ann", "wrong", 403);
    clock_manual_advance(now, 899 * NS_PER_S);
    fails("ann", "right", 403);
    clock_manual_advance(now, NS_PER_S);
    login("ann", "right");
    assert_str(locked().data, "{\"by_namespace\":[],\"total\":0}");
}

static void test_counter_reset(void **state)
{
    (void)state;
    wrong("ann", 4);
    clock_manual_advance(now, 901 * NS_PER_S);
    wrong("ann", 4);
    login("ann", "right");
}

/* Nobody learns whether there is such a user. */
static void test_unknown_users_lock_too(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        assert_str(try_login("nobody", "x").error, "invalid username or password");
    fails("nobody", "x", 403);
    login("ann", "right");
}

static void test_lock_is_stored(void **state)
{
    str want;

    (void)state;
    wrong("ann", 5);
    harness_restart(&h);
    fails("ann", "right", 403);
    want = arena_fmt(
        h.arena,
        "{\"by_namespace\":[{\"counts\":1,\"mount_accessors\":[{\"alias_identifiers\":[\"ann\"],\"counts\":1,"
        "\"mount_accessor\":\"%.*s\"}],\"namespace_id\":\"root\",\"namespace_path\":\"\"}],\"total\":1}",
        PSTR(accessor()));
    assert_str(locked().data, want.p);
    harness_must(&h, 204, OP_UPDATE,
                 arena_fmt(h.arena, "sys/locked-users/%.*s/unlock/ann", PSTR(accessor())).p, "{}");
    login("ann", "right");
    assert_str(locked().data, "{\"by_namespace\":[],\"total\":0}");
}

static void test_old_locks_go(void **state)
{
    (void)state;
    wrong("nobody", 5);
    clock_manual_advance(now, 3600 * NS_PER_S);
    harness_restart(&h);
    for (int i = 0; i < 1000 && !str_eq(locked().data, STR("{\"by_namespace\":[],\"total\":0}")); i++)
        ; /* removed in the background */
    assert_str(locked().data, "{\"by_namespace\":[],\"total\":0}");
}

static void test_lockout_of_a_mount(void **state)
{
    (void)state;
    harness_must(&h, 204, OP_UPDATE, "sys/auth/up/tune",
                 "{\"user_lockout_config\":{\"lockout_threshold\":\"2\",\"lockout_duration\":\"10s\"}}");
    wrong("ann", 2);
    fails("ann", "right", 403);
    clock_manual_advance(now, 10 * NS_PER_S);
    login("ann", "right");
    harness_must(&h, 204, OP_UPDATE, "sys/auth/up/tune",
                 "{\"user_lockout_config\":{\"lockout_disable\":true}}");
    wrong("ann", 3);
    login("ann", "right");
}

static void disable(struct config *c)
{
    c->disable_user_lockout = true;
}

static void test_lockout_switched_off(void **state)
{
    (void)state;
    start((struct harness_options){.configure = disable});
    wrong("ann", 6);
    login("ann", "right");
    teardown(NULL);
}

/* ---- renewing, fields ---- */

static struct answer renew(str token)
{
    return harness_call(&h, h.arena, OP_UPDATE, "auth/token/renew-self", token, "{}");
}

static void test_renewal(void **state)
{
    str token = login("ann", "right");

    (void)state;
    clock_manual_advance(now, 1800 * NS_PER_S);
    assert_int_equal(renew(token).status, 200);
    assert_int_equal(json_get_int(lookup(token), STR("ttl")), 3600);
    harness_must(&h, 204, OP_UPDATE, "auth/up/users/ann", "{\"token_ttl\":\"2h\"}");
    assert_int_equal(renew(token).status, 200);
    assert_int_equal(json_get_int(lookup(token), STR("ttl")), 7200);
    harness_must(&h, 204, OP_UPDATE, "auth/up/users/ann/policies", "{\"policies\":\"default,DEV\"}");
    assert_int_equal(renew(token).status, 200); /* the same but for spelling and default */
    harness_must(&h, 204, OP_UPDATE, "auth/up/users/ann/policies", "{\"policies\":\"dev,ops\"}");
    struct answer a = renew(token);

    assert_int_equal(a.status, 500);
    assert_str(a.error,
               "1 error occurred:\n\t* failed to renew entry: policies have changed, not renewing\n\n");
    harness_must(&h, 204, OP_DELETE, "auth/up/users/ann", NULL);
    assert_int_equal(renew(token).status, 204);
    assert_int_equal(json_get_int(lookup(token), STR("ttl")), 7200);
}

static void test_max_ttl_holds(void **state)
{
    (void)state;
    harness_must(&h, 204, OP_UPDATE, "auth/up/users/ann", "{\"token_max_ttl\":\"90m\"}");
    str token = login("ann", "right");

    clock_manual_advance(now, 3000 * NS_PER_S);
    assert_int_equal(renew(token).status, 200);
    assert_int_equal(json_get_int(lookup(token), STR("ttl")), 2400);
    clock_manual_advance(now, 2401 * NS_PER_S);
    assert_int_equal(renew(token).status, 403);
}

static void test_no_root(void **state)
{
    (void)state;
    harness_must(&h, 204, OP_UPDATE, "auth/up/users/ann", "{\"token_policies\":\"Root\"}");
    struct answer a = try_login("ann", "right");

    assert_int_equal(a.status, 400);
    assert_str(a.error, "auth methods cannot create root tokens");
    harness_must(&h, 204, OP_UPDATE, "auth/up/users/ann", "{\"token_policies\":\"response-wrapping\"}");
    assert_int_equal(try_login("ann", "right").status, 400);
}

static void test_fields(void **state)
{
    static const struct {
        const char *body, *error;
    } rows[] = {
        {"{\"token_type\":\"odd\"}", "invalid 'token_type' value \"odd\""},
        {"{\"token_ttl\":\"2h\",\"token_max_ttl\":\"1h\"}",
         "'token_ttl' cannot be greater than 'token_max_ttl'"},
        {"{\"token_num_uses\":-1}", "'token_num_uses' cannot be negative"},
        {"{\"token_type\":\"batch\",\"token_period\":\"1h\"}",
         "'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic tokens"},
        {"{\"token_type\":\"batch\",\"token_num_uses\":1}",
         "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with limited use "
         "count"},
        {"{\"bound_cidrs\":\"1.2.3.x\"}", "error parsing address \"1.2.3.x\": Unable to convert "
                                          "\"1.2.3.x\" to an IPv4 or IPv6 address, or a UNIX Socket"},
        {"{\"token_ttl\":-5}",
         "error converting input -5 for field \"token_ttl\": cannot provide negative value '-5'"},
        {"{\"password\":\"\"}", "missing password"},
        {"{\"password\":{\"a\":1}}",
         "error converting input for field \"password\""}, /* never what was sent */
        {"{\"password\":\"a\\u0000b\"}", "the password must not hold a NUL byte"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_str(harness_must(&h, 400, OP_UPDATE, "auth/up/users/ann", rows[i].body).error, rows[i].error);
    harness_must(&h, 204, OP_UPDATE, "auth/up/users/ann",
                 "{\"token_bound_cidrs\":[\"10.0.0.1/32\",\"::1/128\",\"10.0.0.0/8\"]}");
    struct answer a = harness_must(&h, 200, OP_READ, "auth/up/users/ann", NULL);
    const struct json *cidrs = json_get(answer_data(h.arena, &a), STR("token_bound_cidrs"));

    assert_str(json_text(h.arena, cidrs), "[\"10.0.0.1\",\"::1\",\"10.0.0.0/8\"]");
    fails("ann", "right", 403); /* from 127.0.0.1 */
    fails("ann", "wrong", 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_spelling, setup, teardown),
        cmocka_unit_test_setup_teardown(test_entity_outlives_a_restart, setup_sqlite, teardown),
        cmocka_unit_test_setup_teardown(test_local_mount, setup_sqlite, teardown),
        cmocka_unit_test_setup_teardown(test_first_logins_at_once, setup_sqlite, teardown),
        cmocka_unit_test_setup_teardown(test_guesses_at_once, setup_sqlite, teardown),
        cmocka_unit_test_setup_teardown(test_lockout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_counter_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_users_lock_too, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lock_is_stored, setup_sqlite, teardown),
        cmocka_unit_test_setup_teardown(test_old_locks_go, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lockout_of_a_mount, setup, teardown),
        cmocka_unit_test(test_lockout_switched_off),
        cmocka_unit_test_setup_teardown(test_renewal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_max_ttl_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_root, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fields, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
