/* methods: the list of auth methods built in. A new one is one folder and one line in methods.c. */
#pragma once
#include "core/engine.h"

extern const struct engine *const builtin_methods[]; /* NULL-terminated */
