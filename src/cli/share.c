#include "cli/share.h"

#include "client/file.h"

struct error *share_call(struct cli *c, str what, const struct client_request *rq, struct json **ret_object)
{
    struct client_answer answer;
    TRY(cli_call(c, what, rq, &answer));
    if (!answer.json || answer.json->type != JSON_OBJECT)
        return error_new(c->arena, ERR_INTERNAL, "%.*s: the answer is no JSON object", PSTR(what));
    struct json *data = json_get(answer.json, STR("data"));
    *ret_object = data && data->type == JSON_OBJECT ? data : answer.json;
    return NULL;
}

struct error *share_ask(struct cli *c, str title, const struct json *status, str *ret_key, str *ret_nonce)
{
    str key = c->n_args ? c->args[0] : (str){0}, nonce = flag_text(&c->flags, "nonce");
    struct error *bad = NULL;
    if (key.n == 0) {
        nonce = json_get_str(status, STR("nonce"));
        cli_print(c, "%.*s: %.*s", PSTR(title), PSTR(nonce));
        bad = cli_prompt(c, c->out, "Unseal Key (will be hidden): ", &key);
        if (bad)
            return usage_error(c, "An error occurred attempting to ask for the unseal key: %.*s",
                               PSTR(bad->text));
    } else if (str_eq(key, STR("-"))) {
        bad = fd_read(c->arena, c->in_fd, STR("stdin"), &key);
        if (bad)
            return usage_error(c, "Failed to read from stdin: %.*s", PSTR(bad->text));
    }
    if (nonce.n == 0)
        return usage_error(c, "Missing nonce value: specify it via the -nonce flag");
    *ret_key = str_trim(key);
    *ret_nonce = nonce;
    return NULL;
}
