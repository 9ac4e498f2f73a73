#include "cli/pgp_flag.h"

#include "base/encode.h"
#include "client/file.h"
#include "crypto/pgp.h"

static const str keybase = STR("keybase:");

static struct error *from_armor(struct cli *c, str text, str name, struct json **ret_key)
{
    bytes key;
    if (!pgp_dearmor(c->arena, text, &key))
        return error_new(c->arena, ERR_BAD_REQUEST, "%.*s is no armored PGP public key", PSTR(name));
    *ret_key = json_string(c->arena, base64_encode(c->arena, key));
    return NULL;
}

static struct error *from_file(struct cli *c, str name, struct json **ret_key)
{
    if (str_starts(name, STR("@")))
        name = str_from(name, 1);
    str text;
    bytes ignored;
    TRY(file_read(c->arena, name, &text));
    if (str_find(text, STR("-----BEGIN PGP")) < text.n)
        return from_armor(c, text, name, ret_key);
    str trimmed = str_trim(text);
    bool is_base64 = base64_decode(c->arena, trimmed, &ignored);
    *ret_key = json_string(c->arena, is_base64 ? trimmed : base64_encode(c->arena, bytes_from_str(text)));
    return NULL;
}

/* {"them": [{"public_keys": {"primary": {"bundle": ARMORED}}}]} */
static struct error *from_keybase(struct cli *c, str user, struct json **ret_key)
{
    str url =
        arena_fmt(c->arena, "https://keybase.io/_/api/1.0/user/lookup.json?usernames=%.*s&fields=public_keys",
                  PSTR(url_encode(c->arena, user)));
    struct http_client *http = http_client_new(&(struct http_client_config){0});
    struct http_result answer;
    struct error *e = http_client_do(http, c->arena, STR("GET"), url, (str){0}, NULL, 0, (bytes){0}, &answer);
    http_client_free(http);
    if (e)
        return error_new(c->arena, ERR_BAD_REQUEST, "keybase.io cannot be asked for the key of %.*s: %.*s",
                         PSTR(user), PSTR(e->text));
    struct json *body;
    if (answer.status != 200 || json_parse(c->arena, str_from_bytes(answer.body), false, &body))
        return error_new(c->arena, ERR_BAD_REQUEST, "keybase.io answered %d for the key of %.*s",
                         answer.status, PSTR(user));
    const struct json *them = json_get(body, STR("them")), *found = NULL;
    if (them && them->type == JSON_ARRAY && them->n == 1)
        found = json_get(json_get(them->items[0], STR("public_keys")), STR("primary"));
    return from_armor(c, json_get_str(found, STR("bundle")),
                      arena_fmt(c->arena, "what keybase.io has of %.*s", PSTR(user)), ret_key);
}

static struct error *key_of(struct cli *c, const char *flag, str name, struct json **ret_key)
{
    struct error *bad = str_starts(name, keybase) ? from_keybase(c, str_from(name, keybase.n), ret_key)
                                                  : from_file(c, name, ret_key);
    return bad ? usage_error(c, "invalid value \"%.*s\" for flag -%s: %.*s", PSTR(name), flag,
                             PSTR(bad->text))
               : NULL;
}

struct error *pgp_flag_key(struct cli *c, const char *flag, struct json **ret_key)
{
    return key_of(c, flag, str_trim(flag_text(&c->flags, flag)), ret_key);
}

struct error *pgp_flag_keys(struct cli *c, const char *flag, struct json **ret_keys)
{
    str names = flag_text(&c->flags, flag);
    *ret_keys = json_array(c->arena);
    for (str name; names.n;) {
        struct json *key;
        str_cut(names, ',', &name, &names);
        TRY(key_of(c, flag, str_trim(name), &key));
        json_append(c->arena, *ret_keys, key);
    }
    return NULL;
}
