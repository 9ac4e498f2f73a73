/* policy test: a policy file against what it is expected to allow and to deny, judged by the server's own
 * matcher, without a server. Only in programs with COFFER_SERVER. */
#include "cli/cmd.h"
#include "cli/policy_cases.h"
#include "client/file.h"
#include "core/policy/policy.h"

static const struct {
    const char *name;
    enum op op;
} operations[] = {
    {"create", OP_CREATE}, {"read", OP_READ}, {"update", OP_UPDATE}, {"patch", OP_PATCH},
    {"delete", OP_DELETE}, {"list", OP_LIST}, {"sudo", OP_NONE},
};

static bool operation_of(str name, enum op *ret)
{
    for (size_t i = 0; i < COUNT_OF(operations); i++) {
        if (str_eq(name, str_from_cstr(operations[i].name))) {
            *ret = operations[i].op;
            return true;
        }
    }
    return false;
}

/* `sudo` asks for the capability, whatever the operation. */
static bool is_allowed(const struct acl *acl, enum op op, str path)
{
    struct acl_result r;
    acl_decide(acl, op == OP_NONE ? OP_LIST : op, path, &r);
    return op == OP_NONE ? r.sudo : r.allowed;
}

static str rule_text(struct arena *a, const struct acl *acl, enum op op, str path)
{
    struct acl_rule r;
    if (!acl_rule_of(acl, op == OP_NONE ? OP_LIST : op, path, &r))
        return STR("no rule matches");
    return arena_fmt(a, "by path \"%.*s%s\"", PSTR(r.path), r.prefix ? "*" : "");
}

static struct json *case_judged(struct cli *c, const struct acl *acl, const struct policy_case *one,
                                enum op op)
{
    struct json *o = json_object_ordered(c->arena);
    str path = op == OP_LIST && !str_ends(one->path, STR("/")) ? arena_join(c->arena, one->path, STR("/"))
                                                               : one->path;
    bool allowed = is_allowed(acl, op, path);
    json_set_int(c->arena, o, STR("line"), one->line);
    json_set_str(c->arena, o, STR("operation"), one->operation);
    json_set_str(c->arena, o, STR("path"), one->path);
    json_set_str(c->arena, o, STR("expected"), one->allow ? STR("allow") : STR("deny"));
    json_set_str(c->arena, o, STR("got"), allowed ? STR("allow") : STR("deny"));
    json_set_bool(c->arena, o, STR("passed"), allowed == one->allow);
    json_set_str(c->arena, o, STR("rule"), rule_text(c->arena, acl, op, path));
    return o;
}

static struct error *cases_judged(struct cli *c, const struct acl *acl, struct json **ret_results)
{
    struct arena *a = c->arena;
    struct policy_case *cases;
    size_t n;
    str text;
    TRY(prefixed(c, file_read(a, c->args[1], &text), "Error reading cases"));
    TRY(prefixed(c, policy_cases_parse(a, text, &cases, &n), "%.*s", PSTR(c->args[1])));
    *ret_results = json_array(a);
    for (size_t i = 0; i < n; i++) {
        enum op op;
        if (!operation_of(cases[i].operation, &op))
            return error_new(
                a, ERR_BAD_REQUEST,
                "%.*s: line %u: \"%.*s\" is no operation: create, read, update, patch, delete, list "
                "or sudo",
                PSTR(c->args[1]), cases[i].line, PSTR(cases[i].operation));
        json_append(a, *ret_results, case_judged(c, acl, &cases[i], op));
    }
    return NULL;
}

static void print_results(struct cli *c, const struct json *results)
{
    uint32_t failed = 0;
    for (uint32_t i = 0; i < results->n; i++) {
        const struct json *one = results->items[i];
        if (json_get_bool(one, STR("passed")))
            continue;
        failed++;
        cli_print(c, "%.*s:%lld: %.*s %.*s: expected %.*s, got %.*s, %.*s", PSTR(c->args[1]),
                  (long long)json_get_int(one, STR("line")), PSTR(json_get_str(one, STR("operation"))),
                  PSTR(json_get_str(one, STR("path"))), PSTR(json_get_str(one, STR("expected"))),
                  PSTR(json_get_str(one, STR("got"))), PSTR(json_get_str(one, STR("rule"))));
    }
    if (failed)
        cli_print(c, "%u of %u cases failed", failed, results->n);
    else
        cli_print(c, "Success! All %u cases passed.", results->n);
}

static struct error *policy_judged(struct cli *c, struct json **ret_results)
{
    struct policy *policy;
    str text;
    TRY(prefixed(c, file_read(c->arena, c->args[0], &text), "Error reading policy"));
    TRY(prefixed(c, policy_parse(c->arena, c->args[0], text, &policy), "%.*s", PSTR(c->args[0])));
    if (policy->templated)
        cli_warn(c, "Rules with an identity's values ({{...}}) are left out: there is no identity here.");
    const struct policy *all[] = {policy};
    struct acl *acl = acl_compile(all, 1, false, NULL);
    struct error *e = cases_judged(c, acl, ret_results);
    acl_unref(acl);
    return e;
}

struct error *cmd_policy_test(struct cli *c)
{
    struct json *results;
    c->exit_code = 1; /* of any error */
    TRY(policy_judged(c, &results));
    c->exit_code = 0;
    for (uint32_t i = 0; i < results->n; i++)
        if (!json_get_bool(results->items[i], STR("passed")))
            c->exit_code = 2;
    if (c->format != OUTPUT_TABLE)
        return json_print(c, results);
    print_results(c, results);
    return NULL;
}
