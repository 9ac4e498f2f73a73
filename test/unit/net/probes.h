/* probes: requests and what the server must say to them: the table of docs/formats/http.md as data, used for
 * the codec by itself and through a socket. */
#pragma once
#include "base/base.h"

struct probe {
    const char *name;
    str request;
    int status;         /* of the refusal; 0: the handler is reached */
    const char *target; /* as the handler sees it; NULL: not looked at */
    const char *body;   /* the same */
};
extern const struct probe probes[];
extern const size_t n_probes;
