#include "auth/methods.h"

#include "auth/approle/approle.h"
#include "auth/userpass/userpass.h"

const struct engine *const builtin_methods[] = {
    &approle_method,
    &userpass_method,
    NULL,
};
