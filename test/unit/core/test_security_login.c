/* What counts is counted, whatever the answer; and answers do not tell strangers what is there. */
#include "base/fault.h"
#include "sweep.h"
#include "web.h"

#include <time.h>

static struct web w;

static int setup(void **state)
{
    (void)state;
    web_start(&w, &(struct harness_options){.loops = 4}, &(struct web_options){0});
    sweep_mounts(&w.h);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    web_stop(&w);
    return 0;
}

static struct web_answer ask(const char *method, const char *path, str token, const char *body)
{
    struct arena *a = w.h.arena;

    return web_call(&w, a, method, arena_fmt(a, "/v1/%s", path), token, NULL, str_from_cstr(body));
}

/* All that is sent, but for the date. */
static str text_of(struct web_answer answer)
{
    str left = answer.head, line, all = {0};

    while (left.n > 0) {
        (void)str_cut(left, '\n', &line, &left);
        if (!str_starts(line, STR("Date:")))
            all = arena_join(w.h.arena, all, line);
    }
    return arena_join(w.h.arena, all, answer.body);
}

static void assert_alike(str one, str other, const char *what)
{
    if (!str_eq(one, other))
        print_error("%s:\n%.*s\n%.*s\n", what, PSTR(one), PSTR(other));
    assert_true(str_eq(one, other));
}

/* ---- failed logins ---- */

static struct web_answer login(const char *name, const char *password)
{
    return ask("PUT", arena_fmt(w.h.arena, "auth/up/login/%s", name).p, (str){0},
               arena_fmt(w.h.arena, "{\"password\":\"%s\"}", password).p);
}

static void spellings_count_together(void **state)
{
    static const char *const names[] = {"ann", "Ann", "ANN", "aNN", "%61nn"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_int_equal(login(names[i], "wrong").status, 400);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_int_equal(login(names[i], "right").status, 403);
    struct answer a = harness_must(&w.h, 200, OP_READ, "sys/locked-users", NULL);

    assert_int_equal(json_get_int(answer_data(w.h.arena, &a), STR("total")), 1);
    a = harness_must(&w.h, 200, OP_READ, "sys/auth/up", NULL);
    str accessor = json_get_str(answer_data(w.h.arena, &a), STR("accessor"));

    harness_must(&w.h, 204, OP_UPDATE,
                 arena_fmt(w.h.arena, "sys/locked-users/%.*s/unlock/ann", PSTR(accessor)).p, NULL);
    assert_int_equal(login("ANN", "right").status, 200);
}

/* Of a user that is there and of one that is not: step by step the same bytes, and about the same work. */
static void users_are_not_told(void **state)
{
    (void)state;
    for (int i = 0; i < 7; i++)
        assert_alike(text_of(login("ann", "wrong")), text_of(login("nobody", "wrong")), "login");
    assert_alike(text_of(login("ann", "")), text_of(login("nobody", "")), "login");
    assert_alike(text_of(ask("PUT", "auth/up/login/ann", (str){0}, "{\"password\":[1]}")),
                 text_of(ask("PUT", "auth/up/login/nobody", (str){0}, "{\"password\":[1]}")), "login");
    assert_alike(text_of(ask("GET", "auth/up/login/ann", (str){0}, NULL)),
                 text_of(ask("GET", "auth/up/login/nobody", (str){0}, NULL)), "login");
}

static double cpu_of_login(const char *name)
{
    struct timespec before, after;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    assert_int_equal(login(name, "wrong").status, 400);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    return (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
}

static void users_cost_the_same(void **state)
{
    double known = 1e9, unknown = 1e9;

    (void)state;
    for (int i = 0; i < 3; i++) {
        double k = cpu_of_login("ann"), u = cpu_of_login(arena_fmt(w.h.arena, "nobody%d", i).p);

        known = MIN(known, k);
        unknown = MIN(unknown, u);
    }
    if (unknown < known / 2 || known < unknown / 2)
        print_error("a login costs %f s, of nobody %f s\n", known, unknown);
    assert_true(unknown >= known / 2 && known >= unknown / 2);
}

/* ---- tokens ---- */

static str token_that_is_over(const char *body)
{
    str token = harness_must(&w.h, 200, OP_UPDATE, "auth/token/create", body).client_token;

    harness_must(&w.h, 204, OP_UPDATE, "auth/token/revoke",
                 arena_fmt(w.h.arena, "{\"token\":\"%.*s\"}", PSTR(token)).p);
    return token;
}

static str spent_token(void)
{
    str token = harness_must(&w.h, 200, OP_UPDATE, "auth/token/create", "{\"num_uses\":1}").client_token;

    assert_int_equal(harness_call(&w.h, w.h.arena, OP_READ, "auth/token/lookup-self", token, NULL).status,
                     200);
    return token;
}

static str other_end(str token) /* its last character is another one */
{
    char *p = arena_copy(w.h.arena, token.p, token.n);

    p[token.n - 1] = p[token.n - 1] == 'A' ? 'B' : 'A';
    return (str){p, token.n};
}

static void tokens_are_not_told(void **state)
{
    static const struct {
        const char *method, *path;
    } asks[] = {{"GET", "secret/kept"},
                {"GET", "sys/mounts"},
                {"GET", "nosuch/a"},
                {"GET", "auth/token/lookup-self"},
                {"PUT", "secret/a"},
                {"PUT", "auth/token/renew-self"},
                {"LIST", "secret"},
                {"DELETE", "secret/kept"},
                {"PUT", "sys/seal"},
                {"GET", "secret/kept?help=1"},
                {"GET", "sys/internal/ui/mounts/secret"}};
    str live = harness_must(&w.h, 200, OP_UPDATE, "auth/token/create", NULL).client_token,
        batch = harness_must(&w.h, 200, OP_UPDATE, "auth/token/create",
                             "{\"type\":\"batch\",\"policies\":[\"a\"]}")
                    .client_token;
    const str bad[] = {
        STR("hvs.AAAAAAAAAAAAAAAAAAAAAAAA"),
        STR("s.AAAAAAAAAAAAAAAAAAAAAAAA"),
        STR("nothing"),
        STR("hvs."),
        STR("hvb."),
        STR("hvb.AAAAAQIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        STR("root"),
        STR("../id/x"),
        token_that_is_over(NULL),
        token_that_is_over("{\"id\":\"own\"}"),
        spent_token(),
        other_end(live),
        other_end(batch),
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(asks); i++) {
        struct web_answer first =
            ask(asks[i].method, asks[i].path, bad[0], strcmp(asks[i].method, "PUT") ? NULL : "{}");

        assert_int_equal(first.status, 403);
        for (size_t k = 1; k < COUNT_OF(bad); k++)
            assert_alike(text_of(first),
                         text_of(ask(asks[i].method, asks[i].path, bad[k],
                                     strcmp(asks[i].method, "PUT") ? NULL : "{}")),
                         asks[i].path);
    }
}

/* ---- mounts ---- */

#define FORBIDDEN "{\"errors\":[\"permission denied\"]}\n"
#define PREFLIGHT                                                                                            \
    "{\"errors\":[\"preflight capability check returned 403, please ensure client's policies grant access "  \
    "to path \\\"%s/\\\"\"]}"

static void mounts_are_not_told(void **state)
{
    static const char *const methods[] = {"GET", "LIST", "PUT", "DELETE", "PATCH"};
    static const char *const paths[] = {"secret/kept",
                                        "nosuch/kept",
                                        "kv2/data/a",
                                        "kv2/nosuch/a",
                                        "auth/up/users/ann",
                                        "auth/nosuch/users/ann",
                                        "auth/nosuch/login/ann",
                                        "sys/mounts/secret",
                                        "sys/mounts/nosuch",
                                        "sys/nosuch",
                                        "identity/entity",
                                        "cubbyhole/a",
                                        "auth/up/nosuch",
                                        "auth/token/nosuch"};
    str nothing = harness_token(&w.h, "nothing", "path \"elsewhere\" { capabilities = [\"read\"] }");
    const str callers[] = {{0}, STR("hvs.AAAAAAAAAAAAAAAAAAAAAAAA"), nothing};

    (void)state;
    for (size_t c = 0; c < COUNT_OF(callers); c++)
        for (size_t m = 0; m < COUNT_OF(methods); m++) {
            const char *body = strcmp(methods[m], "PUT") == 0 ? "{\"a\":1}" : NULL;
            str first = {0};

            for (size_t i = 0; i < COUNT_OF(paths); i++) {
                struct web_answer answer = ask(methods[m], paths[i], callers[c], body);

                if (i == 0)
                    first = text_of(answer);
                if (strcmp(methods[m], "PATCH") != 0) /* without its own content type: 415 */
                    assert_int_equal(answer.status, 403);
                assert_alike(first, text_of(answer), arena_fmt(w.h.arena, "%s %s", methods[m], paths[i]).p);
            }
        }
    for (size_t c = 0; c < COUNT_OF(callers); c++) /* they name the path that was asked for, and no more */
        for (const char *const *path =
                 (const char *const[]){"secret", "nosuch", "auth/up", "auth/nosuch", NULL};
             *path; path++) {
            struct web_answer answer =
                ask("GET", arena_fmt(w.h.arena, "sys/internal/ui/mounts/%s", *path).p, callers[c], NULL);

            assert_int_equal(answer.status, 403);
            assert_alike(answer.body, c < 2 ? STR(FORBIDDEN) : arena_fmt(w.h.arena, PREFLIGHT "\n", *path),
                         *path);
        }
}

/* ---- once is once ---- */

enum { CLIENTS = 32 };

struct crowd {
    struct mutex mutex;
    struct cond changed;
    unsigned open, good, wrong; /* lock: mutex */
};

static void crowd_done(const struct answer *a, void *arg)
{
    struct crowd *c = arg;

    mutex_lock(&c->mutex);
    c->good += a->status < 300;
    c->wrong += a->status >= 300 && a->status < 400;
    c->open--;
    cond_signal(&c->changed);
    mutex_unlock(&c->mutex);
}

/* How many of those who use it at once are served. */
static unsigned use_by_all(enum op op, const char *path, str token, const char *body)
{
    struct crowd c = {.open = CLIENTS};

    mutex_init(&c.mutex);
    cond_init(&c.changed);
    for (unsigned i = 0; i < CLIENTS; i++)
        harness_send(&w.h, op, path, token, body, crowd_done, &c);
    mutex_lock(&c.mutex);
    while (c.open > 0)
        cond_wait(&c.changed, &c.mutex);
    mutex_unlock(&c.mutex);
    cond_done(&c.changed);
    mutex_done(&c.mutex);
    assert_int_equal(c.wrong, 0);
    return c.good;
}

static str token_of_one_use(void)
{
    return harness_must(&w.h, 200, OP_UPDATE, "auth/token/create", "{\"num_uses\":1,\"policies\":[\"once\"]}")
        .client_token;
}

static str wrapping_token(const char *body)
{
    struct web_answer answer = web_call(&w, w.h.arena, "PUT", STR("/v1/sys/wrapping/wrap"), w.h.root,
                                        "X-Vault-Wrap-TTL: 60\r\n", str_from_cstr(body));
    struct json *v;

    assert_int_equal(answer.status, 200);
    assert_ok(json_parse(w.h.arena, answer.body, true, &v));
    return json_get_str(json_get(v, STR("wrap_info")), STR("token"));
}

static unsigned unwrap_by_all(bool own)
{
    str token = wrapping_token("{\"v\":\"once\"}"),
        body = arena_fmt(w.h.arena, "{\"token\":\"%.*s\"}", PSTR(token));

    return own ? use_by_all(OP_UPDATE, "sys/wrapping/unwrap", token, NULL)
               : use_by_all(OP_UPDATE, "sys/wrapping/unwrap", w.h.root, body.p);
}

static unsigned use_kind(unsigned kind)
{
    switch (kind) {
    case 0: return use_by_all(OP_READ, "secret/kept", token_of_one_use(), NULL);
    case 1: return use_by_all(OP_UPDATE, "secret/new", token_of_one_use(), "{\"v\":\"1\"}");
    case 2: return use_by_all(OP_READ, "auth/token/lookup-self", token_of_one_use(), NULL);
    case 3: return use_by_all(OP_LIST, "secret", token_of_one_use(), NULL);
    case 4: return use_by_all(OP_UPDATE, "sys/tools/random", token_of_one_use(), NULL);
    case 5: return unwrap_by_all(true);
    default: return unwrap_by_all(false);
    }
}

static void once_is_once(void **state)
{
    enum { KINDS = 7, ROUNDS = 3 };

    (void)state;
    harness_must(&w.h, 204, OP_UPDATE, "sys/policies/acl/once",
                 "{\"policy\":\"path \\\"*\\\" { capabilities = "
                 "[\\\"create\\\",\\\"read\\\",\\\"update\\\",\\\"list\\\"] }\"}");
    for (unsigned kind = 0; kind < KINDS; kind++)
        for (unsigned i = 0; i < ROUNDS; i++)
            assert_int_equal(use_kind(kind), 1);
}

#ifdef COFFER_FAULTS
static unsigned use_once(unsigned how, str token)
{
    if (how >= 4)
        return use_by_all(OP_UPDATE, "sys/wrapping/unwrap", token, NULL);
    return how % 2 ? use_by_all(OP_READ, "secret/kept", token, NULL)
                   : use_by_all(OP_UPDATE, "secret/new", token, "{\"v\":\"1\"}");
}

/* While commits fail now and then: never more than once, and in the end not never. */
static void once_is_once_with_failures(void **state)
{
    static const char *const faults[] = {"commit_group=1/3", "commit_group=1/10", "commit_group=always",
                                         "lru_miss=1/2", "version_changed=1/2"};
    unsigned served = 0;

    (void)state;
    harness_must(&w.h, 204, OP_UPDATE, "sys/policies/acl/once",
                 "{\"policy\":\"path \\\"*\\\" { capabilities = "
                 "[\\\"create\\\",\\\"read\\\",\\\"update\\\",\\\"list\\\"] }\"}");
    for (size_t f = 0; f < COUNT_OF(faults); f++)
        for (unsigned i = 0; i < 6; i++) {
            str token = i < 4 ? token_of_one_use() : wrapping_token("{\"v\":\"once\"}");

            assert_true(fault_set(str_from_cstr(faults[f])));
            unsigned good = use_once(i, token);

            fault_clear();
            assert_in_range(good, 0, 1);
            good += use_once(i, token); /* the failures are over */
            assert_in_range(good, 0, 1);
            served += good;
        }
    assert_true(served >= 15);
}
#endif

/* ---- wrapped answers ---- */

/* Who may not unwrap does not spend another's token. */
static void a_denied_unwrap_spends_nothing(void **state)
{
    str nothing = harness_token(&w.h, "nothing", "path \"elsewhere\" { capabilities = [\"read\"] }");
    str token = wrapping_token("{\"v\":\"kept\"}"),
        body = arena_fmt(w.h.arena, "{\"token\":\"%.*s\"}", PSTR(token));
    str before = sweep_store_digest(&w.h, w.h.arena);

    (void)state;
    assert_int_equal(ask("PUT", "sys/wrapping/unwrap", nothing, body.p).status, 403);
    assert_int_equal(ask("PUT", "sys/wrapping/rewrap", nothing, body.p).status, 403);
    assert_int_equal(ask("PUT", "sys/wrapping/unwrap", STR("hvs.AAAAAAAAAAAAAAAAAAAAAAAA"), body.p).status,
                     403);
    assert_true(str_eq(before, sweep_store_digest(&w.h, w.h.arena)));
    assert_int_equal(ask("PUT", "sys/wrapping/unwrap", w.h.root, body.p).status, 200);
    assert_int_equal(ask("PUT", "sys/wrapping/unwrap", w.h.root, body.p).status, 400);
    assert_int_equal(ask("GET", "cubbyhole/response", token, NULL).status, 403);
}

/* What is wrapped is the caller's: it makes no answer that is none. */
static void wrapped_answers_are_answers(void **state)
{
    static const char *const bodies[] = {
        "{\"http_raw_body\":\"YQ==\",\"http_content_type\":\"text/plain\",\"http_status_code\":7}",
        "{\"http_raw_body\":\"YQ==\",\"http_content_type\":\"text/plain\",\"http_status_code\":100}",
        "{\"http_raw_body\":\"YQ==\",\"http_content_type\":\"text/plain\",\"http_status_code\":-200}",
        "{\"http_raw_body\":\"YQ==\",\"http_content_type\":\"text/plain\",\"http_status_code\":99999999999}",
        "{\"http_raw_body\":\"\",\"http_content_type\":\"a\\r\\nX-Evil: 1\\r\\n\",\"http_status_code\":200}",
        "{\"http_raw_body\":\"YQ==\",\"http_content_type\":\"text/plain\",\"http_status_code\":304}",
        "{\"http_raw_body\":[1],\"http_content_type\":{},\"http_status_code\":\"200\"}",
        "{\"http_raw_body\":\"%%%\",\"http_content_type\":\"text/plain\",\"http_status_code\":200}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        str token = wrapping_token(bodies[i]);
        struct web_answer answer = ask("PUT", "sys/wrapping/unwrap", token, NULL);

        if (answer.status < 200 || answer.status > 499 || web_field(&answer, "X-Evil").n > 0)
            print_error("%s: %.*s\n", bodies[i], PSTR(answer.head));
        assert_in_range(answer.status, 200, 499);
        assert_int_equal(web_field(&answer, "X-Evil").n, 0);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(spellings_count_together),
        TEST(users_are_not_told),
        TEST(users_cost_the_same),
        TEST(tokens_are_not_told),
        TEST(mounts_are_not_told),
        TEST(once_is_once),
#ifdef COFFER_FAULTS
        TEST(once_is_once_with_failures),
#endif
        TEST(a_denied_unwrap_spends_nothing),
        TEST(wrapped_answers_are_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
