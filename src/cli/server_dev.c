#include "cli/server_dev.h"

#include "client/token_helper.h"

bool server_is_dev(const struct cli *c)
{
    return flag_bool(&c->flags, "dev") || flag_bool(&c->flags, "dev-kv-v1");
}

struct error *server_dev_config(struct cli *c, struct config *given, struct config **ret)
{
    struct config *dev, *merged = given;
    str text = arena_fmt(c->arena,
                         "storage \"inmem\" {}\ndisable_mlock = true\n"
                         "listener \"tcp\" {\n address = \"%.*s\"\n tls_disable = true\n"
                         " telemetry { unauthenticated_metrics_access = true }\n}\n",
                         PSTR(flag_text(&c->flags, "dev-listen-address")));

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
    merged->disable_mlock = true;
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

static void print_how_to(struct cli *c, str address, str key, str token)
{
    cli_print(c,
              "WARNING! dev mode is enabled! In this mode, Vault runs entirely in-memory\n"
              "and starts unsealed with a single unseal key. Everything is lost when it ends:\n"
              "never run it with secrets that matter.\n\n"
              "You may need to set the following environment variables:\n\n"
              "    $ export VAULT_ADDR='%.*s'\n\n"
              "The unseal key and root token are displayed below in case you want to\n"
              "seal/unseal the Vault or re-authenticate.\n\n"
              "Unseal Key: %.*s\nRoot Token: %.*s\n\n"
              "Development mode should NOT be used in production installations!\n",
              PSTR(address), PSTR(key), PSTR(token));
    (void)fflush(c->out);
}

struct error *server_dev_setup(struct cli *c, const struct config *config, int port)
{
    str host, unused, key, token, wanted = flag_text(&c->flags, "dev-root-token-id");
    struct client *client;

    str_cut(config->listeners[0].address, ':', &host, &unused);
    str address = arena_fmt(c->arena, "http://%.*s:%d", PSTR(host), port);
    struct client_settings settings = {.address = address};

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
        print_how_to(c, address, key, token);
    return e;
}
