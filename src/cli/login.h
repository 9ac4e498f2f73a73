/* login: the auth methods that `login` knows: from K=V arguments to the secret with the new token; and the
 * second factor.
 *
 * A credential is taken from its argument, else from an environment variable where the method has one, else
 * asked for on the terminal, not echoed. No token is sent with a login. Errors: bare, the caller says
 * "Error authenticating".
 */
#pragma once
#include "cli/cli.h"

struct login_setting { /* a K=V argument */
    const char *name, *help;
};

struct login_method {
    const char *name;
    struct error *(*login)(struct cli *c, const struct json *given, str path, struct json **ret_secret);
    const char *about;                    /* one sentence */
    const struct login_setting *settings; /* ends with a NULL name */
};
const struct login_method *login_method_find(str name); /* NULL: none of that name */

/* The argument `name`, or what is typed after `prompt`. */
struct error *login_credential(struct cli *c, const struct json *given, const char *name, const char *prompt,
                               str *ret) MUST_USE;
/* PUT auth/PATH/login[/USER] with the body. */
struct error *login_put(struct cli *c, str path, str user, const struct json *body, struct json **ret_secret)
    MUST_USE;

/* cmd_login.c: a token that exists already. login_aws.c: a signed sts:GetCallerIdentity. */
struct error *login_token(struct cli *c, const struct json *given, str path, struct json **ret_secret)
    MUST_USE;
struct error *login_aws(struct cli *c, const struct json *given, str path, struct json **ret_secret) MUST_USE;

/* Does the answer ask for a second factor before it gives the token? */
bool mfa_is_asked(const struct json *secret);
/* When it asks for just one, and there is a terminal: asks for the code, has it checked, and puts the answer
 * with the token in *io_secret. Else nothing. */
struct error *mfa_answer(struct cli *c, struct json **io_secret) MUST_USE;
