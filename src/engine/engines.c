#include "engine/engines.h"

#include "engine/kv/kv.h"
#include "engine/kv/kv2.h"

const struct engine *const builtin_engines[] = {
    &kv_engine,
    &kv2_engine,
    NULL,
};
