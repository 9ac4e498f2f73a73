/* What a server tells about its past: version-history, operator usage, events. */
#include "base/clock.h"
#include "cli/cmd.h"

const struct flag usage_flags[] = {
    {"start-time", FLAG_STRING, .help = "First moment: RFC 3339, YYYY-MM-DD, YYYY-MM or Unix seconds."},
    {"end-time", FLAG_STRING, .help = "Last moment, in the same forms."},
    {0},
};

struct error *cmd_version_history(struct cli *c)
{
    struct client_request rq = {.method = "LIST", .path = STR("sys/version-history")};
    struct json *secret;
    TRY(cli_find(c, STR("Error reading version history"), &rq, &secret));
    const struct json *data = json_get(secret, STR("data"));
    const struct json *keys = json_get(data, STR("keys"));
    const struct json *info = json_get(data, STR("key_info"));
    if (!secret || !keys || keys->type != JSON_ARRAY)
        return error_new(c->arena, ERR_NOT_FOUND, "The server tells no version history");
    cli_warn(c, "Note: versions are recorded since Vault 1.9.0, at the first start with each version.\n"
                "What ran before is not in this table. The build date of a version is known if it was\n"
                "made with one. Times are those of the server's clock.\n");
    if (c->format != OUTPUT_TABLE)
        return json_print(c, secret);
    str cells[] = {STR("Version"), STR("Installation Time"), STR("Build Date")};
    struct table t;
    table_init(&t, c->arena, COUNT_OF(cells));
    table_row(&t, cells);
    for (uint32_t i = 0; i < keys->n; i++) {
        cells[0] = value_text(c->arena, keys->items[i]);
        const struct json *one = json_get(info, cells[0]);
        cells[1] = json_get_str(one, STR("timestamp_installed"));
        cells[2] = json_get_str(one, STR("build_date"));
        table_row(&t, cells);
    }
    table_print(c, &t, true);
    return NULL;
}

/* ---- operator usage ---- */

/* Seconds below this are taken for a year by mistake, as the peers do. */
enum { UNIX_SECONDS_MIN = 946000000 };

/* A moment in one of the four forms, as RFC 3339. */
static struct error *put_time(struct cli *c, const char *flag, const char *param, struct json *params)
{
    str text = flag_text(&c->flags, flag);
    static const char *const endings[] = {"", "T00:00:00Z", "-01T00:00:00Z"};
    uint64_t seconds;
    int64_t ns = 0;
    bool ok = false;
    if (!text.n)
        return NULL;
    for (size_t i = 0; i < COUNT_OF(endings) && !ok; i++)
        ok = time_parse(arena_join(c->arena, text, str_from_cstr(endings[i])), &ns);
    if (!ok && str_parse_u64(text, &seconds) && seconds > UNIX_SECONDS_MIN &&
        seconds < INT64_MAX / NS_PER_S) {
        ns = (int64_t)seconds * NS_PER_S;
        ok = true;
    }
    if (!ok)
        return usage_error(c,
                           "invalid value \"%.*s\" for flag -%s: give RFC 3339, YYYY-MM-DD, YYYY-MM or Unix "
                           "seconds",
                           PSTR(text), flag);
    json_set_str(c->arena, params, str_from_cstr(param), time_format(c->arena, ns));
    return NULL;
}

static void counts_row(struct table *t, str name, const struct json *counts)
{
    static const char *const members[][2] = {{"distinct_entities", "entity_clients"},
                                             {"non_entity_tokens", "non_entity_clients"},
                                             {"clients", "clients"}};
    str cells[4] = {name};
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        const struct json *v = json_get(counts, str_from_cstr(members[i][0]));
        v = v ? v : json_get(counts, str_from_cstr(members[i][1]));
        cells[i + 1] = v ? value_text(t->arena, v) : STR("0");
    }
    table_row(t, cells);
}

static void usage_table(struct cli *c, const struct json *data)
{
    const struct json *spaces = json_get(data, STR("by_namespace"));
    struct table t;
    cli_print(c, "Period start: %.*s\nPeriod end: %.*s\n", PSTR(json_get_str(data, STR("start_time"))),
              PSTR(json_get_str(data, STR("end_time"))));
    table_init(&t, c->arena, 4);
    table_row(&t, (const str[]){STR("Namespace path"), STR("Distinct entities"), STR("Non-Entity tokens"),
                                STR("Active clients")});
    for (uint32_t i = 0; spaces && spaces->type == JSON_ARRAY && i < spaces->n; i++) {
        str path = json_get_str(spaces->items[i], STR("namespace_path"));
        counts_row(&t, path.n ? path : STR("[root]"), json_get(spaces->items[i], STR("counts")));
    }
    counts_row(&t, STR("Total"), json_get(data, STR("total")));
    table_print(c, &t, true);
}

struct error *cmd_usage(struct cli *c)
{
    struct json *params = json_object(c->arena);
    TRY(put_time(c, "start-time", "start_time", params));
    TRY(put_time(c, "end-time", "end_time", params));
    struct client_request rq = {
        .method = "GET", .path = STR("sys/internal/counters/activity"), .params = params};
    struct json *secret;
    TRY(cli_find(c, STR("Error retrieving client counts"), &rq, &secret));
    const struct json *data = json_get(secret, STR("data"));
    if (json_is_null(data)) {
        cli_warn(c, "No data is available for the given time range.");
        return NULL;
    }
    if (c->format != OUTPUT_TABLE)
        return json_print(c, secret);
    usage_table(c, data);
    return NULL;
}

/* ---- events ---- */

struct error *cmd_events_subscribe(struct cli *c)
{
    struct json *params = json_object(c->arena);
    json_set_str(c->arena, params, STR("json"), STR("true"));
    struct client_request rq = {.method = "GET",
                                .path =
                                    arena_join(c->arena, STR("sys/events/subscribe/"), path_trim(c->args[0])),
                                .params = params};
    struct client_answer answer;
    TRY(cli_send(c, &rq, &answer));
    if (answer.status == 404)
        return usage_error(c,
                           "events endpoint not found; check `%.*s read sys/experiments` to see if an events "
                           "experiment is available but disabled",
                           PSTR(c->called));
    c->exit_code = 1;
    TRY(client_check(c->arena, &answer));
    return usage_error(c,
                       "The server offers events over a websocket, which this command line does not read.");
}
