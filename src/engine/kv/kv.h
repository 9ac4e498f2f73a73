/* kv: the engine of secrets that are written and read back, version 1. Stored: docs/formats/kv.md (PATH: the
 * object as sent). */
#pragma once
#include "core/engine.h"

extern const struct engine kv_engine;
