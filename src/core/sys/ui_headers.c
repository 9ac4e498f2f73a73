/* ui_headers: sys/config/ui/headers/: headers that go out with the web page. Stored as sys/uiconfig, and in
 * clear as sys/uiconfig_plaintext for a sealed server. */
#include "core/active_private.h"
#include "core/sys/sys.h"

static const char config_path[] = "uiconfig";

/* As Go spells header names: Each-Part-Like-This. */
static str header_name(struct arena *a, str name)
{
    char *out = arena_alloc(a, name.n);
    bool first = true;

    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];

        if (first && c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        else if (!first && c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        first = c == '-';
        out[i] = c;
    }
    return (str){out, name.n};
}

static struct error *load(struct request *rq, struct json **ret_config, struct json **ret_headers)
{
    struct view v = txn_view(rq->txn, SPACE_SYS);

    TRY(view_get_json(&v, str_from_cstr(config_path), ret_config));
    if (!*ret_config)
        *ret_config = json_object(rq->arena);
    *ret_headers = json_get(*ret_config, STR("headers"));
    if (json_is_null(*ret_headers)) {
        *ret_headers = json_object(rq->arena);
        json_set(rq->arena, *ret_config, STR("headers"), *ret_headers);
    }
    return NULL;
}

static struct error *save(struct request *rq, const struct json *config)
{
    struct view v = txn_view(rq->txn, SPACE_SYS);
    bytes clear = bytes_from_str(json_text(rq->arena, config));

    TRY(view_put_json(&v, str_from_cstr(config_path), config));
    return txn_put_raw(rq->txn, STR("sys/uiconfig_plaintext"), clear);
}

static bool is_in_configuration(const struct config *c, str name)
{
    for (size_t l = 0; l < c->n_listeners; l++)
        for (size_t g = 0; g < c->listeners[l].n_response_headers; g++)
            for (size_t i = 0; i < c->listeners[l].response_headers[g].n; i++)
                if (str_eq_nocase(c->listeners[l].response_headers[g].headers[i].name, name))
                    return true;
    return false;
}

/* It must not end the header, or begin another. */
static bool is_one_line(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
            return false;
    return true;
}

static struct error *header_write(struct request *rq, struct response *rs)
{
    str name = header_name(rq->arena, field_str(rq, "header"));
    struct json *config, *headers;
    size_t n;
    const str *values = field_strs(rq, "values", &n);

    if (name.n == 0 || n == 0)
        return fail(rq, ERR_BAD_REQUEST, "header and values must be specified");
    if (str_starts(name, STR("X-Vault-")))
        return fail(rq, ERR_BAD_REQUEST, "X-Vault headers cannot be set");
    if (is_in_configuration(rq->core->config.config, name))
        return fail(rq, ERR_BAD_REQUEST,
                    "This header already exists in the server configuration and cannot be set in the UI.");
    for (size_t i = 0; i < n; i++)
        if (!is_one_line(values[i]) || str_index(name, ' ') < name.n || str_index(name, ':') < name.n)
            return fail(rq, ERR_BAD_REQUEST, "the header cannot be sent");
    TRY(load(rq, &config, &headers));
    json_set(rq->arena, headers, name, json_strings(rq->arena, values, n));
    rs->status = 200; /* an empty answer, not none */
    return save(rq, config);
}

static struct error *header_read(struct request *rq, struct response *rs)
{
    struct json *config, *headers;

    TRY(load(rq, &config, &headers));
    struct json *values = json_get(headers, header_name(rq->arena, field_str(rq, "header")));

    if (!values || values->type != JSON_ARRAY || values->n == 0)
        return fail_absent(rq);
    if (field_bool(rq, "multivalue"))
        json_set(rq->arena, response_data(rq, rs), STR("values"), values);
    else
        json_set(rq->arena, response_data(rq, rs), STR("value"), values->items[0]);
    return NULL;
}

static struct error *header_delete(struct request *rq, struct response *rs)
{
    str name = header_name(rq->arena, field_str(rq, "header"));
    struct json *config, *headers;

    (void)rs;
    TRY(load(rq, &config, &headers));
    if (!json_get(headers, name))
        return NULL;
    json_unset(headers, name);
    return save(rq, config);
}

static struct error *header_list(struct request *rq, struct response *rs)
{
    struct json *config, *headers;

    TRY(load(rq, &config, &headers));
    str *names = ARENA_ARRAY(rq->arena, str, headers->n + 1);

    for (uint32_t i = 0; i < headers->n; i++)
        names[i] = headers->members[i].key;
    return response_list(rq, rs, names, headers->n);
}

static const struct field header_fields[] = {
    {"header", FT_STRING, FIELD_PATH, .help = "Name of the header."},
    {"values", FT_LIST, .help = "Its values."},
    {"multivalue", FT_BOOL, FIELD_QUERY, .help = "Show all values?"},
    {0},
};

const struct route sys_ui_header_routes[] = {
    {"config/ui/headers", NULL, .ops = {[OP_LIST] = {header_list, ROUTE_SUDO, "Lists the headers."}},
     .help = "The headers that go out with the web page."},
    {"config/ui/headers/{header}", header_fields,
     .ops = {[OP_READ] = {header_read, ROUTE_SUDO, "Shows a header."},
             [OP_UPDATE] = {header_write, ROUTE_SUDO, "Sets a header."},
             [OP_DELETE] = {header_delete, ROUTE_SUDO, "Removes a header."}},
     .help = "A header that goes out with the web page."},
    {0},
};
