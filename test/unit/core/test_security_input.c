/* Over all routes: no input crashes the server or makes it answer 5xx, an error says what is wrong, and what
 * is secret
 * comes out nowhere: not in audit, log or error texts. */
#include "base/log.h"
#include "sweep.h"
#include "watched.h"
#include "web.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- answers ---- */

/* Answers of 500 that Vault gives too. */
static const char *const known_500[] = {
    "missing data fields",                        /* cubbyhole, kv 1: nothing to write */
    "missing password",                           /* userpass login */
    "username does not exist",                    /* userpass: password or policies of nobody */
    "no token found",                             /* capabilities of an empty token */
    "invalid 'limit' provided",                   /* leases */
    "limit must be 'none' or a positive integer", /* leases */
    "key contains invalid UTF-8",                 /* kv */
    "string field contains invalid UTF-8",        /* kv 2 */
    "cannot fetch mount entry on",                /* plugins/reload/backend */
    "at least one origin or the wildcard",        /* config/cors */
    "the '*' must be the only value for allowed_origins",
    "raft backend not in use",
    "can't perform a seal migration",
    "client token empty",
    "invalid rekey seal configuration: ",          /* rekey/init */
    "error xoring token: ",                        /* decode-token */
    "Go struct field KeyMetadata.custom_metadata", /* kv 2: patch */
    "failed to load metadata pair",                /* identity, as all below */
    "custom_metadata validation failed",
    "missing entity id",
    "invalid entity ID",
    "invalid member group ID",
    "is same as the ID of the group",
    "failed to determine alias name from login request", /* approle, and what follows */
    "role \"sweep\" does not exist",
    "at least one constraint should be enabled on the role",
    "failed to validate",
    "failed to find accessor entry",
    "SecretID is already registered",
};

static bool is_known_500(str error)
{
    for (size_t i = 0; i < COUNT_OF(known_500); i++)
        if (str_find(error, str_from_cstr(known_500[i])) < error.n)
            return true;
    return false;
}

static bool is_fine(const struct answer *a, const char *field)
{
    if (a->status >= 500)
        return is_known_500(a->error);
    if (a->status < 200 || (a->status >= 300 && a->status < 400) || (a->failed && a->status < 400))
        return false;
    if (a->status != 400)
        return true;
    if (str_find(a->error, STR("error converting input")) == a->error.n)
        return a->error.n > 0;
    return field && str_find(a->error, str_from_cstr(field)) < a->error.n;
}

/* Refusals that have no words in their JSON, as Vault's. */
static bool is_wordless(const struct route *r, const struct answer *a)
{
    static const char *const paths[] = {"health", "metrics"};

    for (size_t i = 0; i < COUNT_OF(paths); i++)
        if (str_eq(str_from_cstr(r->path), str_from_cstr(paths[i])))
            return a->status == 400 && a->error.n == 0;
    return false;
}

/* ---- every field with every odd value ---- */

static const char *const odd[] = {
    "null",
    "true",
    "0",
    "-1",
    "1e400",
    "1.5",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551616",
    "\"\"",
    "\" \"",
    "\"x\"",
    "\"-1h\"",
    "\"9999999999h\"",
    "\"106751d\"",
    "\"-9223372036854775808\"",
    "\"\\u0000\"",
    "\"a\\u0000b\"",
    "\"\\ud800\"",
    "\"\\u202e\\ufeff\\u00e9\"",
    "\"../..\"",
    "\"/\"",
    "\"a//b\"",
    "\"*\"",
    "\"+/{{identity.entity.id}}\"",
    "\"a,,b,\"",
    "\"=\"",
    "\"%00%s%n\"",
    "[]",
    "[null]",
    "[[1]]",
    "[{}]",
    "[\"\"]",
    "[-1]",
    "[1e99]",
    "{}",
    "{\"\":null}",
    "{\"a\":{\"b\":[1]}}",
    "{\"a\":-1}",
    "{\"version\":\"9\"}",
    "{\"default_lease_ttl\":\"-1h\",\"max_lease_ttl\":{}}",
    "{\"token_type\":[]}",
};

struct sweep_run {
    struct harness h;
    str token;               /* with root's rights; ends now and then */
    struct storage *storage; /* watched */
    unsigned n, bad;
};

static void take_token(struct sweep_run *s)
{
    s->token = harness_must(&s->h, 200, OP_UPDATE, "auth/token/create", NULL).client_token;
}

static bool ends_tokens(const struct sweep_op *o)
{
    return str_find(str_from_cstr(o->route->path), STR("revoke")) < strlen(o->route->path);
}

static void send_one(struct sweep_run *s, struct arena *a, const struct sweep_op *o, str path,
                     const char *field, str body)
{
    uint64_t commits = watched_commits(s->storage);
    struct answer answer =
        harness_call(&s->h, a, o->op, arena_cstr(a, path), s->token, body.n ? arena_cstr(a, body) : NULL);

    s->n++;
    /* what is refused has changed nothing, but that a login that failed is counted */
    bool changed =
        answer.status >= 400 && !(o->flags & ROUTE_LOGIN) && watched_commits(s->storage) != commits;

    if (changed || !(is_fine(&answer, field) || is_wordless(o->route, &answer))) {
        s->bad++;
        print_error("%s%s %.*s %.*s: %d \"%.*s\"\n", changed ? "done all the same: " : "", op_name(o->op),
                    PSTR(str_slice(path, 0, MIN(path.n, 200))), PSTR(str_slice(body, 0, MIN(body.n, 200))),
                    answer.status, PSTR(answer.error));
    }
    if (ends_tokens(o))
        take_token(s);
    arena_reset(a);
}

static str long_text(struct arena *a, size_t n)
{
    char *p = arena_alloc(a, n);

    memset(p, 'a', n);
    return (str){p, n};
}

static void sweep_values(struct sweep_run *s, struct arena *a, const struct sweep_op *o,
                         const struct field *f)
{
    for (size_t i = 0; i <= COUNT_OF(odd); i++) {
        struct json *body = sweep_body(a, o), *value;

        if (i < COUNT_OF(odd))
            assert_ok(json_parse(a, str_from_cstr(odd[i]), false, &value));
        else
            value = json_string(a, long_text(a, 256 * 1024));
        json_set(a, body, str_from_cstr(f->name), value);
        send_one(s, a, o, sweep_path(a, o, NULL, (str){0}), f->name, json_text(a, body));
    }
}

static const char *const odd_paths[] = {"",          " ",
                                        "a b",       "\xc3\xa9",
                                        "\xff\xfe",  "a/b/c",
                                        "+",         "*",
                                        "{{x}}",     "root",
                                        "Root",      "default",
                                        "-1",        "token",
                                        "sys",       "auth",
                                        "cubbyhole", "identity",
                                        "a%2fb",     "%n%s",
                                        "a\nb",      "nosuch/",
                                        "a\"b\\",    "response",
                                        "0",         "9999999999999999999"};

static void sweep_paths(struct sweep_run *s, struct arena *a, const struct sweep_op *o, const struct field *f)
{
    for (size_t i = 0; i <= COUNT_OF(odd_paths); i++) {
        str value = i < COUNT_OF(odd_paths) ? str_from_cstr(odd_paths[i]) : long_text(a, 8192);

        send_one(s, a, o, sweep_path(a, o, f->name, value), f->name, json_text(a, sweep_body(a, o)));
    }
}

static void sweep_bodies(struct sweep_run *s, struct arena *a, const struct sweep_op *o)
{
    static const char *const texts[] = {"", "{}", "{\"\":\"\"}",
                                        "{\"nosuch\":[{\"a\":1}],\"path\":7,\"name\":[]}"};

    for (size_t i = 0; i < COUNT_OF(texts); i++)
        send_one(s, a, o, sweep_path(a, o, NULL, (str){0}), "", str_from_cstr(texts[i]));
}

static void odd_input_is_refused(void **state)
{
    struct arena *a = arena_new(0);
    struct clock *stands = clock_manual_new(1795322188 * NS_PER_S); /* nothing ends by itself */
    struct sweep_run s = {0};
    char folder[32];
    size_t n;

    (void)state;
    s.storage = watched_new(harness_storage_open(a, "inmem", folder), false);
    harness_start(&s.h, &(struct harness_options){.storage = s.storage, .clock = stands});
    sweep_mounts(&s.h);
    take_token(&s);
    const struct sweep_op *v = sweep_of(&s.h, &n);

    for (size_t i = 0; i < n; i++) {
        if (sweep_op_stops(&v[i]))
            continue;
        sweep_bodies(&s, a, &v[i]);
        for (const struct field *f = v[i].route->fields; f && f->name; f++)
            if (f->flags & FIELD_PATH)
                sweep_paths(&s, a, &v[i], f);
            else
                sweep_values(&s, a, &v[i], f);
    }
    struct answer kept = harness_must(&s.h, 200, OP_READ, "secret/kept", NULL);

    assert_str(kept.data, "{\"v\":\"kept\"}");
    assert_true(s.n > 5000);
    assert_int_equal(s.bad, 0);
    harness_stop(&s.h);
    storage_close(s.storage);
    clock_manual_free(stands);
    arena_free(a);
}

/* ---- without a token, over HTTP ---- */

static const struct {
    const char *method, *path;
} open_paths[] = {
    {"PUT", "sys/init"},
    {"PUT", "sys/unseal"},
    {"PUT", "sys/seal"},
    {"PUT", "sys/step-down"},
    {"GET", "sys/health"},
    {"GET", "sys/leader"},
    {"GET", "sys/seal-status"},
    {"GET", "sys/init"},
    {"GET", "sys/internal/ui/mounts"},
    {"PUT", "sys/rekey/init"},
    {"PUT", "sys/rekey/update"},
    {"DELETE", "sys/rekey/init"},
    {"PUT", "sys/generate-root/attempt"},
    {"PUT", "sys/generate-root/update"},
    {"PUT", "sys/wrapping/unwrap"},
    {"PUT", "sys/wrapping/lookup"},
    {"PUT", "auth/up/login/ann"},
    {"PUT", "auth/up/login/nobody"},
    {"PUT", "auth/nosuch/login/ann"},
    {"PUT", "auth/token/create"},
    {"PUT", "secret/a"},
};

static str repeated(struct arena *a, const char *begin, const char *part, size_t n, const char *end)
{
    struct buf b;

    buf_init(&b, a, SIZE_MAX);
    buf_put_str(&b, str_from_cstr(begin));
    for (size_t i = 0; i < n; i++)
        buf_put_str(&b, str_from_cstr(part));
    buf_put_str(&b, str_from_cstr(end));
    return buf_str(&b);
}

static size_t make_bodies(struct arena *a, str *v)
{
    static const char *const texts[] = {
        "",
        "{",
        "null",
        "[]",
        "1",
        "\"a\"",
        "{}x",
        "{\"a\":}",
        "{'a':1}",
        "\xff\xfe{}",
        "{\"key\":\"\\ud800\"}",
        "{\"password\":1e999999999}",
        "{\"password\":[[[[]]]]}",
        "{\"password\":{\"a\":null}}",
        "{\"password\":\"x\\u0000\"}",
        "{\"key\":-99999999999999999999999999,\"reset\":\"maybe\",\"migrate\":1e9}",
        "{\"key\":\"zz\",\"reset\":[]}",
        "{\"secret_shares\":99999999999999999999,\"secret_threshold\":-1}",
        "{\"secret_shares\":\"x\",\"pgp_keys\":{}}",
        "{\"token\":[null]}",
        "{\"token\":{\"a\":1}}",
        "{\"token\":\"\\u0000\\u202e\"}",
        "{\"token\":\"hvs.\"}",
        "{\"token\":\"hvb.AAAA\"}",
        "{\"token\":\"hvs.CAESIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        "{\"nonce\":{},\"otp\":7}",
        "{\"a\":1,\"a\":2,\"\":3}",
    };
    size_t n = 0;

    for (size_t i = 0; i < COUNT_OF(texts); i++)
        v[n++] = str_from_cstr(texts[i]);
    v[n++] = repeated(a, "{\"password\":", "[", 100000, "");
    v[n++] = repeated(a, "{\"password\":", "{\"a\":", 100000, "");
    v[n++] = repeated(a, "{\"password\":\"", "aaaaaaaaaaaaaaaa", 65536, "\"}");
    v[n++] = repeated(a, "{\"token\":\"hvs.", "aaaaaaaaaaaaaaaa", 65536, "\"}");
    v[n++] = repeated(a, "{\"key\":\"", "ffffffffffffffff", 65536, "\"}");
    v[n++] = repeated(a, "{\"a\":[", "0,", 1100000, "0]}");
    v[n++] = repeated(a, "{\"a\":", "9", 1000000, "}");
    return n;
}

static void bodies_of_strangers(void **state)
{
    struct arena *a = arena_new(0), *one = arena_new(0);
    struct web w;
    str v[64];
    size_t n = make_bodies(a, v);
    unsigned bad = 0;

    (void)state;
    web_start(&w, &(struct harness_options){0}, &(struct web_options){0});
    sweep_mounts(&w.h);
    for (size_t p = 0; p < COUNT_OF(open_paths); p++)
        for (size_t i = 0; i < n; i++) {
            struct web_answer answer =
                web_call(&w, one, open_paths[p].method, arena_fmt(one, "/v1/%s", open_paths[p].path),
                         (str){0}, NULL, v[i]);
            bool fine = answer.status < 500 || is_known_500(answer.body);

            if (!fine)
                print_error("%s %s body %zu: %d %.*s\n", open_paths[p].method, open_paths[p].path, i,
                            answer.status, PSTR(answer.body));
            bad += !fine;
            arena_reset(one);
        }
    assert_int_equal(bad, 0);
    harness_must(&w.h, 200, OP_READ, "secret/kept", NULL);
    web_stop(&w);
    arena_free(one);
    arena_free(a);
}

/* A query of a route that takes no token. */
static void queries_of_strangers(void **state)
{
    static const char *const queries[] = {
        "sys/health?standbyok=x&activecode=0",
        "sys/health?activecode=-5",
        "sys/health?activecode=99999",
        "sys/health?activecode=abc",
        "sys/health?activecode=%00",
        "sys/health?activecode=100",
        "sys/health?sealedcode=99999999999999",
        "sys/seal-status?x=%zz",
        "sys/leader?=&&=",
        "sys/init?list=true",
        "sys/health?activecode=204&help=1",
        "sys/internal/ui/mounts?help=1",
    };
    struct arena *a = arena_new(0);
    struct web w;

    (void)state;
    web_start(&w, &(struct harness_options){0}, &(struct web_options){0});
    for (size_t i = 0; i < COUNT_OF(queries); i++) {
        struct web_answer answer =
            web_call(&w, a, "GET", arena_fmt(a, "/v1/%s", queries[i]), (str){0}, NULL, (str){0});

        if (answer.status < 200 || answer.status > 499)
            print_error("%s: %d\n", queries[i], answer.status);
        assert_in_range(answer.status, 200, 499);
    }
    web_stop(&w);
    arena_free(a);
}

static void headers_of_strangers(void **state)
{
    static const char *const names[] = {"X-Vault-Wrap-TTL",
                                        "X-Vault-Wrap-Format",
                                        "X-Vault-Token",
                                        "X-Vault-Namespace",
                                        "X-Vault-Request",
                                        "Authorization",
                                        "X-Vault-Policy-Override",
                                        "X-Vault-Index",
                                        "X-Forwarded-For",
                                        "Content-Type",
                                        "Accept",
                                        "X-HTTP-Method-Override"};
    static const char *const values[] = {"",
                                         "-1",
                                         "0",
                                         "1e99",
                                         "9999999999999999999",
                                         "-9223372036854775808",
                                         "9999999999h",
                                         "2540400h",
                                         "jwt",
                                         "\xff\xfe",
                                         "../..",
                                         "root",
                                         "Bearer ",
                                         "Bearer x y",
                                         "a,b;c=\"",
                                         "LIST",
                                         "::1%lo",
                                         "{{x}}",
                                         "%s%n"};
    struct arena *a = arena_new(0);
    struct web w;

    (void)state;
    web_start(&w, &(struct harness_options){0}, &(struct web_options){0});
    sweep_mounts(&w.h);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        for (size_t k = 0; k <= COUNT_OF(values); k++) {
            str value = k < COUNT_OF(values) ? str_from_cstr(values[k]) : long_text(a, 5000);
            const char *line = arena_fmt(a, "%s: %.*s\r\n", names[i], PSTR(value)).p;

            for (int root = 0; root < 2; root++) {
                struct web_answer answer =
                    web_call(&w, a, root ? "PUT" : "GET", STR("/v1/secret/kept"), root ? w.h.root : (str){0},
                             line, root ? STR("{\"v\":\"kept\"}") : (str){0});

                if (answer.status < 200 || answer.status > 499)
                    print_error("%s: %d %.*s\n", line, answer.status, PSTR(answer.body));
                assert_in_range(answer.status, 200, 499);
            }
            arena_reset(a);
        }
    harness_must(&w.h, 200, OP_READ, "secret/kept", NULL);
    web_stop(&w);
    arena_free(a);
}

/* ---- what is secret stays inside ---- */

static const char canary[] = "cAnArY7f3a1b";

static bool has_canary(str s)
{
    return str_find(s, str_from_cstr(canary)) < s.n;
}

static const char *const shapes[] = {"\"%s\"", "[\"%s\"]", "{\"k\":\"%s\"}", "[[\"%s\"]]",
                                     "[{\"k\":\"%s\"}]"};

/* Values that no error may repeat. The one of kv 2's data that is no map is repeated by Vault too. */
static bool is_secret(const struct sweep_op *o, const struct field *f)
{
    static const char *const names[] = {"token", "password", "input", "id", "key", "jwt", "secret_id"};

    if (strcmp(o->mount, "identity/") == 0 && (strcmp(f->name, "id") == 0 || strcmp(f->name, "key") == 0))
        return false; /* of an entity, a group, an alias; a key's name: they open nothing */
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(f->name, names[i]) == 0)
            return true;
    return (f->flags & FIELD_SENSITIVE) != 0 || (o->flags & ROUTE_RAW_BODY);
}

static unsigned canary_in(struct sweep_run *s, struct arena *a, const struct sweep_op *o,
                          const struct field *f, const char *shape)
{
    struct json *body = sweep_body(a, o), *value;
    size_t n = str_find(str_from_cstr(shape), STR("%s"));
    str text = arena_fmt(a, "%.*s%s%s", (int)n, shape, canary, shape + n + 2);

    assert_ok(json_parse(a, text, false, &value));
    json_set(a, body, f ? str_from_cstr(f->name) : STR("other"), value);
    struct answer answer = harness_call(&s->h, a, o->op, arena_cstr(a, sweep_path(a, o, NULL, (str){0})),
                                        s->token, arena_cstr(a, json_text(a, body)));
    bool leaks = has_canary(answer.error) && (!f || is_secret(o, f));

    if (leaks)
        print_error("%s %s%s %.*s: %d \"%.*s\"\n", op_name(o->op), o->mount, o->route->path, PSTR(text),
                    answer.status, PSTR(answer.error));
    if (ends_tokens(o))
        take_token(s);
    arena_reset(a);
    return leaks;
}

static str file_text(struct arena *a, const char *path)
{
    struct buf b;
    uint8_t part[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    buf_init(&b, a, SIZE_MAX);
    for (ssize_t n; (n = read(fd, part, sizeof(part))) > 0;)
        buf_put_str(&b, (str){(const char *)part, (size_t)n});
    close(fd);
    return buf_str(&b);
}

/* What an entry shows as it is, besides the keys of objects: errors, and of the tokens given out what they
 * may be. */
static bool is_clear(str path)
{
    static const char *const clear[] = {".error", ".response.auth.display_name", ".response.auth.metadata",
                                        ".response.auth.policies", ".response.auth.token_policies"};

    for (size_t i = 0; i < COUNT_OF(clear); i++)
        if (str_starts(path, str_from_cstr(clear[i])))
            return true;
    return false;
}

static unsigned canaries_in(struct arena *a, const struct json *v, str path)
{
    unsigned bad = 0;

    if (is_clear(path))
        return 0;
    for (uint32_t i = 0; v->type == JSON_ARRAY && i < v->n; i++)
        bad += canaries_in(a, v->items[i], path);
    for (uint32_t i = 0; v->type == JSON_OBJECT && i < v->n; i++)
        bad += canaries_in(a, v->members[i].value,
                           arena_fmt(a, "%.*s.%.*s", PSTR(path), PSTR(v->members[i].key)));
    if (v->type != JSON_STRING || !has_canary(v->text))
        return bad;
    print_error("audit: %.*s: %.*s\n", PSTR(path), PSTR(v->text));
    return bad + 1;
}

static unsigned canaries_in_audit(struct arena *a, const char *path)
{
    str left = file_text(a, path), line;
    unsigned n_lines = 0, bad = 0;

    for (; left.n > 0; n_lines++) {
        struct json *entry;

        (void)str_cut(left, '\n', &line, &left);
        if (!has_canary(line))
            continue;
        assert_ok(json_parse(a, line, false, &entry));
        bad += canaries_in(a, entry, (str){0});
    }
    assert_true(n_lines > 100);
    return bad;
}

static void secrets_come_out_nowhere(void **state)
{
    char audit[] = "/tmp/coffer-audit-XXXXXX", log[] = "/tmp/coffer-log-XXXXXX";
    struct arena *a = arena_new(0);
    struct sweep_run s = {0};
    unsigned bad = 0;
    size_t n;
    int log_fd = mkstemp(log);

    (void)state;
    close(mkstemp(audit));
    harness_start(&s.h, &(struct harness_options){0});
    sweep_mounts(&s.h);
    harness_audit_file(&s.h, "file", audit);
    take_token(&s);
    log_set_fd(log_fd);
    log_set_level(LOG_TRACE);
    const struct sweep_op *v = sweep_of(&s.h, &n);

    for (size_t i = 0; i < n; i++) {
        if (sweep_op_stops(&v[i]))
            continue;
        for (size_t k = 0; k < COUNT_OF(shapes); k++) {
            bad += canary_in(&s, a, &v[i], NULL, shapes[k]);
            for (const struct field *f = v[i].route->fields; f && f->name; f++)
                if (!(f->flags & FIELD_PATH))
                    bad += canary_in(&s, a, &v[i], f, shapes[k]);
        }
    }
    str token = arena_fmt(s.h.arena, "hvs.%s", canary);

    for (size_t i = 0; i < n; i++)
        bad += has_canary(
            harness_call(&s.h, a, v[i].op, arena_cstr(a, sweep_path(a, &v[i], NULL, (str){0})), token, NULL)
                .error);
    harness_stop(&s.h);
    log_set_level(LOG_ERROR);
    log_set_fd(STDERR_FILENO);
    bad += canaries_in_audit(a, audit);
    bad += has_canary(file_text(a, log));
    assert_int_equal(bad, 0);
    close(log_fd);
    unlink(audit);
    unlink(log);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_input_is_refused), cmocka_unit_test(bodies_of_strangers),
        cmocka_unit_test(queries_of_strangers), cmocka_unit_test(headers_of_strangers),
        cmocka_unit_test(secrets_come_out_nowhere)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
