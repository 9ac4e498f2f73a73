/* metrics: sys/metrics, for those with a token; and for all where the listener says so. */
#include "core/active_private.h"
#include "core/sys/sys.h"
#include "core/telemetry/telemetry.h"

static struct error *metrics_read_route(struct request *rq, struct response *rs)
{
    telemetry_answer(rq->core->telemetry, rq->arena, telemetry_format(rq, field_str(rq, "format")), rs);
    return NULL;
}

struct error *sys_metrics(struct core *c, struct arena *a, void *arg)
{
    struct core_call *call = arg;
    const struct json *format = json_get(call->rq.data, STR("format"));
    str text = format && format->type == JSON_STRING ? format->text : (str){0};

    telemetry_answer(c->telemetry, a, telemetry_format(&call->rq, text), &call->rs);
    return NULL;
}

static const struct field metrics_fields[] = {
    {"format", FT_STRING, FIELD_QUERY, .help = "prometheus for its text; else JSON."},
    {0},
};

const struct route sys_metric_routes[] = {
    {"metrics", metrics_fields, .ops = {[OP_READ] = {metrics_read_route, .help = "Shows the metrics."}},
     .help = "What the server counts and measures about itself."},
    {0},
};
