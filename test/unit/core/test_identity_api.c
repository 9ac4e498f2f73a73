/* identity/ on a whole core: who an alias belongs to, what a token may by its entity and groups, merging and
 * deleting in steps, the groups that an auth method says. */
#include "harness.h"

static struct harness h;
static str accessor, says_accessor; /* of auth/up/ and auth/says/ */

/* ---- an auth method that lets everybody in and says what was told it of their groups ---- */

static struct error *groups_of(struct request *rq, str name, const str **ret, size_t *ret_n)
{
    struct json *j;

    TRY(view_get_json(rq->view, arena_join(rq->arena, STR("groups/"), name), &j));
    const struct json *list = json_get(j, STR("groups"));
    str *v = ARENA_ARRAY(rq->arena, str, list ? list->n + 1 : 1);

    for (*ret_n = 0; list && *ret_n < list->n; (*ret_n)++)
        v[*ret_n] = list->items[*ret_n]->text;
    *ret = v;
    return NULL;
}

static struct error *says_groups(struct request *rq, struct response *rs)
{
    struct json *j = json_object(rq->arena);
    size_t n;
    const str *v = field_strs(rq, "groups", &n);

    (void)rs;
    json_set(rq->arena, j, STR("groups"), json_strings(rq->arena, v, n));
    return view_put_json(rq->view, arena_join(rq->arena, STR("groups/"), field_str(rq, "name")), j);
}

static struct error *says_login(struct request *rq, struct response *rs)
{
    struct login *l = ARENA_NEW(rq->arena, struct login);
    struct json *meta = json_object(rq->arena);

    l->alias = l->display_name = field_str(rq, "name");
    json_set_str(rq->arena, meta, STR("name"), l->alias);
    l->metadata = meta;
    rs->login = l;
    return groups_of(rq, l->alias, &l->group_aliases, &l->n_group_aliases);
}

static struct error *says_renew(struct request *rq, struct renewal *r)
{
    r->groups_known = true;
    return groups_of(rq, json_get_str(r->metadata, STR("name")), &r->group_aliases, &r->n_group_aliases);
}

static const struct field says_fields[] = {
    {"name", FT_STRING, FIELD_PATH, .help = "name"}, {"groups", FT_STRINGS, .help = "groups"}, {0}};
static const struct route says_routes[] = {
    {"login/{name}", says_fields, .ops = {[OP_UPDATE] = {says_login}}, .flags = ROUTE_UNAUTH | ROUTE_LOGIN},
    {"groups/{name}", says_fields, .ops = {[OP_UPDATE] = {says_groups}}},
    {0}};
static const struct engine says_engine = {
    .type = "says", .kind = ENGINE_AUTH, .routes = says_routes, .plugin_version = "v1", .renew = says_renew};
static const struct engine *const engines[] = {&says_engine, NULL};

/* ---- words ---- */

#define FMT(...) arena_fmt(h.arena, __VA_ARGS__).p

static str accessor_of(const char *path)
{
    struct answer a = harness_must(&h, 200, OP_READ, path, NULL);

    return json_get_str(answer_data(h.arena, &a), STR("accessor"));
}

static int setup(void **state)
{
    (void)state;
    harness_start(&h, &(struct harness_options){.storage_type = "sqlite", .engines = engines});
    harness_must(&h, 204, OP_UPDATE, "sys/auth/up", "{\"type\":\"userpass\"}");
    harness_must(&h, 204, OP_UPDATE, "sys/auth/says", "{\"type\":\"says\"}");
    harness_must(&h, 204, OP_UPDATE, "auth/up/users/ann", "{\"password\":\"p\"}");
    harness_must(&h, 204, OP_UPDATE, "auth/up/users/bob", "{\"password\":\"p\"}");
    accessor = accessor_of("sys/auth/up");
    says_accessor = accessor_of("sys/auth/says");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    harness_stop(&h);
    return 0;
}

static str id_of(struct answer a)
{
    return json_get_str(answer_data(h.arena, &a), STR("id"));
}

static str made(const char *path, const char *body)
{
    return id_of(harness_must(&h, 200, OP_UPDATE, path, body));
}

static str alias_made(str entity, str mount, const char *name)
{
    return made("identity/entity-alias",
                FMT("{\"name\":\"%s\",\"canonical_id\":\"%.*s\",\"mount_accessor\":\"%.*s\"}", name,
                    PSTR(entity), PSTR(mount)));
}

static const struct json *read_at(const char *path)
{
    struct answer a = harness_must(&h, 200, OP_READ, path, NULL);

    return answer_data(h.arena, &a);
}

static struct answer try_login(const char *path)
{
    return harness_call(&h, h.arena, OP_UPDATE, path, (str){0}, "{\"password\":\"p\"}");
}

static str login(const char *path)
{
    struct answer a = try_login(path);

    assert_int_equal(a.status, 200);
    return a.client_token;
}

static int look(str token)
{
    return harness_call(&h, h.arena, OP_READ, "auth/token/lookup-self", token, NULL).status;
}

/* "a,b": the policies of the token's identity. */
static str identity_policies(str token)
{
    struct answer a = harness_call(&h, h.arena, OP_READ, "auth/token/lookup-self", token, NULL);
    const struct json *v = json_get(answer_data(h.arena, &a), STR("identity_policies"));
    str s = {0};

    for (uint32_t i = 0; v && i < v->n; i++)
        s = arena_fmt(h.arena, "%.*s%s%.*s", PSTR(s), i ? "," : "", PSTR(v->items[i]->text));
    return s;
}

static void refused(int status, const char *path, const char *body, const char *why)
{
    struct answer a = harness_must(&h, status, OP_UPDATE, path, body);

    if (str_find(a.error, str_from_cstr(why)) == a.error.n)
        print_error("%s: %.*s\n", path, PSTR(a.error));
    assert_true(str_find(a.error, str_from_cstr(why)) < a.error.n);
}

/* ---- entities ---- */

static void entities_end(void **state)
{
    str id = made("identity/entity", "{\"name\":\"Ann\",\"policies\":[\"seer\"]}");

    (void)state;
    alias_made(id, accessor, "ann");
    str token = login("auth/up/login/ann");

    harness_must(&h, 204, OP_UPDATE, "auth/up/users/ann", "{\"token_type\":\"batch\"}");
    str batch = login("auth/up/login/ann");

    harness_must(&h, 204, OP_UPDATE, "auth/up/users/ann", "{\"token_type\":\"service\"}");
    assert_true(str_starts(batch, STR("hvb.")));
    assert_str(identity_policies(token), "seer");
    assert_str(identity_policies(batch), "seer");
    harness_must(&h, 204, OP_UPDATE, "identity/entity/name/ann", "{\"disabled\":true}");
    assert_int_equal(look(token), 403);
    assert_int_equal(look(batch), 403);
    assert_int_equal(try_login("auth/up/login/ann").status, 403);
    harness_must(&h, 204, OP_UPDATE, "identity/entity/name/ANN",
                 "{\"disabled\":false,\"policies\":\"other\"}");
    assert_str(identity_policies(token), "other");
    harness_restart(&h);
    assert_str(identity_policies(batch), "other");
    harness_must(&h, 204, OP_DELETE, "identity/entity/name/aNN", NULL);
    assert_int_equal(look(token), 403);
    assert_int_equal(look(batch), 403);
    assert_int_equal(look(login("auth/up/login/ann")), 200); /* another entity, without its policies */
    harness_restart(&h);
    assert_int_equal(look(token), 403);
    assert_str(identity_policies(login("auth/up/login/ann")), "");
}

static void names_and_aliases_have_one_owner(void **state)
{
    str ann = made("identity/entity", "{\"name\":\"ann\",\"policies\":[\"seer\"]}");
    str bob = made("identity/entity", "{\"name\":\"bob\"}");
    str alias = alias_made(ann, accessor, "Ann");

    (void)state;
    refused(400, FMT("identity/entity/id/%.*s", PSTR(bob)), "{\"name\":\"ANN\"}", "already in use");
    refused(400, "identity/entity/name/bob", FMT("{\"id\":\"%.*s\"}", PSTR(ann)), "already in use");
    assert_str(identity_policies(login("auth/up/login/ann")), "seer"); /* one who differs in case alone */
    str other = alias_made(bob, accessor, "bob");

    refused(400, FMT("identity/entity-alias/id/%.*s", PSTR(other)), "{\"name\":\"aNN\"}", "already exists");
    refused(400, FMT("identity/entity-alias/id/%.*s", PSTR(other)),
            FMT("{\"canonical_id\":\"%.*s\"}", PSTR(ann)), "already has an alias");
    refused(400, "identity/entity-alias",
            FMT("{\"name\":\"second\",\"canonical_id\":\"%.*s\",\"mount_accessor\":\"%.*s\"}", PSTR(ann),
                PSTR(accessor)),
            "Alias already exists");
    assert_str(identity_policies(login("auth/up/login/bob")), "");
    /* whoever may write aliases may give one to another: then it is not the first one's any more */
    harness_must(&h, 204, OP_DELETE, FMT("identity/entity-alias/id/%.*s", PSTR(other)), NULL);
    assert_true(str_eq(alias_made(bob, accessor, "Ann"), alias));
    assert_str(identity_policies(login("auth/up/login/ann")), "");
    assert_int_equal(json_get(read_at("identity/entity/name/ann"), STR("aliases"))->n, 0);
    assert_int_equal(json_get(read_at("identity/entity/name/bob"), STR("aliases"))->n, 1);
}

static void metadata_has_limits(void **state)
{
    char key[130] = {0}, value[514] = {0};
    struct json *many = json_object(h.arena);

    (void)state;
    memset(key, 'k', sizeof(key) - 1);
    memset(value, 'v', sizeof(value) - 1);
    refused(500, "identity/entity", FMT("{\"metadata\":{\"%s\":\"\"}}", key), "key is too long");
    refused(500, "identity/group", FMT("{\"metadata\":{\"k\":\"%s\"}}", value), "value is too long");
    refused(500, "identity/entity", "{\"metadata\":{\"a b\":\"\"}}", "invalid characters");
    for (int i = 0; i < 65; i++)
        json_set_str(h.arena, many, arena_fmt(h.arena, "k%d", i), STR("v"));
    refused(500, "identity/entity", FMT("{\"metadata\":%.*s}", PSTR(json_text(h.arena, many))), "64");
    refused(400, "identity/entity", "{\"policies\":[\"x\",\" ROOT \"]}", "cannot contain root");
    refused(400, "identity/group", "{\"policies\":[\"Root\"]}", "cannot contain root");
}

/* ---- merging ---- */

static void merged_entities_are_one(void **state)
{
    str ann = made("identity/entity", "{\"name\":\"ann\",\"policies\":[\"ann\"]}");
    str bob = made("identity/entity", "{\"name\":\"bob\",\"policies\":[\"bob\"]}");
    str own = alias_made(bob, accessor, "bob");

    (void)state;
    made("identity/group",
         FMT("{\"name\":\"g\",\"policies\":[\"crew\"],\"member_entity_ids\":[\"%.*s\"]}", PSTR(bob)));
    str token = login("auth/up/login/bob");

    assert_str(identity_policies(token), "bob,crew");
    harness_must(&h, 204, OP_UPDATE, "identity/entity/merge",
                 FMT("{\"to_entity_id\":\"%.*s\",\"from_entity_ids\":[\"%.*s\"]}", PSTR(ann), PSTR(bob)));
    assert_str(identity_policies(token), "ann,crew"); /* never both entities' */
    harness_restart(&h);
    assert_str(identity_policies(token), "ann,crew");
    assert_str(identity_policies(login("auth/up/login/bob")), "ann,crew");

    str eve = made("identity/entity", "{\"name\":\"eve\"}"), eves = alias_made(eve, accessor, "eve");
    const char *pair = FMT("\"to_entity_id\":\"%.*s\",\"from_entity_ids\":[\"%.*s\"]", PSTR(ann), PSTR(eve));

    assert_int_equal(
        harness_call(&h, h.arena, OP_UPDATE, "identity/entity/merge", h.root, FMT("{%s}", pair)).status, 400);
    refused(400, "identity/entity/merge", FMT("{%s,\"conflicting_alias_ids_to_keep\":[\"none\"]}", pair),
            "neither were present");
    assert_true(
        str_eq(json_get_str(read_at("identity/entity/name/eve"), STR("id")), eve)); /* nothing happened */
    harness_must(&h, 204, OP_UPDATE, "identity/entity/merge",
                 FMT("{%s,\"conflicting_alias_ids_to_keep\":[\"%.*s\"]}", pair, PSTR(eves)));
    const struct json *aliases = json_get(read_at("identity/entity/name/ann"), STR("aliases"));

    assert_int_equal(aliases->n, 1);
    assert_true(str_eq(json_get_str(aliases->items[0], STR("id")), eves));
    harness_must(&h, 404, OP_READ, FMT("identity/entity-alias/id/%.*s", PSTR(own)), NULL);
}

/* ---- in steps ---- */

static void many_at_once(void **state)
{
    enum { ENTITIES = 300, GROUPS = 110 };
    struct json *ids = json_array(h.arena);
    str first = {0};

    (void)state;
    for (int i = 0; i < ENTITIES; i++) {
        str id = made("identity/entity", FMT("{\"name\":\"e%d\"}", i));

        json_append(h.arena, ids, json_string(h.arena, id));
        if (i == 0)
            first = id;
    }
    str all = json_text(h.arena, ids), to = made("identity/entity", "{\"name\":\"to\"}");

    for (int i = 0; i < GROUPS; i++)
        made("identity/group", FMT("{\"name\":\"g%d\",\"policies\":[\"p%d\"],\"member_entity_ids\":%.*s}", i,
                                   i, PSTR(i == 0 ? all : arena_fmt(h.arena, "[\"%.*s\"]", PSTR(first)))));
    harness_must(&h, 204, OP_UPDATE, "identity/entity/merge",
                 FMT("{\"to_entity_id\":\"%.*s\",\"from_entity_ids\":[\"%.*s\"]}", PSTR(to), PSTR(first)));
    assert_int_equal(json_get(read_at("identity/entity/name/to"), STR("group_ids"))->n, GROUPS);
    harness_must(&h, 204, OP_UPDATE, "identity/entity/batch-delete", FMT("{\"entity_ids\":%.*s}", PSTR(all)));
    struct answer list = harness_must(&h, 200, OP_LIST, "identity/entity/name/", NULL);

    assert_int_equal(json_get(answer_data(h.arena, &list), STR("keys"))->n, 1);
    assert_int_equal(json_get(read_at("identity/group/name/g0"), STR("member_entity_ids"))->n, 1);
    harness_must(&h, 204, OP_DELETE, "identity/entity/name/to", NULL);
    harness_restart(&h);
    harness_must(&h, 404, OP_LIST, "identity/entity/id/", NULL);
    for (int i = 0; i < GROUPS; i++)
        assert_true(
            json_is_null(json_get(read_at(FMT("identity/group/name/g%d", i)), STR("member_entity_ids"))));
}

/* ---- groups ---- */

static void groups_have_no_cycles(void **state)
{
    str ids[6], ann = made("identity/entity", "{\"name\":\"ann\"}");

    (void)state;
    alias_made(ann, accessor, "ann");
    str token = login("auth/up/login/ann");

    for (int i = 0; i < 6; i++)
        ids[i] = made("identity/group",
                      i ? FMT("{\"name\":\"g%d\",\"policies\":[\"p%d\"],\"member_group_ids\":[\"%.*s\"]}", i,
                              i, PSTR(ids[i - 1]))
                        : FMT("{\"name\":\"g0\",\"member_entity_ids\":[\"%.*s\"]}", PSTR(ann)));
    assert_str(identity_policies(token), "p1,p2,p3,p4,p5");
    for (int i = 0; i < 6; i++)
        for (int k = i; k < 6; k++)
            refused(i == k ? 500 : 400, FMT("identity/group/id/%.*s", PSTR(ids[i])),
                    FMT("{\"member_group_ids\":[\"%.*s\"]}", PSTR(ids[k])),
                    i == k ? "same as the ID" : "cyclic relationship");
    harness_must(&h, 204, OP_UPDATE, "identity/group/name/G3", "{\"member_group_ids\":[]}");
    assert_str(identity_policies(token), "p1,p2");
    harness_must(&h, 204, OP_UPDATE, "identity/group/name/g5",
                 FMT("{\"member_group_ids\":[\"%.*s\"]}", PSTR(ids[0])));
    assert_str(identity_policies(token), "p1,p2,p5");
    harness_restart(&h);
    assert_str(identity_policies(token), "p1,p2,p5");
    harness_must(&h, 204, OP_DELETE, "identity/group/name/g1", NULL);
    assert_str(identity_policies(token), "p5");
    harness_must(&h, 204, OP_UPDATE, "identity/group/name/g0", "{\"member_entity_ids\":[]}");
    assert_str(identity_policies(token), "");
}

static void told(const char *groups)
{
    harness_must(&h, 204, OP_UPDATE, "auth/says/groups/ann", FMT("{\"groups\":\"%s\"}", groups));
}

static void external(const char *name, str mount, const char *alias)
{
    str id = made("identity/group",
                  FMT("{\"name\":\"%s\",\"type\":\"external\",\"policies\":[\"%s\"]}", name, name));

    made("identity/group-alias",
         FMT("{\"name\":\"%s\",\"canonical_id\":\"%.*s\",\"mount_accessor\":\"%.*s\"}", alias, PSTR(id),
             PSTR(mount)));
}

static void a_method_says_the_groups(void **state)
{
    (void)state;
    external("admins", says_accessor, "Admins");
    external("staff", says_accessor, "staff");
    external("theirs", accessor, "staff"); /* the same name, but of another method */
    told("admins,staff,unknown");
    str token = login("auth/says/login/ann"); /* the first login makes the entity too */

    assert_str(identity_policies(token), "admins,staff");
    told("staff");
    assert_str(identity_policies(token), "admins,staff");
    harness_must(&h, 200, OP_UPDATE, "auth/token/renew", FMT("{\"token\":\"%.*s\"}", PSTR(token)));
    assert_str(identity_policies(token), "staff"); /* also of tokens from before */
    harness_restart(&h);
    assert_str(identity_policies(token), "staff");
    told("admins");
    assert_str(identity_policies(login("auth/says/login/ann")), "admins");
    assert_int_equal(json_get(read_at("identity/group/name/admins"), STR("member_entity_ids"))->n, 1);
    refused(400, "identity/group/name/admins", "{\"member_entity_ids\":[]}", "can't be set manually");
    told("");
    assert_str(identity_policies(login("auth/says/login/ann")), "");
}

static void a_login_shows_its_groups(void **state)
{
    struct answer a;

    (void)state;
    external("admins", says_accessor, "admins");
    told("admins");
    harness_must(&h, 204, OP_UPDATE, "sys/policies/acl/admins",
                 "{\"policy\":\"path \\\"sys/mounts\\\" { capabilities = [\\\"read\\\"] }\"}");
    a = try_login("auth/says/login/ann");
    assert_int_equal(a.status, 200);
    assert_int_equal(harness_call(&h, h.arena, OP_READ, "sys/mounts", a.client_token, NULL).status, 200);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(entities_end),
        TEST(names_and_aliases_have_one_owner),
        TEST(metadata_has_limits),
        TEST(merged_entities_are_one),
        TEST(many_at_once),
        TEST(groups_have_no_cycles),
        TEST(a_method_says_the_groups),
        TEST(a_login_shows_its_groups),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
