/* Two spellings of one name, names that would be more than a name, objects under another's name: nothing is
 * won by them. */
#include "core/active_private.h"
#include "core/identity/identity_private.h"
#include "sweep.h"

#define ALL "[\"create\",\"read\",\"update\",\"patch\",\"delete\",\"list\",\"sudo\"]"

static struct harness h;
static str admin; /* may do all, but is not root */

static int setup(void **state)
{
    (void)state;
    harness_start(&h, &(struct harness_options){0});
    sweep_mounts(&h);
    admin = harness_token(&h, "admin", "path \"*\" { capabilities = " ALL " }");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    harness_stop(&h);
    return 0;
}

static struct answer call(enum op op, const char *path, str token, const char *body)
{
    return harness_call(&h, h.arena, op, path, token, body);
}

static void gives(int status, enum op op, const char *path, str token, const char *body)
{
    struct answer a = call(op, path, token, body);

    if (a.status != status)
        print_error("%s %s %s: %d \"%.*s\"\n", op_name(op), path, body ? body : "", a.status, PSTR(a.error));
    assert_int_equal(a.status, status);
}

static const struct json *lookup(str token)
{
    struct answer a = harness_must(&h, 200, OP_UPDATE, "auth/token/lookup",
                                   arena_fmt(h.arena, "{\"token\":\"%.*s\"}", PSTR(token)).p);

    return answer_data(h.arena, &a);
}

static bool lists(const struct json *list, str name)
{
    for (uint32_t i = 0; list && i < list->n; i++)
        if (str_eq(list->items[i]->text, name))
            return true;
    return false;
}

static str login(const char *mount, const char *name, int status)
{
    struct answer a = call(OP_UPDATE, arena_fmt(h.arena, "auth/%s/login/%s", mount, name).p, (str){0},
                           "{\"password\":\"right\"}");

    if (a.status != status)
        print_error("login %s %s: %d \"%.*s\"\n", mount, name, a.status, PSTR(a.error));
    assert_int_equal(a.status, status);
    return a.client_token;
}

/* ---- nobody but root gives root ---- */

/* As lists and as texts. The last ones are other names, if names at all. */
static const char *const roots[] = {
    "[\"root\"]",           "[\"Root\"]",       "[\"ROOT\"]",        "[\" root\"]",
    "[\"root \"]",          "[\"\\troot\\n\"]", "[\" RoOt \"]",      "[\"admin\",\"root\"]",
    "[\"root\",\"admin\"]", "\"root\"",         "\"Root\"",          "\" root \"",
    "\"admin, Root ,a\"",   "[\"admin,root\"]", "[\"root\\u0000\"]", "[\"\\u200broot\"]",
    "[\"root\\u00a0\"]",    "[\"r\\u00f6ot\"]", "[[\"root\"]]",      "{\"root\":\"root\"}",
    "[\"/root\"]",          "[\"./root\"]",     "[\"root/\"]",       "[\"\\uff52oot\"]",
};

static void is_not_root(const struct answer *a, const char *what)
{
    if (a->client_token.n == 0)
        return;
    if (lists(json_get(lookup(a->client_token), STR("policies")), STR("root")))
        print_error("%s gave root\n", what);
    assert_false(lists(json_get(lookup(a->client_token), STR("policies")), STR("root")));
    assert_false(lists(json_get(lookup(a->client_token), STR("identity_policies")), STR("root")));
}

static bool is_policies_field(const struct field *f)
{
    return str_find(str_from_cstr(f->name), STR("policies")) < strlen(f->name) && !(f->flags & FIELD_PATH);
}

/* What was set may come out in a token of the role or of the user. */
static void use_what_was_set(const char *what)
{
    static const char *const asks[] = {"{}", "{\"policies\":[\"root\"],\"ttl\":60}",
                                       "{\"policies\":[\" Root\"],\"ttl\":60}",
                                       "{\"policies\":[\"ROOT\",\"admin\"],\"ttl\":60}", "{\"ttl\":60}"};
    struct answer a;

    for (size_t i = 0; i < COUNT_OF(asks); i++) {
        a = call(OP_UPDATE, "auth/token/create/sweep", admin, asks[i]);
        is_not_root(&a, what);
    }
    a = call(OP_UPDATE, "auth/up/login/sweep", (str){0}, "{\"password\":\"right\"}");
    assert_true(a.status == 200 ||
                (a.status == 400 && str_find(a.error, STR("cannot create root tokens")) < a.error.n));
    is_not_root(&a, what);
}

static void nobody_gives_root(void **state)
{
    unsigned n_fields = 0;
    size_t n;
    const struct sweep_op *v = sweep_of(&h, &n);

    (void)state;
    harness_must(&h, 204, OP_UPDATE, "auth/up/users/sweep",
                 "{\"password\":\"right\"}"); /* not locked by failures */
    for (size_t i = 0; i < n; i++) {
        for (const struct field *f = v[i].route->fields; v[i].op == OP_UPDATE && f && f->name; f++) {
            if (!is_policies_field(f))
                continue;
            n_fields++;
            for (size_t k = 0; k < COUNT_OF(roots); k++) {
                const char *path = arena_cstr(h.arena, sweep_path(h.arena, &v[i], NULL, (str){0}));
                const char *body =
                    arena_fmt(h.arena, "{\"password\":\"right\",\"ttl\":60,\"%s\":%s}", f->name, roots[k]).p;

                struct answer a = call(OP_UPDATE, path, k % 2 ? admin : h.root, body);

                if (k % 2 || str_find(str_from_cstr(path), STR("token/create")) == strlen(path))
                    is_not_root(&a, body);
                if (k % 4 == 0 || f->type == FT_LIST)
                    use_what_was_set(body);
            }
        }
    }
    assert_true(n_fields >= 9); /* of tokens 3, roles 4, users 2 … */
}

static void admin_is_refused_root(void **state)
{
    static const char *const paths[] = {"auth/token/create", "auth/token/create-orphan"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        for (size_t k = 0; k < 9; k++) {
            const char *body = arena_fmt(h.arena, "{\"policies\":%s,\"ttl\":60}", roots[k]).p;

            gives(400, OP_UPDATE, paths[i], admin, body);
        }
    gives(200, OP_UPDATE, "auth/token/create", h.root, "{\"policies\":[\" Root \"]}");
    gives(400, OP_UPDATE, "auth/token/create", h.root, "{\"policies\":[\"root\"],\"type\":\"batch\"}");
    gives(400, OP_UPDATE, "auth/token/create", admin, "{\"policies\":[\" Response-Wrapping\"]}");
    gives(400, OP_UPDATE, "auth/token/create", h.root, "{\"policies\":[\"CONTROL-GROUP\"]}");
}

/* A store that another server wrote may have such names in an entity. */
static str entity_id;

static struct error *give_policies(struct request *rq, struct response *rs)
{
    static const char *const names[] = {" Root", "root", "ROOT\t", "Seer"};
    IdentityPb__Entity *m;
    IdentityPb__LocalAliases *local;
    ProtobufCBinaryData *v = ARENA_ARRAY(rq->arena, ProtobufCBinaryData, COUNT_OF(names));

    (void)rs;
    TRY(txn_exclusive(rq->txn));
    TRY(identity_get(rq, entity_id, &m, &local));
    for (size_t i = 0; i < COUNT_OF(names); i++)
        v[i] = pb_text(rq->arena, str_from_cstr(names[i]));
    m->policies = v;
    m->n_policies = COUNT_OF(names);
    return identity_put(rq, m, NULL);
}

static void identity_gives_no_root(void **state)
{
    str token = login("up", "ann", 200);

    (void)state;
    harness_must(&h, 204, OP_UPDATE, "sys/policies/acl/seer",
                 "{\"policy\":\"path \\\"secret/kept\\\" { capabilities = [\\\"read\\\"] }\"}");
    gives(403, OP_READ, "secret/kept", token, NULL);
    entity_id = json_get_str(lookup(token), STR("entity_id"));
    assert_ok(active_run(h.core->active, h.arena, give_policies, NULL));
    gives(200, OP_READ, "secret/kept", token, NULL); /* "Seer" is the policy's name in another spelling */
    gives(403, OP_READ, "secret/other", token, NULL);
    gives(403, OP_READ, "sys/mounts", token, NULL);
    gives(403, OP_UPDATE, "auth/token/create-orphan", token, "{}");
    struct answer a = call(OP_UPDATE, "auth/token/create", token, "{\"policies\":[\"root\"]}");

    assert_int_equal(a.client_token.n, 0);
    const struct json *identity = json_get(lookup(token), STR("identity_policies"));

    assert_int_equal(identity->n, 1);
    assert_str(identity->items[0]->text, "seer");
}

/* ---- one spelling ---- */

static void policy_names(void **state)
{
    static const char *const fixed[] = {
        "root", "Root", "ROOT", "response-wrapping", "Response-Wrapping", "control-group"};
    const char *policy = "{\"policy\":\"path \\\"secret/kept\\\" { capabilities = [\\\"read\\\"] }\"}";

    (void)state;
    for (size_t i = 0; i < COUNT_OF(fixed); i++)
        for (int old = 0; old < 2; old++) {
            const char *path = arena_fmt(h.arena, "sys/%s/%s", old ? "policy" : "policies/acl", fixed[i]).p;

            gives(400, OP_UPDATE, path, h.root, policy);
            gives(400, OP_DELETE, path, h.root, NULL);
        }
    gives(400, OP_DELETE, "sys/policies/acl/DEFAULT", h.root, NULL);
    gives(200, OP_UPDATE, "sys/policies/acl/MiXed", h.root, policy); /* with a warning */
    struct answer a = harness_must(&h, 200, OP_READ, "sys/policies/acl/mixed", NULL);

    assert_str(json_get_str(answer_data(h.arena, &a), STR("name")), "mixed");
    a = harness_must(&h, 200, OP_UPDATE, "auth/token/create",
                     "{\"policies\":[\" MIXED \"],\"no_default_policy\":true}");
    gives(200, OP_READ, "secret/kept", a.client_token, NULL);
    assert_true(lists(json_get(lookup(a.client_token), STR("policies")), STR("mixed")));
    gives(204, OP_DELETE, "sys/policy/MIXED", h.root, NULL);
    gives(403, OP_READ, "secret/kept", a.client_token, NULL);
    gives(404, OP_READ, "sys/policies/acl/mixed", h.root, NULL);
}

static void user_names(void **state)
{
    (void)state;
    harness_must(&h, 204, OP_UPDATE, "auth/up/users/Quartz", "{\"password\":\"right\"}");
    harness_must(&h, 204, OP_UPDATE, "auth/up/users/QUARTZ", "{\"password\":\"right\",\"policies\":\"a\"}");
    struct answer a = harness_must(&h, 200, OP_LIST, "auth/up/users", NULL);

    assert_str(a.data, "{\"keys\":[\"ann\",\"quartz\"]}");
    str id = json_get_str(lookup(login("up", "quartz", 200)), STR("entity_id"));

    assert_true(str_eq(id, json_get_str(lookup(login("up", "QuArTz", 200)), STR("entity_id"))));
    for (const char *const *name =
             (const char *const[]){" quartz", "quartz ", "quartz.", "quartz/", "qu\xc3\xa4rtz", NULL};
         *name; name++)
        login("up", *name, strcmp(*name, "quartz/") == 0 ? 400 : 404);
    gives(204, OP_DELETE, "auth/up/users/qUARTZ", h.root, NULL);
    login("up", "quartz", 400);
}

static void role_names(void **state)
{
    (void)state;
    harness_must(&h, 204, OP_UPDATE, "auth/token/roles/Strict", "{\"disallowed_policies\":\" ADMIN \"}");
    gives(400, OP_UPDATE, "auth/token/create/strict", h.root,
          "{\"policies\":[\"a\"]}"); /* another role, which is not there */
    gives(400, OP_UPDATE, "auth/token/create/Strict", h.root, "{\"policies\":[\"Admin\"]}");
    gives(400, OP_UPDATE, "auth/token/create/Strict", h.root, "{\"policies\":[\"a\",\" admin\"]}");
    gives(200, OP_UPDATE, "auth/token/create/Strict", h.root, "{\"policies\":[\"a\"]}");
    harness_must(&h, 204, OP_UPDATE, "auth/token/roles/Globs", "{\"disallowed_policies_glob\":[\"AD*\"]}");
    gives(400, OP_UPDATE, "auth/token/create/Globs", h.root, "{\"policies\":[\"aDmin\"]}");
}

/* A mount's path in another form is the same mount, or is refused. */
static void mount_paths(void **state)
{
    static const char *const taken[] = {
        "secret",   "secret/", "/secret",  "secret/in",     "sys",  "sys/x", "auth", "auth/x", "cubbyhole",
        "identity", "audit",   "kv2/data", "secret/../kv2", "a//b", "a/./b", "../a", "a/..",   "."};

    (void)state;
    str before = harness_must(&h, 200, OP_READ, "sys/mounts", NULL).data;

    for (size_t i = 0; i < COUNT_OF(taken); i++) {
        struct answer a =
            call(OP_UPDATE, arena_fmt(h.arena, "sys/mounts/%s", taken[i]).p, h.root, "{\"type\":\"kv\"}");

        if (a.status < 400 || a.status > 499)
            print_error("sys/mounts/%s: %d\n", taken[i], a.status);
        assert_in_range(a.status, 400, 499);
        a = call(OP_UPDATE, "sys/remount", h.root,
                 arena_fmt(h.arena, "{\"from\":\"secret\",\"to\":\"%s\"}", taken[i]).p);
        if (a.status < 400 || a.status > 499)
            print_error("remount to %s: %d\n", taken[i], a.status);
        assert_in_range(a.status, 400, 499);
    }
    assert_true(str_eq(before, harness_must(&h, 200, OP_READ, "sys/mounts", NULL).data));
}

/* ---- names in templates ---- */

static const struct {
    const char *alias, *path; /* of secret/, which this alias must not reach */
} reaches[] = {
    {"*", "home/other/x"},
    {"+", "home/other/x"},
    {"oth*", "home/other/x"},
    {"", "home/other/x"},
    {"other/x", "home/other/x/y"},
    {"other/", "home/other/x"},
    {"o,other", "home/other/x"},
    {"../home/other", "home/other/x"},
    {"{{identity.entity.id}}", "home/other/x"},
    {"other\\u0000", "home/other/x"},
    {"+/x", "home/other/x/y"},
};

static void templates_are_not_widened(void **state)
{
    str accessor;

    (void)state;
    struct answer a = harness_must(&h, 200, OP_READ, "sys/auth", NULL);

    accessor = json_get_str(json_get(answer_data(h.arena, &a), STR("token/")), STR("accessor"));
    str policy = arena_fmt(
        h.arena,
        "path \\\"secret/home/{{identity.entity.aliases.%.*s.name}}/*\\\" { capabilities = [\\\"read\\\"] "
        "}\\n"
        "path \\\"secret/home/+/{{identity.entity.aliases.%.*s.name}}\\\" { capabilities = [\\\"read\\\"] }",
        PSTR(accessor), PSTR(accessor));

    harness_must(&h, 204, OP_UPDATE, "sys/policies/acl/home",
                 arena_fmt(h.arena, "{\"policy\":\"%.*s\"}", PSTR(policy)).p);
    harness_must(&h, 204, OP_UPDATE, "auth/token/roles/any",
                 "{\"allowed_entity_aliases\":\"*\",\"allowed_policies\":\"home\"}");
    harness_must(&h, 204, OP_UPDATE, "secret/home/other/x", "{\"v\":\"1\"}");
    harness_must(&h, 204, OP_UPDATE, "secret/home/ann/x", "{\"v\":\"1\"}");
    for (size_t i = 0; i < COUNT_OF(reaches); i++) {
        a = call(OP_UPDATE, "auth/token/create/any", h.root,
                 arena_fmt(h.arena, "{\"entity_alias\":\"%s\"}", reaches[i].alias).p);
        if (a.client_token.n == 0)
            continue;
        gives(403, OP_READ, arena_fmt(h.arena, "secret/%s", reaches[i].path).p, a.client_token, NULL);
        gives(403, OP_READ, "secret/kept", a.client_token, NULL);
    }
    a = harness_must(&h, 200, OP_UPDATE, "auth/token/create/any", "{\"entity_alias\":\"ANN\"}");
    gives(200, OP_READ, "secret/home/ann/x", a.client_token, NULL);
    gives(403, OP_READ, "secret/home/other/x", a.client_token, NULL);
}

/* An alias that the role does not allow, in whatever spelling. */
static void aliases_of_a_role(void **state)
{
    (void)state;
    harness_must(&h, 204, OP_UPDATE, "auth/token/roles/few", "{\"allowed_entity_aliases\":\"Ann,dev-*\"}");
    gives(200, OP_UPDATE, "auth/token/create/few", h.root, "{\"entity_alias\":\"aNN\"}");
    gives(200, OP_UPDATE, "auth/token/create/few", h.root, "{\"entity_alias\":\"DEV-x\"}");
    gives(400, OP_UPDATE, "auth/token/create/few", h.root, "{\"entity_alias\":\"bob\"}");
    gives(400, OP_UPDATE, "auth/token/create/few", h.root, "{\"entity_alias\":\"dev\"}");
    gives(400, OP_UPDATE, "auth/token/create", h.root, "{\"entity_alias\":\"ann\"}");
}

/* ---- one name, two identities ---- */

static void same_name_elsewhere_is_another(void **state)
{
    (void)state;
    harness_must(&h, 204, OP_UPDATE, "sys/auth/up2", "{\"type\":\"userpass\"}");
    harness_must(&h, 204, OP_UPDATE, "auth/up2/users/ann", "{\"password\":\"right\"}");
    str one = json_get_str(lookup(login("up", "ann", 200)), STR("entity_id"));
    str other = json_get_str(lookup(login("up2", "ann", 200)), STR("entity_id"));

    assert_true(one.n == 36 && other.n == 36 && !str_eq(one, other));
    /* the mount's successor at the same path has other users */
    harness_must(&h, 204, OP_DELETE, "sys/auth/up2", NULL);
    harness_must(&h, 204, OP_UPDATE, "sys/auth/up2", "{\"type\":\"userpass\"}");
    harness_must(&h, 204, OP_UPDATE, "auth/up2/users/ann", "{\"password\":\"right\"}");
    str third = json_get_str(lookup(login("up2", "ann", 200)), STR("entity_id"));

    assert_false(str_eq(third, other) || str_eq(third, one));
}

/* ---- an object belongs to its parent ---- */

static void prefix_is_of_whole_names(void **state)
{
    (void)state;
    harness_must(&h, 204, OP_UPDATE, "sys/auth/upper", "{\"type\":\"userpass\"}");
    harness_must(&h, 204, OP_UPDATE, "auth/upper/users/ann", "{\"password\":\"right\"}");
    str one = login("up", "ann", 200), other = login("upper", "ann", 200);

    harness_must(&h, 204, OP_UPDATE, "sys/leases/revoke-prefix/auth/up", "{\"sync\":true}");
    gives(403, OP_READ, "auth/token/lookup-self", one, NULL);
    gives(200, OP_READ, "auth/token/lookup-self", other, NULL);
    harness_must(&h, 204, OP_UPDATE, "sys/leases/revoke-prefix/auth/upper/login/an", "{\"sync\":true}");
    gives(200, OP_READ, "auth/token/lookup-self", other, NULL);
}

static void cubbyholes_are_apart(void **state)
{
    str a = harness_token(&h, "cubby", "path \"cubbyhole/*\" { capabilities = " ALL " }"),
        b = harness_must(&h, 200, OP_UPDATE, "auth/token/create", "{\"policies\":[\"cubby\"]}").client_token,
        child = call(OP_UPDATE, "auth/token/create", h.root, "{\"policies\":[\"cubby\"],\"id\":\"mine\"}")
                    .client_token;
    const str others[] = {b, child, h.root, admin};

    (void)state;
    gives(204, OP_UPDATE, "cubbyhole/deep/x", a, "{\"v\":\"1\"}");
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        gives(404, OP_READ, "cubbyhole/deep/x", others[i], NULL);
        gives(404, OP_LIST, "cubbyhole/deep", others[i], NULL);
        gives(204, OP_DELETE, "cubbyhole/deep/x", others[i], NULL);
        gives(204, OP_UPDATE, "cubbyhole/deep/x", others[i], "{\"v\":\"2\"}");
    }
    assert_str(call(OP_READ, "cubbyhole/deep/x", a, NULL).data, "{\"v\":\"1\"}");
}

/* By its accessor a token is handled, not used: no id comes out, and the cubbyhole's folder is no way in. */
static void accessors_give_no_token(void **state)
{
    str token = harness_must(&h, 200, OP_UPDATE, "auth/token/create", "{\"policies\":[\"a\"]}").client_token;
    str accessor = json_get_str(lookup(token), STR("accessor"));
    const char *body = arena_fmt(h.arena, "{\"accessor\":\"%.*s\"}", PSTR(accessor)).p;
    struct answer a = harness_must(&h, 200, OP_UPDATE, "auth/token/lookup-accessor", body);

    (void)state;
    assert_int_equal(str_find(a.data, token), a.data.n);
    assert_int_equal(json_get_str(answer_data(h.arena, &a), STR("id")).n, 0);
    a = harness_must(&h, 200, OP_UPDATE, "auth/token/renew-accessor", body);
    assert_int_equal(a.client_token.n, 0);
    gives(403, OP_READ, "auth/token/lookup-self", accessor, NULL);
    for (const char *const *bad = (const char *const[]){"", "../id", "x/y", "*", NULL}; *bad; bad++)
        for (const char *const *what = (const char *const[]){"lookup", "renew", "revoke", NULL}; *what;
             what++) {
            int status = call(OP_UPDATE, arena_fmt(h.arena, "auth/token/%s-accessor", *what).p, h.root,
                              arena_fmt(h.arena, "{\"accessor\":\"%s\"}", *bad).p)
                             .status;

            if (strcmp(*what, "revoke") != 0 || (*bad)[0] == 0) /* of an unknown one: a warning */
                assert_in_range(status, 400, 404);
        }
}

/* ---- no time means no time, not for ever ---- */

static void zero_is_not_for_ever(void **state)
{
    static const char *const bodies[] = {
        "{\"policies\":[\"a\"],\"ttl\":\"0\"}",
        "{\"policies\":[\"a\"],\"ttl\":0,\"explicit_max_ttl\":0,\"period\":0}",
        "{\"policies\":[\"a\"],\"ttl\":\"2000000h\"}",
        "{\"policies\":[\"a\"],\"lease\":\"0s\"}",
        "{\"policies\":[\"a\"],\"type\":\"batch\",\"ttl\":\"0\"}",
        "{\"policies\":[\"a\"],\"explicit_max_ttl\":\"2540400h\",\"ttl\":\"0s\"}",
        "{}",
    };
    enum { MAX_S = 32 * 24 * 3600 };

    (void)state;
    harness_must(&h, 204, OP_UPDATE, "auth/token/roles/nil",
                 "{\"token_explicit_max_ttl\":0,\"token_period\":0,\"token_num_uses\":0,\"orphan\":true}");
    for (size_t i = 0; i < 2 * COUNT_OF(bodies); i++) {
        struct answer a =
            call(OP_UPDATE, i % 2 ? "auth/token/create/nil" : "auth/token/create", admin, bodies[i / 2]);

        assert_int_equal(a.status, 200);
        int64_t ttl = json_get_int(lookup(a.client_token), STR("ttl"));

        if (ttl <= 0 || ttl > MAX_S)
            print_error("%s: %lld\n", bodies[i / 2], (long long)ttl);
        assert_in_range(ttl, 1, MAX_S);
        if (str_starts(a.client_token, STR("hvb.")))
            continue;
        gives(200, OP_UPDATE, "auth/token/renew-self", a.client_token, "{\"increment\":0}");
        gives(200, OP_UPDATE, "auth/token/renew-self", a.client_token, "{\"increment\":\"2000000h\"}");
        assert_in_range(json_get_int(lookup(a.client_token), STR("ttl")), 1, MAX_S);
    }
    for (size_t i = 0; i < 3; i++) {
        harness_must(&h, 204, OP_UPDATE, "auth/up/users/nil",
                     i == 0
                         ? "{\"password\":\"right\",\"token_ttl\":0,\"token_max_ttl\":0,\"token_period\":0}"
                     : i == 1 ? "{\"token_ttl\":\"2000000h\"}"
                              : "{\"token_explicit_max_ttl\":\"2000000h\",\"token_ttl\":0}");
        assert_in_range(json_get_int(lookup(login("up", "nil", 200)), STR("ttl")), 1, MAX_S);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(nobody_gives_root),
                                       TEST(admin_is_refused_root),
                                       TEST(identity_gives_no_root),
                                       TEST(policy_names),
                                       TEST(user_names),
                                       TEST(role_names),
                                       TEST(mount_paths),
                                       TEST(templates_are_not_widened),
                                       TEST(aliases_of_a_role),
                                       TEST(same_name_elsewhere_is_another),
                                       TEST(prefix_is_of_whole_names),
                                       TEST(cubbyholes_are_apart),
                                       TEST(accessors_give_no_token),
                                       TEST(zero_is_not_for_ever)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
