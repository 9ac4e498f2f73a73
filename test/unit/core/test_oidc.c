/* Keys of identity tokens under a clock that is moved by hand; templates. */
#include "core/active_private.h"
#include "core/internal.h"
#include "core/oidc/oidc_private.h"
#include "harness.h"

static struct clock *hands;

static void begin(struct harness *h)
{
    hands = clock_manual_new(INT64_C(1700000000) * NS_PER_S);
    harness_start(h, &(struct harness_options){.storage_type = "file", .clock = hands});
}

static void end(struct harness *h)
{
    harness_stop(h);
    clock_manual_free(hands);
}

static void tick(struct harness *h)
{
    assert_ok(active_run(atomic_load(&h->core->active), h->arena, oidc_tick, NULL));
}

struct published {
    str kids[8];
    size_t n;
};

static struct published published(struct harness *h)
{
    struct answer a = harness_must(h, 200, OP_READ, "identity/oidc/.well-known/keys", NULL);
    const struct json *keys = json_get(answer_data(h->arena, &a), STR("keys"));
    struct published p = {.n = keys->n};

    assert_true(keys->n <= COUNT_OF(p.kids));
    for (uint32_t i = 0; i < keys->n; i++)
        p.kids[i] = json_get_str(keys->items[i], STR("kid"));
    return p;
}

static bool has(const struct published *p, str kid)
{
    for (size_t i = 0; i < p->n; i++)
        if (str_eq(p->kids[i], kid))
            return true;
    return false;
}

static void key_and_role(struct harness *h)
{
    harness_must(h, 204, OP_UPDATE, "identity/oidc/key/k",
                 "{\"algorithm\":\"EdDSA\",\"rotation_period\":\"1h\",\"verification_ttl\":\"2h\"}");
    harness_must(h, 204, OP_UPDATE, "identity/oidc/role/r", "{\"key\":\"k\",\"ttl\":\"10m\"}");
}

/* Each hour the next pair takes over; a public key is shown two hours longer than its pair signs. */
static void rotate_by_themselves(void **state)
{
    struct harness h;

    (void)state;
    begin(&h);
    key_and_role(&h);
    struct published first = published(&h), p;

    assert_int_equal(first.n, 2);
    tick(&h);
    p = published(&h);
    assert_int_equal(p.n, 2);
    for (size_t hour = 1; hour <= 2; hour++) {
        clock_manual_advance(hands, 3601 * NS_PER_S);
        tick(&h);
        p = published(&h);
        assert_int_equal(p.n, 2 + hour);
        assert_true(has(&p, first.kids[0]) && has(&p, first.kids[1]));
    }
    harness_restart(&h); /* when the next one is due is stored */
    clock_manual_advance(hands, 1800 * NS_PER_S);
    tick(&h);
    p = published(&h);
    assert_int_equal(p.n, 4);
    clock_manual_advance(hands, 3601 * NS_PER_S);
    tick(&h);
    p = published(&h);
    assert_int_equal(p.n, 4); /* one more, and the first is gone */
    assert_int_equal(has(&p, first.kids[0]) + has(&p, first.kids[1]), 1);
    end(&h);
}

static size_t stored(struct harness *h, const char *what)
{
    struct active *a = atomic_load(&h->core->active);
    const struct mount *m = mount_find(&atomic_load(&a->snapshot)->mounts->table, STR("identity/"));
    str *names;
    size_t n;

    assert_ok(storage_list(h->storage, h->arena, arena_fmt(h->arena, "%.*s%s", PSTR(m->space->prefix), what),
                           &names, &n));
    return n;
}

static void nothing_is_left(void **state)
{
    struct harness h;

    (void)state;
    begin(&h);
    assert_int_equal(stored(&h, OIDC_NAMED_KEYS), 0); /* the default key is made when it is needed */
    harness_must(&h, 200, OP_READ, "identity/oidc/key/default", NULL);
    harness_must(&h, 400, OP_DELETE, "identity/oidc/key/default", NULL);
    key_and_role(&h);
    for (unsigned i = 0; i < 3; i++)
        harness_must(&h, 204, OP_UPDATE, "identity/oidc/key/k/rotate", NULL);
    assert_int_equal(stored(&h, OIDC_PUBLIC_KEYS), 5);
    harness_must(&h, 400, OP_DELETE, "identity/oidc/key/k", NULL);
    harness_must(&h, 204, OP_DELETE, "identity/oidc/role/r", NULL);
    assert_int_equal(published(&h).n, 0); /* no role uses it */
    clock_manual_advance(hands, 7201 * NS_PER_S);
    harness_must(&h, 204, OP_DELETE, "identity/oidc/key/k", NULL); /* expired ones are the timer's */
    assert_int_equal(stored(&h, OIDC_PUBLIC_KEYS), 3);
    tick(&h);
    assert_int_equal(stored(&h, OIDC_PUBLIC_KEYS), 0);
    assert_int_equal(stored(&h, OIDC_NAMED_KEYS), 0);
    end(&h);
}

static const struct {
    const char *template, *error; /* NULL: good */
} templates[] = {
    {"", NULL},
    {"{}", NULL},
    {"{\\\"a\\\": [{{ identity.entity.id }}, {{time.now.minus.5m}}]}", NULL},
    {"eyJhIjogMX0=", NULL},
    {"{{identity.entity.name}", "error parsing template: unbalanced templating characters"},
    {"{{identity.entity.name}} }}", "error parsing template: unbalanced templating characters"},
    {"{{ {{identity.entity.name}} }}", "error parsing template: unbalanced templating characters"},
    {"{{identity.entity.none}}",
     "error parsing template: no value could be found for one of the template directives"},
    {"{{identity.entity.metadatax}}",
     "error parsing template: no value could be found for one of the template directives"},
    {"{{identity.groups.names.g.id}}",
     "error parsing template: string contains groups template directives but no groups were provided"},
    {"{{identity.entity.aliases.x}}", "error parsing template: invalid alias selector"},
    {"{{time.then}}", "error parsing template: invalid time selector \"then\""},
    {"{{time.now.plus}}", "error parsing template: missing time operand"},
    {"{{time.now.times.1h}}", "error parsing template: invalid time operator \"times\""},
    {"[1]", "error parsing template JSON: json: cannot unmarshal array into Go value of type "
            "map[string]interface {}"},
    {"{\\\"sub\\\": 1}",
     "top level key \"sub\" not allowed. Restricted keys: iat, aud, exp, iss, sub, namespace, "
     "nonce, auth_time, at_hash, c_hash"},
};

static void templates_are_checked(void **state)
{
    struct harness h;

    (void)state;
    begin(&h);
    for (size_t i = 0; i < COUNT_OF(templates); i++) {
        str body = arena_fmt(h.arena, "{\"key\":\"default\",\"template\":\"%s\"}", templates[i].template);
        struct answer a = harness_must(&h, templates[i].error ? 400 : 204, OP_UPDATE, "identity/oidc/role/r",
                                       arena_cstr(h.arena, body));

        if (templates[i].error)
            assert_str(a.error, templates[i].error);
    }
    end(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rotate_by_themselves),
        cmocka_unit_test(nothing_is_left),
        cmocka_unit_test(templates_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
