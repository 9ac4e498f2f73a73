#include "engine/engines.h"

#include "engine/kv/kv.h"

const struct engine *const builtin_engines[] = {
    &kv_engine,
    NULL,
};
