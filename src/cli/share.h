/* share: what operator rekey and operator generate-root do alike: the share and the nonce of a call. */
#pragma once
#include "cli/cli.h"

/* As cli_call; the JSON object of the answer, or of its "data". */
struct error *share_call(struct cli *c, str what, const struct client_request *rq, struct json **ret_object)
    MUST_USE;
/* The share: the argument, stdin for "-", else asked for, after a line "TITLE: NONCE". The nonce: -nonce, or
 * that of `status` when the share was asked for. A missing one is the caller's mistake. */
struct error *share_ask(struct cli *c, str title, const struct json *status, str *ret_key, str *ret_nonce)
    MUST_USE;
