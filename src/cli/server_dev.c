#include "cli/server_dev.h"

#include "client/token_helper.h"
#include "crypto/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CERTIFICATE_DAYS = 30 };

static const struct {
    const char *name;
    mode_t mode;
} tls_files[] = {{"vault-ca.pem", 0444}, {"vault-cert.pem", 0400}, {"vault-key.pem", 0400}};

bool server_is_dev(const struct cli *c)
{
    return flag_bool(&c->flags, "dev") || flag_bool(&c->flags, "dev-kv-v1") ||
           flag_bool(&c->flags, "dev-tls");
}

/* ---- TLS ---- */

static char *tls_path(struct cli *c, str folder, size_t i)
{
    return arena_cstr(c->arena, arena_fmt(c->arena, "%.*s/%s", PSTR(folder), tls_files[i].name));
}

static struct error *file_write(struct arena *a, const char *path, mode_t mode, str text)
{
    (void)unlink(path); /* one of an earlier run cannot be written to */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    bool ok = fd >= 0 && fchmod(fd, mode) == 0 && write(fd, text.p, text.n) == (ssize_t)text.n;
    struct error *e = ok ? NULL : error_errno(a, errno, "write %s", path);

    if (fd >= 0)
        close(fd);
    return e;
}

/* The folder asked for, or a new one; ret->n stays 0 when nothing was written. */
static struct error *tls_write(struct cli *c, str host, str *ret_folder)
{
    struct arena *a = c->arena;
    str folder = flag_text(&c->flags, "dev-tls-cert-dir");
    char made[] = "/tmp/vault-tlsXXXXXX";
    struct certificate_pair pair;
    bool named = host.n > 0 && str_index(host, ':') == host.n && !str_eq(host, STR("0.0.0.0"));
    bool number = named && host.p[host.n - 1] >= '0' && host.p[host.n - 1] <= '9';
    str names = arena_fmt(a, "DNS:localhost,IP:127.0.0.1,IP:::1%s%.*s",
                          named ? (number ? ",IP:" : ",DNS:") : "", named ? (int)host.n : 0, host.p);

    if (folder.n == 0) {
        if (!mkdtemp(made))
            return error_errno(a, errno, "make a folder for certificates");
        folder = arena_str(a, str_from_cstr(made));
    }
    TRY(certificate_make(a, "localhost", arena_cstr(a, names), CERTIFICATE_DAYS, &pair));
    const str texts[] = {pair.ca_pem, pair.certificate_pem, pair.key_pem};

    for (size_t i = 0; i < COUNT_OF(tls_files); i++)
        TRY(file_write(a, tls_path(c, folder, i), tls_files[i].mode, texts[i]));
    *ret_folder = folder;
    return NULL;
}

void server_dev_clean(struct cli *c, const struct config *config)
{
    str folder = config && config->n_listeners ? config->listeners[0].tls_cert_file : (str){0};

    if (!flag_bool(&c->flags, "dev-tls") || folder.n == 0)
        return;
    folder = str_slice(folder, 0, str_rindex(folder, '/'));
    for (size_t i = 0; i < COUNT_OF(tls_files); i++)
        (void)unlink(tls_path(c, folder, i)); /* gone already is fine */
    if (flag_text(&c->flags, "dev-tls-cert-dir").n == 0)
        (void)rmdir(arena_cstr(c->arena, folder));
}

/* ---- configuration ---- */

/* Host and port, apart at the last colon: "[::]:8200". */
static str host_of(str address)
{
    str host = str_slice(address, 0, str_rindex(address, ':'));
    bool brackets = host.n > 1 && host.p[0] == '[';

    return brackets ? str_slice(host, 1, host.n - 1) : host;
}

static struct error *dev_listener(struct cli *c, str *ret_block)
{
    str address = flag_text(&c->flags, "dev-listen-address"), folder = {0}, tls = STR("tls_disable = true");
    const char *scheme = "http";

    if (flag_bool(&c->flags, "dev-tls")) {
        scheme = "https";
        if (!flag_given(&c->flags, "dev-listen-address"))
            address = STR("[::]:8200");
        TRY(tls_write(c, host_of(address), &folder));
        tls = arena_fmt(c->arena, "tls_cert_file = \"%s\"\n tls_key_file = \"%s\"", tls_path(c, folder, 1),
                        tls_path(c, folder, 2));
    }
    *ret_block =
        arena_fmt(c->arena, "api_addr = \"%s://%.*s\"\nlistener \"tcp\" {\n address = \"%.*s\"\n %.*s\n",
                  scheme, PSTR(address), PSTR(address), PSTR(tls));
    return NULL;
}

struct error *server_dev_config(struct cli *c, struct config *given, struct config **ret)
{
    struct config *dev, *merged = given;
    str listener;

    TRY(dev_listener(c, &listener));
    str text = arena_fmt(c->arena,
                         "storage \"inmem\" {}\ndisable_mlock = true\nui = true\n"
                         "telemetry {\n prometheus_retention_time = \"24h\"\n disable_hostname = true\n}\n"
                         "%.*s telemetry { unauthenticated_metrics_access = true }\n}\n",
                         PSTR(listener));

    TRY(config_parse(c->arena, STR("-dev"), text, &dev));
    if (!merged) {
        *ret = dev;
        return NULL;
    }
    struct config_listener *all = ARENA_ARRAY(c->arena, struct config_listener, given->n_listeners + 1);

    all[0] = dev->listeners[0];
    for (size_t i = 0; i < given->n_listeners; i++)
        all[i + 1] = given->listeners[i];
    merged->listeners = all;
    merged->n_listeners = given->n_listeners + 1;
    merged->storage = dev->storage;
    if (merged->api_addr.n == 0)
        merged->api_addr = dev->api_addr;
    merged->disable_mlock = true;
    if (merged->prometheus_retention_ns == 0)
        merged->prometheus_retention_ns = dev->prometheus_retention_ns;
    merged->metrics_disable_hostname = true;
    *ret = merged;
    return NULL;
}

/* One call that must succeed; its data or top-level members in ret (may be NULL). */
static struct error *call(struct cli *c, struct client *client, const char *method, const char *path,
                          const struct json *body, struct json **ret)
{
    struct client_request rq = {.method = method, .path = str_from_cstr(path), .body = body};
    struct client_answer answer;

    TRY(client_send(client, c->arena, &rq, &answer));
    TRY(client_check(c->arena, &answer));
    if (ret)
        *ret = answer.json;
    return NULL;
}

static struct json *object(struct cli *c, const char *key, struct json *value)
{
    struct json *o = json_object(c->arena);

    json_set(c->arena, o, str_from_cstr(key), value);
    return o;
}

static struct error *open_store(struct cli *c, struct client *client, str *ret_key, str *ret_root)
{
    struct json *body = object(c, "secret_shares", json_int(c->arena, 1)), *answer, *keys;

    json_set_int(c->arena, body, STR("secret_threshold"), 1);
    TRY(call(c, client, "PUT", "sys/init", body, &answer));
    keys = json_get(answer, STR("keys_base64"));
    *ret_key = keys->items[0]->text;
    *ret_root = json_get_str(answer, STR("root_token"));
    return call(c, client, "PUT", "sys/unseal", object(c, "key", json_string(c->arena, *ret_key)), NULL);
}

/* The token asked for takes the first one's place. */
static struct error *set_token(struct cli *c, struct client *client, str wanted)
{
    struct json *body = object(c, "id", json_string(c->arena, wanted)), *policies = json_array(c->arena);

    json_append(c->arena, policies, json_string(c->arena, STR("root")));
    json_set(c->arena, body, STR("policies"), policies);
    json_set_bool(c->arena, body, STR("no_parent"), true);
    TRY(call(c, client, "POST", "auth/token/create", body, NULL));
    TRY(call(c, client, "PUT", "auth/token/revoke-self", NULL, NULL));
    client_set_token(client, wanted);
    return NULL;
}

static struct error *mount_secret(struct cli *c, struct client *client)
{
    bool one = flag_bool(&c->flags, "dev-kv-v1");
    struct json *body = object(c, "type", json_string(c->arena, STR("kv")));

    json_set_str(c->arena, body, STR("description"), STR("key/value secret storage"));
    json_set(c->arena, body, STR("options"),
             object(c, "version", json_string(c->arena, one ? STR("1") : STR("2"))));
    return call(c, client, "POST", "sys/mounts/secret", body, NULL);
}

/* ---- setting up ---- */

static void print_how_to(struct cli *c, str address, str ca, str key, str token)
{
    str more = ca.n ? arena_fmt(c->arena, "    $ export VAULT_CACERT='%.*s'\n", PSTR(ca)) : (str){0};

    cli_print(c,
              "WARNING! dev mode is enabled! In this mode, Vault runs entirely in-memory\n"
              "and starts unsealed with a single unseal key. Everything is lost when it ends:\n"
              "never run it with secrets that matter.\n\n"
              "You may need to set the following environment variables:\n\n"
              "    $ export VAULT_ADDR='%.*s'\n%.*s\n"
              "The unseal key and root token are displayed below in case you want to\n"
              "seal/unseal the Vault or re-authenticate.\n\n"
              "Unseal Key: %.*s\nRoot Token: %.*s\n\n"
              "Development mode should NOT be used in production installations!\n",
              PSTR(address), PSTR(more), PSTR(key), PSTR(token));
    (void)fflush(c->out);
}

/* What test programs read to find the server. */
static struct error *cluster_json(struct cli *c, str address, str ca, str token)
{
    str path = flag_text(&c->flags, "dev-cluster-json");
    struct json *o = json_object(c->arena), *nodes = json_array(c->arena), *node = json_object(c->arena);
    struct buf b;

    if (path.n == 0)
        return NULL;
    json_set_str(c->arena, node, STR("api_address"), address);
    json_append(c->arena, nodes, node);
    json_set(c->arena, o, STR("nodes"), nodes);
    json_set_str(c->arena, o, STR("ca_cert_path"), ca);
    json_set_str(c->arena, o, STR("root_token"), token);
    buf_init(&b, c->arena, SIZE_MAX);
    json_write(&b, o);
    buf_put_byte(&b, '\n');
    return file_write(c->arena, arena_cstr(c->arena, path), 0600, buf_str(&b));
}

struct error *server_dev_setup(struct cli *c, const struct config *config, int port)
{
    const struct config_listener *l = &config->listeners[0];
    str key, token, wanted = flag_text(&c->flags, "dev-root-token-id"), host = host_of(l->address), ca = {0};
    struct client *client;

    if (str_eq(host, STR("::")) || str_eq(host, STR("0.0.0.0")))
        host = STR("127.0.0.1");
    if (!l->tls_disable)
        ca = str_from_cstr(tls_path(c, str_slice(l->tls_cert_file, 0, str_rindex(l->tls_cert_file, '/')), 0));
    str address = arena_fmt(c->arena, "%s://%.*s:%d", l->tls_disable ? "http" : "https", PSTR(host), port);
    struct client_settings settings = {.address = address, .http = {.ca_file = ca}};

    TRY(client_new(c->arena, &settings, &client));
    struct error *e = open_store(c, client, &key, &token);

    if (!e) {
        client_set_token(client, token);
        if (wanted.n > 0 && !str_eq(wanted, token))
            e = set_token(c, client, wanted);
        token = wanted.n > 0 ? wanted : token;
    }
    if (!e)
        e = mount_secret(c, client);
    client_free(client);
    if (!e && !flag_bool(&c->flags, "dev-no-store-token"))
        e = token_store(c->arena, &c->env, token);
    if (!e)
        e = cluster_json(c, address, ca, token);
    if (!e)
        print_how_to(c, address, ca, key, token);
    return e;
}
