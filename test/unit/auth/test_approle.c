/* approle on a whole core: secret ids that are spent once, end in time, belong to their role; the lockout;
 * renewing; what is left over. */
#include "../core/harness.h"
#include "base/fault.h"

enum { START_S = 1795322188 };

static struct harness h;
static struct clock *now;

static void start(const char *storage)
{
    now = clock_manual_new(START_S * NS_PER_S);
    harness_start(&h, &(struct harness_options){.storage_type = storage, .clock = now});
    harness_must(&h, 204, OP_UPDATE, "sys/auth/ar", "{\"type\":\"approle\"}");
    harness_must(&h, 204, OP_UPDATE, "auth/ar/role/App",
                 "{\"token_policies\":\"dev\",\"token_ttl\":\"1h\",\"role_id\":\"the-app\"}");
}

static int setup(void **state)
{
    (void)state;
    start("inmem");
    return 0;
}

static int setup_sqlite(void **state)
{
    (void)state;
    start("sqlite");
    return 0;
}

static int setup_file(void **state)
{
    (void)state;
    start("file");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    harness_stop(&h);
    clock_manual_free(now);
    return 0;
}

static const struct json *must(int status, enum op op, const char *path, const char *body)
{
    struct answer a = harness_must(&h, status, op, path, body);

    return a.data.n ? answer_data(h.arena, &a) : NULL;
}

static str member(const struct json *data, const char *name)
{
    return arena_str(h.arena, json_get_str(data, str_from_cstr(name)));
}

static str make(const char *role, const char *body)
{
    return member(must(200, OP_UPDATE, arena_fmt(h.arena, "auth/ar/role/%s/secret-id", role).p, body),
                  "secret_id");
}

static struct answer login(const char *role_id, str secret_id)
{
    return harness_call(
        &h, h.arena, OP_UPDATE, "auth/ar/login", (str){0},
        arena_fmt(h.arena, "{\"role_id\":\"%s\",\"secret_id\":\"%.*s\"}", role_id, PSTR(secret_id)).p);
}

static str good(str secret_id)
{
    struct answer a = login("the-app", secret_id);

    if (a.status != 200)
        print_error("login: %d %.*s\n", a.status, PSTR(a.error));
    assert_int_equal(a.status, 200);
    return a.client_token;
}

static void refused(str secret_id, int status, const char *error)
{
    struct answer a = login("the-app", secret_id);

    assert_int_equal(a.status, status);
    assert_str(a.error, error);
}

/* What is known of it; NULL: nothing. */
static const struct json *look(const char *role, str secret_id)
{
    struct answer a =
        harness_call(&h, h.arena, OP_UPDATE, arena_fmt(h.arena, "auth/ar/role/%s/secret-id/lookup", role).p,
                     h.root, arena_fmt(h.arena, "{\"secret_id\":\"%.*s\"}", PSTR(secret_id)).p);

    assert_true(a.status == 200 || a.status == 204);
    return a.data.n ? answer_data(h.arena, &a) : NULL;
}

static size_t count(const char *role)
{
    struct answer a = harness_call(&h, h.arena, OP_LIST,
                                   arena_fmt(h.arena, "auth/ar/role/%s/secret-id", role).p, h.root, NULL);

    return a.status == 404 ? 0 : json_get(answer_data(h.arena, &a), STR("keys"))->n;
}

#define INVALID "invalid role or secret ID"

/* ---- spending ---- */

struct crowd {
    struct mutex mutex;
    struct cond done;
    unsigned open, good;
};

static void crowd_done(const struct answer *a, void *arg)
{
    struct crowd *c = arg;

    mutex_lock(&c->mutex);
    c->good += a->status == 200;
    c->open--;
    cond_signal(&c->done);
    mutex_unlock(&c->mutex);
}

static void test_spent_once(void **state)
{
    struct crowd c = {.open = 40};
    str id = make("app", "{\"num_uses\":7}");

    (void)state;
    mutex_init(&c.mutex);
    cond_init(&c.done);
#ifdef COFFER_FAULTS
    assert_true(fault_set(STR("commit_group=1/3")));
    assert_true(fault_set(STR("lru_miss=1/3")));
#endif
    harness_must(&h, 204, OP_UPDATE, "sys/auth/ar/tune",
                 "{\"user_lockout_config\":{\"lockout_disable\":true}}");
    for (unsigned i = 0; i < 40; i++)
        harness_send(&h, OP_UPDATE, "auth/ar/login", (str){0},
                     arena_fmt(h.arena, "{\"role_id\":\"the-app\",\"secret_id\":\"%.*s\"}", PSTR(id)).p,
                     crowd_done, &c);
    mutex_lock(&c.mutex);
    while (c.open > 0)
        cond_wait(&c.done, &c.mutex);
    mutex_unlock(&c.mutex);
#ifdef COFFER_FAULTS
    fault_clear();
#endif
    assert_int_equal(c.good, 7);
    assert_null(look("app", id));
    assert_int_equal(count("app"), 0);
    cond_done(&c.done);
    mutex_done(&c.mutex);
}

/* Whatever refuses the login after it. */
static void test_spent_though_refused(void **state)
{
    str elsewhere = make("app", "{\"num_uses\":2,\"cidr_list\":\"10.0.0.0/8\"}"), id;
    const char *text = "source address \"127.0.0.1\" unauthorized by CIDR restrictions on the secret ID: "
                       "%!w(<nil>)";

    (void)state;
    refused(elsewhere, 400, text);
    assert_int_equal(json_get_int(look("app", elsewhere), STR("secret_id_num_uses")), 1);
    refused(elsewhere, 400, text);
    refused(elsewhere, 400, INVALID);
    harness_must(&h, 204, OP_UPDATE, "auth/ar/role/app", "{\"token_policies\":\"root\"}");
    id = make("app", "{\"num_uses\":1}");
    refused(id, 400, "auth methods cannot create root tokens"); /* by core, when the method is content */
    refused(id, 400, INVALID);
    harness_restart(&h);
    refused(id, 400, INVALID);
    refused(elsewhere, 400, INVALID);
}

static void test_no_limit(void **state)
{
    str id = make("app", "{}");

    (void)state;
    for (int i = 0; i < 4; i++)
        good(id);
    assert_int_equal(json_get_int(look("app", id), STR("secret_id_num_uses")), 0);
}

/* ---- times ---- */

static void test_time_ends(void **state)
{
    str id = make("app", "{\"ttl\":\"10m\"}"), lasting = make("app", "{}");

    (void)state;
    good(id);
    assert_int_equal(count("app"), 2);
    clock_manual_advance(now, 601 * NS_PER_S);
    refused(id, 400, INVALID);
    assert_null(look("app", id));
    assert_int_equal(count("app"), 1);
    good(lasting);
}

static void test_tidy(void **state)
{
    str id = make("app", "{\"ttl\":\"10m\"}"), lasting = make("app", "{}");
    str accessor = member(look("app", id), "secret_id_accessor");
    const char *path = "auth/ar/role/app/secret-id-accessor/lookup";
    struct answer a;

    (void)state;
    clock_manual_advance(now, 601 * NS_PER_S);
    harness_must(&h, 202, OP_UPDATE, "auth/ar/tidy/secret-id", "{}");
    do /* in the background; the accessor is known until then */
        a = harness_call(&h, h.arena, OP_UPDATE, path, h.root,
                         arena_fmt(h.arena, "{\"secret_id_accessor\":\"%.*s\"}", PSTR(accessor)).p);
    while (a.status == 204);
    assert_int_equal(a.status, 404);
    good(lasting);
    clock_manual_advance(now, 3700 * NS_PER_S); /* or without being asked */
    good(lasting);
}

/* ---- whose it is ---- */

static void test_of_one_role(void **state)
{
    str id = make("app", "{}"), accessor = member(look("app", id), "secret_id_accessor");
    const char *body = arena_fmt(h.arena, "{\"secret_id_accessor\":\"%.*s\"}", PSTR(accessor)).p;

    (void)state;
    harness_must(&h, 204, OP_UPDATE, "auth/ar/role/other", "{\"role_id\":\"the-other\"}");
    assert_int_equal(login("the-other", id).status, 400);
    assert_null(look("other", id));
    must(204, OP_UPDATE, "auth/ar/role/other/secret-id-accessor/lookup", body);
    assert_str(harness_must(&h, 403, OP_UPDATE, "auth/ar/role/other/secret-id-accessor/destroy", body).error,
               "invalid secret id accessor");
    good(id);
    must(200, OP_UPDATE, "auth/ar/role/app/secret-id-accessor/lookup", body);
    must(204, OP_DELETE, "auth/ar/role/app/secret-id-accessor/destroy", body);
    refused(id, 400, INVALID);
}

static void test_role_goes(void **state)
{
    enum { MANY = 120 }; /* more than one step removes */
    str id = {0};

    (void)state;
    for (int i = 0; i < MANY; i++)
        id = make("app", "{}");
    str token = good(id);

    harness_must(&h, 204, OP_DELETE, "auth/ar/role/APP", NULL);
    refused(id, 400, INVALID);
    harness_must(&h, 404, OP_READ, "auth/ar/role/app", NULL);
    assert_str(
        harness_call(&h, h.arena, OP_UPDATE, "auth/token/renew-self", token, "{}").error,
        "1 error occurred:\n\t* failed to renew entry: role \"app\" does not exist during renewal\n\n");
    harness_must(&h, 204, OP_UPDATE, "auth/ar/role/app", "{\"role_id\":\"the-app\"}"); /* its id is free */
    refused(id, 400, INVALID);
    assert_int_equal(count("app"), 0);
}

static void test_role_ids(void **state)
{
    str id = make("app", "{}");

    (void)state;
    assert_str(harness_must(&h, 500, OP_UPDATE, "auth/ar/role/b", "{\"role_id\":\"the-app\"}").error,
               "1 error occurred:\n\t* role_id already in use\n\n");
    harness_must(&h, 204, OP_UPDATE, "auth/ar/role/app/role-id", "{\"role_id\":\"new\"}");
    assert_int_equal(login("the-app", id).status, 400);
    assert_int_equal(login("new", id).status, 200);
    harness_must(&h, 204, OP_UPDATE, "auth/ar/role/b", "{\"role_id\":\"the-app\"}");
    assert_int_equal(login("the-app", id).status, 400);
}

static void test_local(void **state)
{
    str id;

    (void)state;
    harness_must(&h, 204, OP_UPDATE, "auth/ar/role/loc", "{\"local_secret_ids\":true,\"role_id\":\"loc\"}");
    id = make("loc", "{}");
    str accessor = member(look("loc", id), "secret_id_accessor");

    assert_int_equal(login("loc", id).status, 200);
    must(204, OP_UPDATE, "auth/ar/role/loc/secret-id-accessor/destroy",
         arena_fmt(h.arena, "{\"secret_id_accessor\":\"%.*s\"}", PSTR(accessor)).p);
    assert_int_equal(login("loc", id).status, 400);
}

/* ---- the token ---- */

static void test_lockout(void **state)
{
    str id = make("app", "{}");

    (void)state;
    for (int i = 0; i < 5; i++)
        refused(STR("guess"), 400, INVALID);
    refused(id, 403, "permission denied");
    clock_manual_advance(now, 900 * NS_PER_S);
    good(id);
    for (int i = 0; i < 20; i++) /* nobody's role id locks nothing */
        assert_int_equal(login("nobody", id).status, 400);
    assert_int_equal(json_get_int(must(200, OP_READ, "sys/locked-users", NULL), STR("total")), 0);
}

/* A role id may be any text, also one that makes no path of a storage. */
static void test_odd_role_ids(void **state)
{
    static const char *const ids[] = {"..", "../../x", "a\\u0000b", "/", "a//b", "a/"};
    char longest[20001];

    (void)state;
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = 0;
    for (size_t i = 0; i <= COUNT_OF(ids); i++) {
        const char *id = i < COUNT_OF(ids) ? ids[i] : longest;

        assert_int_equal(login(id, STR("x")).status, 400);
        harness_must(&h, 204, OP_UPDATE, "auth/ar/role/app/role-id",
                     arena_fmt(h.arena, "{\"role_id\":\"%s\"}", id).p);
        assert_int_equal(login(id, make("app", "{}")).status, 200);
        for (int k = 0; k < 5; k++)
            assert_int_equal(login(id, STR("guess")).status, 400);
        assert_int_equal(login(id, STR("guess")).status, 403);
    }
}

static const struct json *lookup(str token)
{
    struct answer a = harness_call(&h, h.arena, OP_READ, "auth/token/lookup-self", token, NULL);

    assert_int_equal(a.status, 200);
    return answer_data(h.arena, &a);
}

static void test_renewal(void **state)
{
    str token = good(make("app", "{\"metadata\":\"host=onyx\",\"token_bound_cidrs\":\"127.0.0.0/8\"}"));
    const struct json *seen = lookup(token);

    (void)state;
    assert_str(json_text(h.arena, json_get(seen, STR("meta"))), "{\"host\":\"onyx\",\"role_name\":\"app\"}");
    assert_str(json_text(h.arena, json_get(seen, STR("bound_cidrs"))), "[\"127.0.0.0/8\"]");
    clock_manual_advance(now, 1800 * NS_PER_S);
    harness_must(&h, 204, OP_UPDATE, "auth/ar/role/app", "{\"token_ttl\":\"2h\",\"token_policies\":\"ops\"}");
    assert_int_equal(harness_call(&h, h.arena, OP_UPDATE, "auth/token/renew-self", token, "{}").status, 200);
    assert_int_equal(json_get_int(lookup(token), STR("ttl")), 7200);
}

static void test_metadata(void **state)
{
    static const struct {
        const char *given, *kept, *error;
    } rows[] = {
        {"B=Q,A=x", "{\"a\":\"x\",\"b\":\"q\"}", NULL},
        {"{\\\"A\\\":\\\"B\\\"}", "{\"A\":\"B\"}", NULL},
        {"YT1i", "{\"a\":\"b\"}", NULL},
        {"", "{}", NULL},
        {"{}", "{}", NULL},
        {"a=b,c", NULL, "failed to parse metadata: failed to parse the input: invalid <key,value> format"},
        {"a=", NULL,
         "failed to parse metadata: failed to parse the input: invalid <key,value> pair: key: \"a\" value: "
         "\"\""},
        {"{\\\"a\\\":\\\"\\\"}", NULL, "failed to parse metadata: invalid value for key \"a\""},
        {"{\\\"a\\\":1}", NULL,
         "failed to parse metadata: failed to parse the input: invalid <key,value> format"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *body = arena_fmt(h.arena, "{\"metadata\":\"%s\"}", rows[i].given).p;

        if (rows[i].kept)
            assert_str(json_text(h.arena, json_get(look("app", make("app", body)), STR("metadata"))),
                       rows[i].kept);
        else
            assert_str(harness_must(&h, 400, OP_UPDATE, "auth/ar/role/app/secret-id", body).error,
                       rows[i].error);
    }
}

static void test_blocks(void **state)
{
    (void)state;
    harness_must(
        &h, 204, OP_UPDATE, "auth/ar/role/app",
        "{\"secret_id_bound_cidrs\":\"127.0.0.0/8,192.168.1.1/32\",\"token_bound_cidrs\":\"1.2.3.4\"}");
    assert_str(
        harness_must(&h, 500, OP_UPDATE, "auth/ar/role/app/secret-id", "{\"cidr_list\":\"126.0.0.0/7\"}")
            .error,
        "1 error occurred:\n\t* failed to verify subset relationship between CIDR blocks on the role "
        "[\"127.0.0.0/8\" \"192.168.1.1/32\"] and CIDR blocks on the secret ID [\"126.0.0.0/7\"]: "
        "%!w(<nil>)\n\n");
    harness_must(&h, 500, OP_UPDATE, "auth/ar/role/app/secret-id", "{\"token_bound_cidrs\":\"1.2.3.0/24\"}");
    harness_must(&h, 500, OP_UPDATE, "auth/ar/role/app/secret-id", "{\"token_bound_cidrs\":\"1.2.3.4\"}");
    str id = make("app", "{\"cidr_list\":\"127.0.0.1/32\",\"token_bound_cidrs\":\"1.2.3.4/32\"}");

    good(id);
    harness_must(&h, 204, OP_UPDATE, "auth/ar/role/app", "{\"secret_id_bound_cidrs\":\"10.0.0.0/8\"}");
    assert_int_equal(login("the-app", id).status, 500); /* no longer within the role's */
}

static void test_fields(void **state)
{
    static const struct {
        int status;
        const char *path, *body, *error;
    } rows[] = {
        {400, "token-ttl", "{}", "missing token_ttl"},
        {400, "policies", "{}", "missing token_policies"},
        {400, "period", "{\"period\":\"100000h\"}",
         "period of \"100000h0m0s\" is greater than the backend's maximum lease TTL of \"768h0m0s\""},
        {400, "secret-id-num-uses", "{\"secret_id_num_uses\":-1}", "secret_id_num_uses cannot be negative"},
        {400, "token-max-ttl", "{\"token_max_ttl\":\"1m\"}",
         "token_max_ttl should be greater than or equal to token_ttl"},
        {400, "secret-id-bound-cidrs", "{\"secret_id_bound_cidrs\":\"\"}", "missing bound_cidr_list"},
        {500, "bind-secret-id", "{\"bind_secret_id\":false}",
         "1 error occurred:\n\t* at least one constraint should be enabled on the role\n\n"},
        {400, "role-id", "{\"role_id\":\"\"}", "missing role_id"},
    };
    char path[64];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(path, sizeof(path), "auth/ar/role/app/%s", rows[i].path);
        assert_str(harness_must(&h, rows[i].status, OP_UPDATE, path, rows[i].body).error, rows[i].error);
    }
    harness_must(&h, 200, OP_UPDATE, "auth/ar/role/app", "{\"token_type\":\"default-batch\"}");
    assert_str(member(must(200, OP_READ, "auth/ar/role/app", NULL), "token_type"), "batch");
    harness_must(&h, 204, OP_UPDATE, "auth/ar/role/app/policies", "{\"policies\":\"B,a ,b\"}");
    assert_str(json_text(h.arena, must(200, OP_READ, "auth/ar/role/app/policies", NULL)),
               "{\"policies\":[\"a\",\"b\"],\"token_policies\":[\"a\",\"b\"]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_spent_once, setup_sqlite, teardown),
        cmocka_unit_test_setup_teardown(test_spent_though_refused, setup_sqlite, teardown),
        cmocka_unit_test_setup_teardown(test_no_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tidy, setup_sqlite, teardown),
        cmocka_unit_test_setup_teardown(test_of_one_role, setup, teardown),
        cmocka_unit_test_setup_teardown(test_role_goes, setup_sqlite, teardown),
        cmocka_unit_test_setup_teardown(test_role_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_local, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lockout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_odd_role_ids, setup_file, teardown),
        cmocka_unit_test_setup_teardown(test_renewal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_metadata, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blocks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fields, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
