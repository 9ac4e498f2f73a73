/* password_policies: sys/policies/password/: the stored policies, and a password of one. Stored as
 * sys/password_policy/NAME, docs/formats/password-policy.md. */
#include "base/encode.h"
#include "core/password/password.h"
#include "core/policy/policy.h"

#define FOLDER STR("password_policy/")

static struct error *load(struct request *rq, struct json **ret)
{
    struct view v = txn_view(rq->txn, SPACE_SYS);

    *ret = NULL;
    if (policy_is_no_name(field_str(rq, "name")))
        return NULL;
    return view_get_json(&v, arena_join(rq->arena, FOLDER, field_str(rq, "name")), ret);
}

static struct error *load_text(struct request *rq, str *ret)
{
    struct json *stored;

    TRY(load(rq, &stored));
    if (!stored)
        return fail_wrapped(rq, ERR_NOT_FOUND, "policy does not exist");
    *ret = json_get_str(stored, STR("policy"));
    return NULL;
}

/* Empty: none was found in time. */
static bytes generate(struct request *rq, bytes text, bytes none)
{
    struct password_policy *p;
    str password = {0};

    (void)none;
    if (!password_policy_parse(rq->arena, str_from_bytes(text), &p))
        password_generate(rq->arena, rq->rng, p, &password);
    return bytes_from_str(password);
}

static struct error *policy_write(struct request *rq, struct response *rs)
{
    struct view v = txn_view(rq->txn, SPACE_SYS);
    str text = field_str(rq, "policy");
    struct json *stored;
    struct password_policy *p;
    struct error *e;
    bytes made;

    (void)rs;
    if (text.n == 0)
        return fail_wrapped(rq, ERR_BAD_REQUEST, "missing policy");
    if (base64_decode(rq->arena, text, &made))
        text = str_from_bytes(made);
    e = password_policy_parse(rq->arena, text, &p);
    if (e)
        return fail_wrapped(rq, ERR_BAD_REQUEST, "invalid password policy: %.*s", PSTR(e->text));
    if (p->length < PASSWORD_LENGTH_MIN || p->length > PASSWORD_LENGTH_MAX)
        return fail_wrapped(rq, ERR_BAD_REQUEST, "passwords must be between %d and %d characters",
                            PASSWORD_LENGTH_MIN, PASSWORD_LENGTH_MAX);
    TRY(request_memo(rq, generate, bytes_from_str(text), (bytes){0}, &made));
    if (made.n == 0)
        return fail_wrapped(
            rq, ERR_BAD_REQUEST,
            "unable to generate password from provided policy in 1s: are the rules impossible?");
    TRY(load(rq, &stored));
    if (!stored)
        stored = json_object_ordered(rq->arena);
    json_set_str(rq->arena, stored, STR("policy"), text);
    return view_put_json(&v, arena_join(rq->arena, FOLDER, field_str(rq, "name")), stored);
}

static struct error *policy_read(struct request *rq, struct response *rs)
{
    str text;

    TRY(load_text(rq, &text));
    json_set_str(rq->arena, response_data(rq, rs), STR("policy"), text);
    return NULL;
}

static struct error *policy_delete(struct request *rq, struct response *rs)
{
    struct view v = txn_view(rq->txn, SPACE_SYS);

    (void)rs;
    if (policy_is_no_name(field_str(rq, "name")))
        return NULL;
    return view_delete(&v, arena_join(rq->arena, FOLDER, field_str(rq, "name")));
}

static struct error *policies_list(struct request *rq, struct response *rs)
{
    struct view v = txn_view(rq->txn, SPACE_SYS);
    str *names;
    size_t n;

    TRY(view_list_all(&v, FOLDER, &names, &n));
    return response_list(rq, rs, names, n);
}

static struct error *password_read(struct request *rq, struct response *rs)
{
    struct password_policy *p;
    struct error *e;
    bytes made;
    str text;

    TRY(load_text(rq, &text));
    e = password_policy_parse(rq->arena, text, &p);
    if (e)
        return fail_wrapped(rq, ERR_INTERNAL, "stored password policy configuration failed to parse: %.*s",
                            PSTR(e->text));
    TRY(request_memo(rq, generate, bytes_from_str(text), (bytes){0}, &made));
    if (made.n == 0)
        return fail_wrapped(
            rq, ERR_INTERNAL, "failed to generate password from policy: %s",
            p->n_charset > PASSWORD_CHARSET_MAX
                ? "unable to generate random characters: charset is too long: limited to 255 characters"
                : "timed out generating string");
    json_set_str(rq->arena, response_data(rq, rs), STR("password"), str_from_bytes(made));
    return NULL;
}

static const struct field policy_fields[] = {
    {"name", FT_STRING, FIELD_PATH, "Name of the policy."},
    {"policy", FT_STRING, 0, "Text of the policy, as it is or in base64."},
    {0},
};
static const struct field name_fields[] = {
    {"name", FT_STRING, FIELD_PATH, "Name of the policy."},
    {0},
};

/* clang-format off */
const struct route password_policy_routes[] = {
    {"policies/password", .ops = {[OP_LIST] = {policies_list, .help = "Lists the policies."}},
     .help = "Names of the password policies."},
    {"policies/password/{name...}", policy_fields,
     .ops = {[OP_READ] = {policy_read, .help = "Shows a policy."},
             [OP_UPDATE] = {policy_write, ROUTE_SLOW, "Makes or changes a policy."},
             [OP_DELETE] = {policy_delete, .help = "Removes a policy."}},
     .help = "A password policy.",
     .about = "It says how long passwords are and of which characters. A password is made of it before it is kept."},
    {"policies/password/{name...}/generate", name_fields,
     .ops = {[OP_READ] = {password_read, ROUTE_SLOW, "Makes a password."}},
     .help = "A new password as a policy asks for it."},
    {0},
};
/* clang-format on */
