#include "auth/methods.h"

#include "auth/userpass/userpass.h"

const struct engine *const builtin_methods[] = {
    &userpass_method,
    NULL,
};
