#include "cli/preview.h"

enum { PREVIEW_BYTES_MAX = 80 * 1024 * 1024 };

/* Paths that need sudo: "*" at the end stands for anything more. */
static const char *const root_paths[] = {
    "auth/token/accessors",
    "auth/token/revoke-orphan",
    "pki/root",
    "pki/root/sign-self-issued",
    "sys/audit",
    "sys/audit/*",
    "sys/auth/*",
    "sys/coffer/explain",
    "sys/config/auditing/request-headers",
    "sys/config/auditing/request-headers/*",
    "sys/config/cors",
    "sys/config/ui/headers",
    "sys/config/ui/headers/*",
    "sys/internal/inspect/router/*",
    "sys/leases",
    "sys/leases/lookup/*",
    "sys/leases/revoke-force/*",
    "sys/leases/revoke-prefix/*",
    "sys/plugins/catalog/*",
    "sys/raw",
    "sys/raw/*",
    "sys/remount",
    "sys/revoke-force/*",
    "sys/revoke-prefix/*",
    "sys/rotate",
    "sys/seal",
    "sys/step-down",
};

static bool is_root_path(str path)
{
    for (size_t i = 0; i < COUNT_OF(root_paths); i++) {
        str row = str_from_cstr(root_paths[i]);
        bool open = str_ends(row, STR("*"));
        row.n -= open;
        if (open ? str_starts(path, row) && path.n > row.n : str_eq(path, row))
            return true;
    }
    return false;
}

static void policy_print(struct cli *c, const char *method, str path)
{
    static const struct {
        const char *method, *capabilities;
    } rows[] = {
        {"GET", "\"read\""},
        {"LIST", "\"list\""},
        {"PUT", "\"create\", \"update\""},
        {"POST", "\"create\", \"update\""},
        {"PATCH", "\"patch\""},
        {"DELETE", "\"delete\""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (strcmp(method, rows[i].method) == 0)
            cli_print(c, "path \"%.*s\" {\n  capabilities = [%s%s]\n}", PSTR(path), rows[i].capabilities,
                      is_root_path(path) ? ", \"sudo\"" : "");
}

/* In single quotes for a shell. */
static void put_quoted(struct buf *b, str s)
{
    buf_put_byte(b, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\'')
            buf_put_str(b, STR("'\"'\"'"));
        else
            buf_put_byte(b, (uint8_t)s.p[i]);
    }
    buf_put_byte(b, '\'');
}

static void put_option(struct buf *b, const char *option, str value)
{
    if (!value.n)
        return;
    buf_put_fmt(b, "%s ", option);
    put_quoted(b, value);
    buf_put_byte(b, ' ');
}

static void curl_print(struct cli *c, const struct client_prepared *p)
{
    const struct http_client_config *http = &client_settings(c->client)->http;
    struct buf b;
    buf_init(&b, c->arena, PREVIEW_BYTES_MAX);
    buf_put_str(&b, STR("curl "));
    if (http->tls_skip_verify)
        buf_put_str(&b, STR("--insecure "));
    if (strcmp(p->method, "GET") != 0)
        buf_put_fmt(&b, "-X %s ", p->method);
    put_option(&b, "--cacert", http->ca_file);
    put_option(&b, "--capath", http->ca_path);
    put_option(&b, "--cert", http->client_cert_file);
    put_option(&b, "--key", http->client_key_file);
    for (size_t i = 0; i < p->n_headers; i++) {
        bool is_token = str_eq(p->headers[i].name, STR("X-Vault-Token"));
        str value =
            is_token ? arena_fmt(c->arena, "$(%.*s print token)", PSTR(c->called)) : p->headers[i].value;
        buf_put_fmt(&b, "-H \"%.*s: %.*s\" ", PSTR(p->headers[i].name), PSTR(value));
    }
    put_option(&b, "-d", str_from_bytes(p->body));
    cli_print(c, "%.*s%.*s", PSTR(buf_str(&b)), PSTR(p->url));
}

struct error *preview_print(struct cli *c, const struct client_request *rq)
{
    struct client_prepared *p = ARENA_NEW(c->arena, struct client_prepared);
    TRY(client_prepare(c->client, c->arena, rq, p));
    if (c->preview == PREVIEW_POLICY)
        policy_print(c, rq->method, p->path);
    else
        curl_print(c, p);
    return NULL;
}
