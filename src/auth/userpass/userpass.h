/* userpass: users with passwords, kept in the mount. Stored: docs/formats/userpass.md. Names are lower
 * case. */
#pragma once
#include "core/engine.h"

extern const struct engine userpass_method;
