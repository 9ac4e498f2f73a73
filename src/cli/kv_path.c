#include "cli/kv_path.h"

static str join(struct arena *a, str x, str y)
{
    return x.n && y.n ? arena_fmt(a, "%.*s/%.*s", PSTR(x), PSTR(y)) : x.n ? x : y;
}

struct error *kv_resolve(struct cli *c, struct kv_path *ret_path)
{
    str mount = path_trim(flag_text(&c->flags, "mount"));
    str arg = c->n_args ? c->args[0] : (str){0};
    if (str_starts(arg, STR("/")))
        arg = str_from(arg, 1);
    bool has_mount = mount.n > 0;
    struct client *client;
    struct client_answer answer;
    struct client_request rq = {
        .method = "GET",
        .path = join(c->arena, STR("sys/internal/ui/mounts"), has_mount ? mount : arg),
        .never_wrap = true,
    };
    TRY(cli_client(c, &client));
    TRY(client_send(client, c->arena, &rq, &answer));
    struct kv_path p = {.mount = mount, .rest = arg};
    if (answer.status == 404) {
        *ret_path = p;
        return NULL;
    }
    TRY(client_check(c->arena, &answer));
    const struct json *data = json_get(answer.json, STR("data"));
    str found = json_get_str(data, STR("path"));
    p.v2 = str_eq(json_get_str(json_get(data, STR("options")), STR("version")), STR("2"));
    if (!has_mount) {
        p.mount = path_trim(found);
        p.rest = str_starts(arg, found) ? str_from(arg, found.n) : str_eq(arg, p.mount) ? (str){0} : arg;
    }
    *ret_path = p;
    return NULL;
}

str kv_full(struct cli *c, const struct kv_path *p, const char *kind)
{
    str mount = p->v2 ? join(c->arena, p->mount, str_from_cstr(kind)) : p->mount;
    str path = join(c->arena, mount, p->rest);
    while (str_ends(path, STR("/")))
        path.n--;
    return path;
}

void kv_heading(struct cli *c, const char *title, size_t total)
{
    static const char equals[] =
        "==============================================================================";
    if (c->format != OUTPUT_TABLE)
        return;
    size_t inner = strlen(title) + 2;
    size_t n = total > inner ? total - inner : 4;
    int half = (int)MIN((n + 1) / 2, sizeof(equals) - 1);
    cli_print(c, "%.*s %s %.*s", half, equals, title, half, equals);
}

void kv_path_print(struct cli *c, const char *title, str path)
{
    kv_heading(c, title, path.n);
    cli_print(c, "%.*s\n", PSTR(path));
}

void kv_table_print(struct cli *c, const char *title, const struct json *object)
{
    size_t longest = 0;
    str *keys = keys_sorted(c->arena, object);
    struct table t;
    table_init(&t, c->arena, 2);
    table_pair(&t, STR("Key"), STR("Value"));
    for (uint32_t i = 0; i < object->n; i++) {
        longest = MAX(longest, keys[i].n);
        table_pair(&t, keys[i], member_text(c->arena, keys[i], json_get(object, keys[i])));
    }
    if (!object->n)
        return;
    kv_heading(c, title, longest + 9);
    table_print(c, &t, true);
}

struct error *kv_written_print(struct cli *c, const struct kv_path *p, str path, const struct json *secret)
{
    const struct json *data = json_get(secret, STR("data"));
    bool plain = !p->v2 || c->format != OUTPUT_TABLE || flag_text(&c->flags, "field").n ||
                 json_get(secret, STR("wrap_info"));
    if (plain || json_is_null(data) || data->type != JSON_OBJECT)
        return secret_or_success(c, secret, "Data written to: %.*s", PSTR(path));
    warnings_print(c, secret);
    kv_path_print(c, "Secret Path", path);
    kv_table_print(c, "Metadata", data);
    return NULL;
}

struct error *kv_not_found(struct cli *c, const char *what, str path)
{
    return error_new(c->arena, ERR_NOT_FOUND, "No %s found at %.*s", what, PSTR(path));
}
