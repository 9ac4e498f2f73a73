#include "auth/userpass/userpass_private.h"
#include "base/secure.h"
#include "crypto/bcrypt.h"

/* ---- passwords ---- */

/* Empty: it cannot be hashed. */
static bytes hash_password(struct request *rq, bytes none, bytes password)
{
    char *text = arena_alloc(rq->arena, BCRYPT_TEXT_BYTES);

    (void)none;
    return (bytes){(uint8_t *)text, bcrypt_hash(rq->rng, password, text) ? BCRYPT_TEXT_BYTES : 0};
}

static bytes check_password(struct request *rq, bytes hash, bytes password)
{
    uint8_t *ok = arena_alloc(rq->arena, 1);

    *ok = bcrypt_verify(hash, password);
    return (bytes){ok, 1};
}

static struct error *set_password(struct request *rq, struct user *u)
{
    str password = field_str(rq, "password");
    bytes hash;

    if (password.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing password");
    TRY(request_memo(rq, hash_password, (bytes){0}, bytes_from_str(password), &hash));
    if (hash.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "the password must not hold a NUL byte");
    u->password_hash = str_from_bytes(hash);
    u->password = (str){0};
    return NULL;
}

/* The same work for a user that is not there: an empty hash is checked too. */
static struct error *password_is(struct request *rq, const struct user *u, str password, bool *ret)
{
    bytes hash = u ? bytes_from_str(u->password_hash) : (bytes){0}, ok;

    TRY(request_memo(rq, check_password, hash, bytes_from_str(password), &ok));
    *ret = ok.p[0] != 0;
    if (u && u->password_hash.n == 0 && u->password.n > 0) /* kept in clear in 2015 */
        *ret = secret_equal(bytes_from_str(u->password), bytes_from_str(password));
    return NULL;
}

/* ---- users ---- */

static struct error *user_exists(struct request *rq, bool *ret)
{
    struct user *u;

    TRY(user_load(rq, arena_lower(rq->arena, rq->params[0]), &u));
    *ret = u != NULL;
    return NULL;
}

static struct error *user_write(struct request *rq, struct response *rs)
{
    struct user *u;

    (void)rs;
    if (rq->op == OP_CREATE && field_str(rq, "password").n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing password");
    TRY(user_load(rq, user_name(rq), &u));
    if (!u)
        u = user_new(rq);
    TRY(token_fields_parse(rq, &u->token));
    if (field_given(rq, "password"))
        TRY(set_password(rq, u));
    TRY(user_take_old_fields(rq, u));
    return user_save(rq, user_name(rq), u);
}

static struct error *user_read(struct request *rq, struct response *rs)
{
    struct user *u;

    TRY(user_load(rq, user_name(rq), &u));
    if (!u)
        return fail_absent(rq);
    user_show(rq, response_data(rq, rs), u);
    return NULL;
}

static struct error *user_delete(struct request *rq, struct response *rs)
{
    (void)rs;
    return view_delete(rq->view, arena_join(rq->arena, STR("user/"), user_name(rq)));
}

static struct error *user_list(struct request *rq, struct response *rs)
{
    str *names;
    size_t n;

    TRY(view_list(rq->view, STR("user/"), &names, &n));
    return response_list(rq, rs, names, n);
}

static struct error *user_must(struct request *rq, struct user **ret)
{
    TRY(user_load(rq, user_name(rq), ret));
    return *ret ? NULL : fail_wrapped(rq, ERR_INTERNAL, "username does not exist");
}

static struct error *password_write(struct request *rq, struct response *rs)
{
    struct user *u;

    (void)rs;
    TRY(user_must(rq, &u));
    TRY(set_password(rq, u));
    return user_save(rq, user_name(rq), u);
}

static struct error *policies_write(struct request *rq, struct response *rs)
{
    struct user *u;

    (void)rs;
    TRY(user_must(rq, &u));
    if (field_given(rq, "token_policies"))
        u->token.policies = field_strs(rq, "token_policies", &u->token.n_policies);
    user_take_old_policies(rq, u);
    return user_save(rq, user_name(rq), u);
}

/* ---- login ---- */

static struct error *login_alias(struct request *rq, str *ret_name)
{
    *ret_name = user_name(rq);
    return NULL;
}

static struct error *login_write(struct request *rq, struct response *rs)
{
    str name = user_name(rq), password = field_str(rq, "password");
    struct login *l = ARENA_NEW(rq->arena, struct login);
    struct json *metadata = json_object(rq->arena);
    struct user *u;
    bool ok;

    if (password.n == 0)
        return fail(rq, ERR_INTERNAL, "missing password");
    TRY(user_load(rq, name, &u));
    TRY(password_is(rq, u, password, &ok));
    if (!ok || !u)
        return login_refuse(rq, rs, "invalid username or password");
    if (!token_cidrs_allow(rq, &u->token))
        return fail(rq, ERR_DENIED, "permission denied");
    json_set_str(rq->arena, metadata, STR("username"), name);
    *l = (struct login){.alias = name, .display_name = name, .metadata = metadata, .token = u->token};
    rs->login = l;
    return NULL;
}

static struct error *renew(struct request *rq, struct renewal *r)
{
    struct user *u;

    TRY(user_load(rq, json_get_str(r->metadata, STR("username")), &u));
    r->gone = u == NULL;
    return u ? renewal_from_fields(rq, r, &u->token) : NULL;
}

/* ---- the table ---- */

#define USERNAME                                                                                             \
    {                                                                                                        \
        "username", FT_NAME, FIELD_PATH, .help = "Name of the user; letters are taken as lower case."        \
    }
#define PASSWORD                                                                                             \
    {                                                                                                        \
        "password", FT_STRING, FIELD_SENSITIVE, .help = "The user's password."                               \
    }
#define POLICIES                                                                                             \
    {                                                                                                        \
        "policies", FT_STRINGS, FIELD_DEPRECATED, .help = "Use token_policies."                              \
    }

static const struct field user_fields[] = {
    USERNAME,
    PASSWORD,
    POLICIES,
    {"ttl", FT_SECONDS, FIELD_DEPRECATED, .help = "Use token_ttl."},
    {"max_ttl", FT_SECONDS, FIELD_DEPRECATED, .help = "Use token_max_ttl."},
    {"bound_cidrs", FT_STRINGS, FIELD_DEPRECATED, .help = "Use token_bound_cidrs."},
    TOKEN_FIELDS,
    {0},
};

static const struct field password_fields[] = {
    USERNAME,
    PASSWORD,
    {0},
};

static const struct field policies_fields[] = {
    USERNAME,
    POLICIES,
    {"token_policies", FT_STRINGS, .help = "Names of the token's policies."},
    {0},
};

static const struct route userpass_routes[] = {
    {"login/{username}", password_fields, .ops = {[OP_UPDATE] = {login_write, .help = "Logs in."}},
     .flags = ROUTE_UNAUTH | ROUTE_LOGIN | ROUTE_SLOW, .help = "Gives a token for a name and a password."},
    {"users", .ops = {[OP_LIST] = {user_list, .help = "Lists the users."}},
     .help = "The names of all users."},
    {"users/{username}", user_fields,
     .ops = {[OP_READ] = {user_read, .help = "Shows a user."},
             [OP_UPDATE] = {user_write, ROUTE_SLOW, "Makes or changes a user."},
             [OP_DELETE] = {user_delete, .help = "Removes a user."}},
     .exists = user_exists, .help = "A user: its password and what its tokens may.",
     .about = "What is not given stays as it is. Tokens given out before keep what they may until they are "
              "renewed."},
    {"users/{username}/password", password_fields,
     .ops = {[OP_UPDATE] = {password_write, ROUTE_SLOW, "Sets the password."}},
     .help = "The password of a user."},
    {"users/{username}/policies", policies_fields,
     .ops = {[OP_UPDATE] = {policies_write, .help = "Sets the policies."}},
     .help = "The policies of a user's tokens."},
    {0},
};

const struct engine userpass_method = {
    .type = "userpass",
    .kind = ENGINE_AUTH,
    .routes = userpass_routes,
    .help = "Users that log in with a name and a password.",
    .plugin_version = "v1.14.7+builtin.vault",
    .login_alias = login_alias,
    .renew = renew,
};
