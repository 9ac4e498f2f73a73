/* The second factor of logins, under a clock that is moved by hand. */
#include "core/active_private.h"
#include "crypto/otp.h"
#include "harness.h"

enum { PERIOD_S = 30, TRIES = 3 };
#define START_NS (INT64_C(1700000010) * NS_PER_S) /* a step begins here */

static struct harness h;
static struct clock *hands;
static str method, entity;
static bytes key;

static const char *text(const char *fmt, ...) PRINTF(1, 2);
static const char *text(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    str s = arena_vfmt(h.arena, fmt, args);

    va_end(args);
    return arena_cstr(h.arena, s);
}

static str member(const struct answer *a, const char *name)
{
    return json_get_str(answer_data(h.arena, a), str_from_cstr(name));
}

static struct answer login(void)
{
    return harness_must(&h, 200, OP_UPDATE, "auth/up/login/ann", "{\"password\":\"right\"}");
}

static void generate(void)
{
    struct answer a =
        harness_must(&h, 200, OP_UPDATE, "identity/mfa/method/totp/admin-generate",
                     text("{\"method_id\":\"%.*s\",\"entity_id\":\"%.*s\"}", PSTR(method), PSTR(entity)));
    str url = member(&a, "url"), barcode = member(&a, "barcode");

    assert_true(str_starts(barcode, STR("iVBORw0KGgo"))); /* PNG */
    assert_true(base32_decode(h.arena, str_from(url, str_find(url, STR("secret=")) + 7), &key));
}

static void enforce(const char *whom)
{
    harness_must(&h, 204, OP_UPDATE, "identity/mfa/login-enforcement/le",
                 text("{\"mfa_method_ids\":[\"%.*s\"],%s}", PSTR(method), whom));
}

static void configure(struct config *c)
{
    c->raw_storage_endpoint = true;
}

static int setup(void **state)
{
    (void)state;
    hands = clock_manual_new(START_NS);
    harness_start(&h,
                  &(struct harness_options){.storage_type = "file", .clock = hands, .configure = configure});
    harness_must(&h, 204, OP_UPDATE, "sys/auth/up", "{\"type\":\"userpass\"}");
    harness_must(&h, 204, OP_UPDATE, "auth/up/users/ann", "{\"password\":\"right\"}");
    struct answer a = login();

    a = harness_call(&h, h.arena, OP_READ, "auth/token/lookup-self", a.client_token, NULL);
    entity = member(&a, "entity_id");
    a = harness_must(&h, 200, OP_UPDATE, "identity/mfa/method/totp",
                     text("{\"issuer\":\"A & B\",\"max_validation_attempts\":%d}", TRIES));
    method = member(&a, "method_id");
    generate();
    enforce("\"auth_method_types\":[\"userpass\"]");
    clock_manual_advance(hands, PERIOD_S * NS_PER_S); /* steps from here on are known to be unused */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    harness_stop(&h);
    clock_manual_free(hands);
    return 0;
}

static str waiting(void)
{
    struct answer a = login();

    assert_int_equal(a.client_token.n, 0);
    assert_int_equal(a.mfa_request_id.n, UUID_TEXT_BYTES);
    return a.mfa_request_id;
}

/* The code of so many steps from now. */
static str code(int steps)
{
    char *out = arena_alloc(h.arena, 6);

    otp_code(out, OTP_SHA1, key, (uint64_t)(clock_wall_ns(hands) / NS_PER_S / PERIOD_S + steps), 6);
    return (str){out, 6};
}

static str wrong(void)
{
    str s = code(0);
    char *p = arena_copy(h.arena, s.p, s.n);

    p[3] = p[3] == '9' ? '0' : (char)(p[3] + 1);
    return (str){p, s.n};
}

static struct answer validate(str id, str passcode)
{
    return harness_call(&h, h.arena, OP_UPDATE, "sys/mfa/validate", (str){0},
                        text("{\"mfa_request_id\":\"%.*s\",\"mfa_payload\":{\"%.*s\":[\"%.*s\"]}}", PSTR(id),
                             PSTR(method), PSTR(passcode)));
}

static void assert_refused(struct answer a, int status, const char *part)
{
    if (a.status != status || str_find(a.error, str_from_cstr(part)) == a.error.n)
        print_error("%d %.*s\n", a.status, PSTR(a.error));
    assert_int_equal(a.status, status);
    assert_true(str_find(a.error, str_from_cstr(part)) < a.error.n);
}

static void passes(str passcode)
{
    struct answer a = validate(waiting(), passcode);

    assert_int_equal(a.status, 200);
    assert_true(a.client_token.n > 0);
    a = harness_call(&h, h.arena, OP_READ, "auth/token/lookup-self", a.client_token, NULL);
    assert_str(member(&a, "path"), "auth/up/login/ann");
    assert_str(member(&a, "display_name"), "up-ann");
    assert_true(str_eq(member(&a, "entity_id"), entity));
}

static void a_step_is_good_once(void **state)
{
    (void)state;
    str id = waiting();

    assert_refused(validate(id, wrong()), 403, "failed to validate TOTP passcode");
    assert_int_equal(validate(id, code(0)).status, 200); /* the failure did not end it */
    assert_refused(validate(id, code(1)), 400, "invalid request ID");
    id = waiting();
    assert_refused(validate(id, code(0)), 403, "failed to validate TOTP passcode");
    assert_refused(validate(id, code(-1)), 403,
                   "failed to validate TOTP passcode"); /* never used, but older */
    passes(code(1));
    clock_manual_advance(hands, 2 * PERIOD_S * NS_PER_S);
    passes(code(-1 + 1));
    clock_manual_advance(hands, 1000 * PERIOD_S * NS_PER_S);
    id = waiting();
    assert_refused(validate(id, code(2)), 403, "failed to validate TOTP passcode");
    assert_refused(validate(id, code(-2)), 403, "failed to validate TOTP passcode");
}

static void spellings_of_a_code(void **state)
{
    str c = code(0), id = waiting();
    const char *const forms[] = {text(" %.*s", PSTR(c)),
                                 text("%.*s ", PSTR(c)),
                                 text("%.3s %.3s", c.p, c.p + 3),
                                 text("passcode=passcode=%.*s", PSTR(c)),
                                 text("+%.*s", PSTR(c)),
                                 text("%.5s", c.p),
                                 "",
                                 "passcode="};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(forms); i++) /* none of them is a try either */
        assert_int_equal(validate(id, str_from_cstr(forms[i])).status, 403);
    assert_int_equal(validate(id, arena_fmt(h.arena, "passcode=%.*s", PSTR(c))).status, 200);
}

static void old_steps_are_unknown_after_a_start(void **state)
{
    (void)state;
    passes(code(0));
    harness_restart(&h);
    str id = waiting(); /* enforced from the start */

    assert_refused(validate(id, code(0)), 403, "began before this server became active");
    clock_manual_advance(hands, PERIOD_S * NS_PER_S);
    assert_refused(validate(id, code(-1)), 403, "began before this server became active");
    assert_int_equal(validate(id, code(0)).status, 200);
}

static void tries_are_counted(void **state)
{
    (void)state;
    str id = waiting();

    for (int i = 0; i < TRIES; i++)
        assert_refused(validate(id, wrong()), 403, "failed to validate TOTP passcode");
    assert_refused(validate(id, code(0)), 403,
                   "maximum TOTP validation attempts 4 exceeded the allowed attempts 3. Please try again in "
                   "30s seconds");
    assert_refused(validate(waiting(), code(0)), 403, "maximum TOTP validation attempts");
    clock_manual_advance(hands, (PERIOD_S - 1) * NS_PER_S);
    assert_refused(validate(id, code(0)), 403, "maximum TOTP validation attempts");
    clock_manual_advance(hands, NS_PER_S);
    assert_int_equal(validate(id, code(0)).status, 200);
    for (int i = 1; i < TRIES; i++) /* a good code has ended the count */
        assert_refused(validate(waiting(), wrong()), 403, "failed to validate TOTP passcode");
}

static void logins_wait_for_a_time(void **state)
{
    (void)state;
    str first = waiting(), second = waiting();

    clock_manual_advance(hands, 299 * NS_PER_S);
    assert_int_equal(validate(second, code(0)).status, 200);
    clock_manual_advance(hands, NS_PER_S);
    assert_refused(validate(first, code(1)), 400, "invalid request ID");
    first = waiting();
    second = waiting();
    for (int i = 0; i < 7; i++)
        waiting();
    assert_refused(validate(first, code(1)), 400, "invalid request ID"); /* the ninth pushed it out */
    clock_manual_advance(hands, 2 * PERIOD_S * NS_PER_S);
    assert_int_equal(validate(second, code(0)).status, 200);
}

static void what_changes_meanwhile(void **state)
{
    (void)state;
    str id = waiting();

    harness_must(&h, 204, OP_UPDATE, text("identity/entity/id/%.*s", PSTR(entity)), "{\"disabled\":true}");
    assert_refused(validate(id, code(0)), 403, "permission denied");
    harness_must(&h, 204, OP_UPDATE, text("identity/entity/id/%.*s", PSTR(entity)), "{\"disabled\":false}");
    harness_must(&h, 204, OP_DELETE, "sys/auth/up", NULL);
    harness_must(&h, 204, OP_UPDATE, "sys/auth/up", "{\"type\":\"userpass\"}");
    assert_refused(validate(id, code(0)), 400, "invalid request ID"); /* another mount */
}

static void whom_it_is_for(void **state)
{
    struct answer a;

    (void)state;
    harness_must(&h, 400, OP_UPDATE, "identity/mfa/login-enforcement/le",
                 text("{\"mfa_method_ids\":[\"%.*s\"],\"identity_group_ids\":[\"no\"]}", PSTR(method)));
    harness_must(&h, 400, OP_UPDATE, "identity/mfa/login-enforcement/le",
                 text("{\"mfa_method_ids\":[],\"identity_entity_ids\":[\"%.*s\"]}", PSTR(entity)));
    enforce("\"auth_method_types\":[],\"auth_method_accessors\":[],\"identity_entity_ids\":[]");
    a = login();
    assert_true(a.client_token.n > 0);
    enforce(text("\"identity_entity_ids\":[\"%.*s\"]", PSTR(entity)));
    waiting();
    a = harness_must(&h, 200, OP_UPDATE, "identity/group",
                     text("{\"name\":\"g\",\"member_entity_ids\":[\"%.*s\"]}", PSTR(entity)));
    enforce(text("\"identity_entity_ids\":[],\"identity_group_ids\":[\"%.*s\"]", PSTR(member(&a, "id"))));
    waiting();
    harness_must(&h, 204, OP_DELETE, "identity/group/name/g", NULL);
    a = login();
    assert_true(a.client_token.n > 0);
}

static void assert_keys(size_t wanted)
{
    struct answer a = harness_call(&h, h.arena, OP_LIST, text("sys/raw/sys/mfa/totpkeys/%.*s/", PSTR(method)),
                                   h.root, NULL);
    const struct json *keys = a.status == 200 ? json_get(answer_data(h.arena, &a), STR("keys")) : NULL;

    assert_int_equal(keys ? keys->n : 0, wanted);
}

static void secrets(void **state)
{
    const char *who = text("{\"method_id\":\"%.*s\",\"entity_id\":\"%.*s\"}", PSTR(method), PSTR(entity));
    bytes old = key;

    (void)state;
    passes(code(0));
    harness_must(&h, 200, OP_UPDATE, "identity/mfa/method/totp/admin-generate", who); /* a warning, no more */
    clock_manual_advance(hands, PERIOD_S * NS_PER_S);
    passes(code(0));
    harness_must(&h, 204, OP_UPDATE, "identity/mfa/method/totp/admin-destroy", who);
    assert_refused(validate(waiting(), code(1)), 403, "not present in entity");
    generate();
    assert_true(old.n == key.n && memcmp(old.p, key.p, key.n) != 0);
    clock_manual_advance(hands, 2 * PERIOD_S * NS_PER_S);
    passes(code(0));
    harness_must(&h, 500, OP_DELETE, text("identity/mfa/method/totp/%.*s", PSTR(method)), NULL);
    harness_must(&h, 400, OP_UPDATE, "identity/mfa/method/duo", "{\"secret_key\":\"x\"}");
}

static void merged(void **state)
{
    struct answer a = harness_must(&h, 200, OP_UPDATE, "identity/entity", "{\"name\":\"b\"}");
    str other = member(&a, "id");

    (void)state;
    harness_must(
        &h, 204, OP_UPDATE, "identity/entity/merge",
        text("{\"from_entity_ids\":[\"%.*s\"],\"to_entity_id\":\"%.*s\"}", PSTR(entity), PSTR(other)));
    entity = other;
    assert_keys(1);
    passes(code(0));
    a = harness_must(&h, 200, OP_UPDATE, "identity/entity", "{\"name\":\"c\"}");
    other = entity;
    entity = member(&a, "id");
    generate();
    const char *both =
        text("{\"from_entity_ids\":[\"%.*s\"],\"to_entity_id\":\"%.*s\"", PSTR(entity), PSTR(other));

    assert_refused(harness_must(&h, 400, OP_UPDATE, "identity/entity/merge", text("%s}", both)), 400,
                   "conflicting MFA config ID");
    harness_must(&h, 204, OP_UPDATE, "identity/entity/merge", text("%s,\"force\":true}", both));
    entity = other;
    clock_manual_advance(hands, 2 * PERIOD_S * NS_PER_S);
    passes(code(0)); /* of the one that went */
    assert_keys(1);
}

enum { KEYS_MANY = 70 };

/* More than one step has room for; ret: their ids, as JSON's inside of a list. */
static str many_with_keys(void)
{
    str all = {0};

    for (unsigned i = 0; i < KEYS_MANY; i++) {
        struct answer a = harness_must(&h, 200, OP_UPDATE, "identity/entity", text("{\"name\":\"n%u\"}", i));

        entity = member(&a, "id");
        generate();
        all = arena_fmt(h.arena, "%.*s%s\"%.*s\"", PSTR(all), i > 0 ? "," : "", PSTR(entity));
    }
    return all;
}

static void keys_go_with_their_entity(void **state)
{
    (void)state;
    assert_keys(1);
    harness_must(&h, 204, OP_DELETE, text("identity/entity/id/%.*s", PSTR(entity)), NULL);
    assert_keys(0);
    str all = many_with_keys();

    assert_keys(KEYS_MANY);
    harness_must(&h, 204, OP_UPDATE, "identity/entity/batch-delete",
                 text("{\"entity_ids\":[%.*s]}", PSTR(all)));
    assert_keys(0);
}

static void keys_go_with_their_method(void **state)
{
    (void)state;
    (void)many_with_keys();
    assert_keys(KEYS_MANY + 1);
    harness_must(&h, 500, OP_DELETE, text("identity/mfa/method/totp/%.*s", PSTR(method)), NULL);
    assert_keys(KEYS_MANY + 1);
    harness_must(&h, 204, OP_DELETE, "identity/mfa/login-enforcement/le", NULL);
    harness_must(&h, 204, OP_DELETE, text("identity/mfa/method/totp/%.*s", PSTR(method)), NULL);
    assert_keys(0);
}

static void settings_are_checked(void **state)
{
    static const char *const bad[] = {
        "\"digits\":7",     "\"period\":0",    "\"period\":-1",         "\"period\":90000",
        "\"skew\":2",       "\"key_size\":0",  "\"key_size\":513",      "\"qr_size\":-1",
        "\"qr_size\":5000", "\"issuer\":\"\"", "\"algorithm\":\"MD5\"", "\"max_validation_attempts\":-1"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        harness_must(&h, 400, OP_UPDATE, "identity/mfa/method/totp", text("{\"issuer\":\"A\",%s}", bad[i]));
    harness_must(&h, 404, OP_READ, "identity/mfa/method/totp/NO", NULL);
    harness_must(&h, 404, OP_READ, "identity/mfa/method/00000000-0000-0000-0000-000000000000", NULL);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_step_is_good_once),
        TEST(spellings_of_a_code),
        TEST(old_steps_are_unknown_after_a_start),
        TEST(tries_are_counted),
        TEST(logins_wait_for_a_time),
        TEST(what_changes_meanwhile),
        TEST(whom_it_is_for),
        TEST(secrets),
        TEST(merged),
        TEST(keys_go_with_their_entity),
        TEST(keys_go_with_their_method),
        TEST(settings_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
