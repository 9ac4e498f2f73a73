/* The usage gauges: what is stored, counted in the background. */
#include "core/active_private.h"
#include "core/telemetry/telemetry_private.h"

void telemetry_usage_start(struct active *a)
{
    (void)a;
}
