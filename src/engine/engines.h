/* engines: the list of mountable engines built in. A new engine is one folder and one line in engines.c. */
#pragma once
#include "core/engine.h"

extern const struct engine *const builtin_engines[]; /* NULL-terminated */
