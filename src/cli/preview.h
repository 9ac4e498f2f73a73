/* preview: a request shown instead of sent: the curl command for it, or the policy it needs. */
#pragma once
#include "cli/cli.h"

struct error *preview_print(struct cli *c, const struct client_request *rq) MUST_USE;
