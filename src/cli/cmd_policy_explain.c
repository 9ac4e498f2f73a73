/* policy explain: which policy and which rule decide about a request; the server answers that
 * (docs/how-to/policy-explain.md). */
#include "cli/cmd.h"
#include "client/file.h"

const struct flag policy_explain_flags[] = {
    {"accessor", FLAG_STRING,
     .help = "Accessor of the token asked about, by default the caller's own token."},
    {"token", FLAG_STRING,
     .help = "Token asked about; \"-\" reads it from stdin, so that no process list shows it."},
    {0},
};

static str joined(struct arena *a, const struct json *names)
{
    str out = {0};
    for (uint32_t i = 0; names && names->type == JSON_ARRAY && i < names->n; i++)
        out = arena_fmt(a, "%.*s%s%.*s", PSTR(out), i ? ", " : "", PSTR(value_text(a, names->items[i])));
    return out;
}

static void rule_rows(struct table *t, const struct json *rule)
{
    static const char *const lists[][2] = {{"allowed_parameters", "rule allows parameters"},
                                           {"denied_parameters", "rule denies parameters"},
                                           {"required_parameters", "rule requires parameters"}};
    static const char *const bounds[][2] = {{"min_wrapping_ttl", "rule min wrapping TTL"},
                                            {"max_wrapping_ttl", "rule max wrapping TTL"}};
    const struct json *by = json_get(rule, STR("policies"));
    if (json_is_null(rule)) {
        table_pair(t, STR("Rule"), STR("none"));
        return;
    }
    table_pair(t, STR("Rule"), json_get_str(rule, STR("path")));
    for (uint32_t i = 0; by && by->type == JSON_OBJECT && i < by->n; i++) /* "gives read   app, ops" */
        table_pair(t, arena_join(t->arena, STR("gives "), by->members[i].key),
                   joined(t->arena, by->members[i].value));
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        if (json_get(rule, str_from_cstr(lists[i][0])))
            table_pair(t, str_from_cstr(lists[i][1]),
                       joined(t->arena, json_get(rule, str_from_cstr(lists[i][0]))));
    for (size_t i = 0; i < COUNT_OF(bounds); i++)
        if (json_get(rule, str_from_cstr(bounds[i][0])))
            table_pair(t, str_from_cstr(bounds[i][1]),
                       duration_human(t->arena, json_get_int(rule, str_from_cstr(bounds[i][0]))));
}

static void explanation_print(struct cli *c, const struct json *data)
{
    struct table t;
    str lacks = joined(c->arena, json_get(data, STR("missing")));
    table_init(&t, c->arena, 2);
    table_pair(&t, STR("Key"), STR("Value"));
    table_pair(&t, STR("Allowed"), json_get_bool(data, STR("allowed")) ? STR("yes") : STR("no"));
    table_pair(&t, STR("Request"),
               arena_fmt(c->arena, "%.*s %.*s", PSTR(json_get_str(data, STR("operation"))),
                         PSTR(json_get_str(data, STR("path")))));
    table_pair(&t, STR("Policies"), joined(c->arena, json_get(data, STR("policies"))));
    rule_rows(&t, json_get(data, STR("rule")));
    table_pair(&t, STR("Reason"), json_get_str(data, STR("reason")));
    if (lacks.n)
        table_pair(&t, STR("Missing"), lacks);
    table_print(c, &t, true);
}

struct error *cmd_policy_explain(struct cli *c)
{
    str token = flag_text(&c->flags, "token");
    str accessor = flag_text(&c->flags, "accessor");
    struct json *data;
    struct json *secret;
    struct json *body = json_object(c->arena);
    if (token.n && accessor.n)
        return usage_error(c, "Give -token or -accessor, not both");
    if (str_eq(token, STR("-")))
        TRY(prefixed(c, fd_read(c->arena, c->in_fd, STR("stdin"), &token), "Error reading the token"));
    TRY(cli_pairs(c, 2, &data));
    json_set_str(c->arena, body, STR("operation"), arena_lower(c->arena, c->args[0]));
    json_set_str(c->arena, body, STR("path"), c->args[1]);
    if (token.n)
        json_set_str(c->arena, body, STR("token"), str_trim(token));
    if (accessor.n)
        json_set_str(c->arena, body, STR("accessor"), accessor);
    if (data->n)
        json_set(c->arena, body, STR("data"), data);
    struct client_request rq = {.method = "PUT", .path = STR("sys/coffer/explain"), .body = body};
    TRY(cli_secret(c, STR("Error explaining"), &rq, &secret));
    if (!secret || json_get(secret, STR("wrap_info")) || flag_text(&c->flags, "field").n ||
        c->format != OUTPUT_TABLE)
        return secret_print(c, secret);
    explanation_print(c, json_get(secret, STR("data")));
    return NULL;
}
