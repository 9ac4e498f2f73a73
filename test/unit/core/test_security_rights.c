/* Over all routes: who may not, changes nothing and learns nothing; a use is counted all the same; no form of
 * a path slips a
 * rule. */
#include "sweep.h"

#define ALL "[\"create\",\"read\",\"update\",\"patch\",\"delete\",\"list\"]"

/* What is about a wrapping token looks at that one before all else (test_security_login.c). */
static bool asks_for_rights(const struct sweep_op *o)
{
    return !(o->flags & (ROUTE_UNAUTH | ROUTE_WRAPPING));
}

/* ---- without rights nothing happens ---- */

struct caller {
    const char *what;
    str token;
};

static str made_and_revoked(struct harness *h)
{
    str token = harness_must(h, 200, OP_UPDATE, "auth/token/create", NULL).client_token;

    harness_must(h, 204, OP_UPDATE, "auth/token/revoke",
                 arena_fmt(h->arena, "{\"token\":\"%.*s\"}", PSTR(token)).p);
    return token;
}

static str of_batch(struct harness *h)
{
    return harness_must(h, 200, OP_UPDATE, "auth/token/create",
                        "{\"type\":\"batch\",\"policies\":[\"nosuch\"],\"no_default_policy\":true}")
        .client_token;
}

static unsigned check_denied(struct harness *h, struct arena *a, const struct sweep_op *o,
                             const struct caller *c)
{
    struct answer answer = harness_call(h, a, o->op, arena_cstr(a, sweep_path(a, o, NULL, (str){0})),
                                        c->token, arena_cstr(a, json_text(a, sweep_body(a, o))));
    bool fine = answer.status == 403 && answer.data.n == 0 && answer.client_token.n == 0 &&
                str_find(answer.error, STR("permission denied")) < answer.error.n;

    if (!fine)
        print_error("%s %s%s by %s: %d \"%.*s\"\n", op_name(o->op), o->mount, o->route->path, c->what,
                    answer.status, PSTR(answer.error));
    return !fine;
}

static void denied_means_not_done(void **state)
{
    struct arena *a = arena_new(0);
    struct harness h;
    unsigned bad = 0;
    size_t n;

    (void)state;
    harness_start(&h, &(struct harness_options){.storage_type = "inmem_ha"});
    sweep_mounts(&h);
    const struct caller callers[] = {
        {"nobody", {0}},
        {"an unknown token", STR("hvs.AAAAAAAAAAAAAAAAAAAAAAAA")},
        {"a malformed token", STR("x y\xff")},
        {"a revoked token", made_and_revoked(&h)},
        {"a batch token without rights", of_batch(&h)},
        {"a token without rights",
         harness_token(&h, "nothing", "path \"elsewhere\" { capabilities = " ALL " }")},
        {"a token that is denied all",
         harness_token(
             &h, "denied",
             "path \"*\" { capabilities = [\"deny\"] }\npath \"sys/*\" { capabilities = [\"deny\"] }")},
        {"a token that may only see other paths",
         harness_token(&h, "narrow",
                       "path \"+/sweep/none\" { capabilities = " ALL " }\npath \"secret/sweep/x/*\" { "
                       "capabilities = " ALL " }")},
    };
    const struct sweep_op *v = sweep_of(&h, &n);
    str before = sweep_store_digest(&h, h.arena);

    for (size_t i = 0; i < n; i++) {
        if (!asks_for_rights(&v[i]))
            continue;
        for (size_t k = 0; k < COUNT_OF(callers); k++)
            bad += check_denied(&h, a, &v[i], &callers[k]);
        str after = sweep_store_digest(&h, a);

        if (!str_eq(before, after))
            print_error("%s %s%s changed the store\n", op_name(v[i].op), v[i].mount, v[i].route->path);
        assert_true(str_eq(before, after));
        arena_reset(a);
    }
    assert_int_equal(bad, 0);
    harness_stop(&h);
    arena_free(a);
}

/* All rights but sudo are not enough where sudo is asked for. */
static void sudo_is_needed(void **state)
{
    struct arena *a = arena_new(0);
    struct harness h;
    unsigned bad = 0, n_sudo = 0;
    size_t n;

    (void)state;
    harness_start(&h, &(struct harness_options){.storage_type = "inmem_ha"});
    sweep_mounts(&h);
    struct caller c = {"a token without sudo",
                       harness_token(&h, "most", "path \"*\" { capabilities = " ALL " }")};
    const struct sweep_op *v = sweep_of(&h, &n);
    str before = sweep_store_digest(&h, h.arena);

    for (size_t i = 0; i < n; i++)
        if (v[i].flags & ROUTE_SUDO) {
            n_sudo++;
            bad += check_denied(&h, a, &v[i], &c);
        }
    assert_true(n_sudo >= 15);
    assert_int_equal(bad, 0);
    assert_true(str_eq(before, sweep_store_digest(&h, a)));
    harness_stop(&h);
    arena_free(a);
}

/* ---- one right is not another ---- */

static const char *right_of(enum op op)
{
    static const char *const names[OP_COUNT_] = {[OP_READ] = "read",
                                                 [OP_UPDATE] = "update",
                                                 [OP_PATCH] = "patch",
                                                 [OP_DELETE] = "delete",
                                                 [OP_LIST] = "list"};

    return names[op];
}

/* A token that may do all on a path but the one thing. */
static void each_operation_needs_its_own_right(void **state)
{
    static const enum op ops[] = {OP_READ, OP_UPDATE, OP_PATCH, OP_DELETE, OP_LIST};
    struct arena *a = arena_new(0);
    struct harness h;
    str tokens[OP_COUNT_] = {0};
    unsigned bad = 0;
    size_t n;

    (void)state;
    harness_start(&h, &(struct harness_options){.storage_type = "inmem_ha"});
    sweep_mounts(&h);
    for (size_t i = 0; i < COUNT_OF(ops); i++) {
        str rights = STR("\"sudo\"");

        for (size_t k = 0; k < COUNT_OF(ops); k++)
            if (k != i)
                rights = arena_fmt(h.arena, "%.*s,\"%s\"%s", PSTR(rights), right_of(ops[k]),
                                   ops[k] == OP_UPDATE ? ",\"create\"" : "");
        str policy = arena_fmt(h.arena, "path \"*\" { capabilities = [%.*s] }", PSTR(rights));

        tokens[ops[i]] = harness_token(&h, right_of(ops[i]), policy.p);
    }
    const struct sweep_op *v = sweep_of(&h, &n);
    str before = sweep_store_digest(&h, h.arena);

    for (size_t i = 0; i < n; i++)
        if (asks_for_rights(&v[i])) {
            bad += check_denied(&h, a, &v[i], &(struct caller){"one without the right", tokens[v[i].op]});
            arena_reset(a);
        }
    assert_int_equal(bad, 0);
    assert_true(str_eq(before, sweep_store_digest(&h, a)));
    harness_stop(&h);
    arena_free(a);
}

/* ---- a rule that denies is not slipped ---- */

/* A list's path ends in '/', the rule may have been written with or without. */
static const char *const denials[] = {"%.*s", "%.*s/", "%.*s*", "%.*s/*"};

static str token_denied(struct harness *h, str path, size_t form, size_t number)
{
    size_t at = str_find(str_from_cstr(denials[form]), STR("%.*s"));
    str rule = arena_fmt(h->arena, "%.*s%s", PSTR(path), denials[form] + at + 4);
    str policy =
        arena_fmt(h->arena,
                  "path \"*\" { capabilities = [\"read\",\"list\",\"update\",\"create\",\"sudo\"] }\n"
                  "path \"%.*s\" { capabilities = [\"deny\"] }",
                  PSTR(rule));

    return harness_token(h, arena_fmt(h->arena, "deny%zu-%zu", number, form).p, policy.p);
}

static void list_does_not_slip_a_denial(void **state)
{
    struct arena *a = arena_new(0);
    struct harness h;
    unsigned bad = 0, n_lists = 0;
    size_t n;

    (void)state;
    harness_start(&h, &(struct harness_options){.storage_type = "inmem_ha"});
    sweep_mounts(&h);
    const struct sweep_op *v = sweep_of(&h, &n);

    for (size_t i = 0; i < n; i++) {
        if (v[i].op != OP_LIST || !asks_for_rights(&v[i]))
            continue;
        str path = sweep_path(a, &v[i], NULL, (str){0});

        if (str_ends(path, STR("/")))
            path.n--;
        n_lists++;
        for (size_t form = 0; form < COUNT_OF(denials); form++)
            bad +=
                check_denied(&h, a, &v[i], &(struct caller){denials[form], token_denied(&h, path, form, i)});
        arena_reset(a);
    }
    assert_true(n_lists >= 10);
    assert_int_equal(bad, 0);
    harness_stop(&h);
    arena_free(a);
}

/* ---- a use is a use ---- */

static bool is_alive(struct harness *h, struct arena *a, str token)
{
    str body = arena_fmt(a, "{\"token\":\"%.*s\"}", PSTR(token));

    return harness_call(h, a, OP_UPDATE, "auth/token/lookup", h->root, body.p).status == 200;
}

static str token_of_one_use(struct harness *h, const char *policy)
{
    return harness_must(h, 200, OP_UPDATE, "auth/token/create",
                        arena_fmt(h->arena,
                                  "{\"num_uses\":1,\"no_default_policy\":true,\"policies\":[\"%s\"]}", policy)
                            .p)
        .client_token;
}

/* Refused, unsupported, malformed or done: the token's one use is spent. */
static void every_request_counts_a_use(void **state)
{
    struct arena *a = arena_new(0);
    struct harness h;
    size_t n;

    (void)state;
    harness_start(&h, &(struct harness_options){.storage_type = "inmem_ha"});
    sweep_mounts(&h);
    (void)harness_token(&h, "reader", "path \"*\" { capabilities = [\"read\"] }");
    const struct sweep_op *v = sweep_of(&h, &n);

    for (size_t i = 0; i < n; i++) {
        if (!asks_for_rights(&v[i]) || sweep_op_stops(&v[i]))
            continue;
        str token = token_of_one_use(&h, i % 2 ? "reader" : "nosuch");
        const char *path = arena_cstr(a, sweep_path(a, &v[i], NULL, (str){0}));

        (void)harness_call(&h, a, v[i].op, path, token, i % 3 ? "{}" : "{\"version\":[],\"token\":[]}");
        if (is_alive(&h, a, token))
            print_error("%s %s left the token alive\n", op_name(v[i].op), path);
        assert_false(is_alive(&h, a, token));
        assert_int_equal(harness_call(&h, a, OP_READ, "auth/token/lookup-self", token, NULL).status, 403);
        arena_reset(a);
    }
    static const char *const nowhere[] = {"nosuch/a", "sys/nosuch", "auth/token/nosuch",
                                          "auth/nosuch/login/a", "secret/"};

    for (size_t i = 0; i < COUNT_OF(nowhere); i++) {
        str token = token_of_one_use(&h, "reader");

        (void)harness_call(&h, a, i % 2 ? OP_HELP : OP_READ, nowhere[i], token, NULL);
        assert_false(is_alive(&h, a, token));
    }
    harness_stop(&h);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(denied_means_not_done), cmocka_unit_test(sudo_is_needed),
        cmocka_unit_test(each_operation_needs_its_own_right), cmocka_unit_test(list_does_not_slip_a_denial),
        cmocka_unit_test(every_request_counts_a_use)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
