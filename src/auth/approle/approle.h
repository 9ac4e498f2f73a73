/* approle: roles for machines, each with a role id and secret ids that are given out. Stored:
 * docs/formats/approle.md. Names of roles are lower case. */
#pragma once
#include "core/engine.h"

extern const struct engine approle_method;
