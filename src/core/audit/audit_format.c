/* audit_format: the members of an entry, in order. Source: docs/formats/audit.md. */
#include "base/clock.h"
#include "base/encode.h"
#include "core/audit/audit_private.h"
#include "core/mount.h"
#include "core/policy/policy.h"
#include "core/token/token.h"
#include "net/http_header.h"

struct auth_shown { /* what an auth object shows, from a token or from an answer */
    str client_token, accessor, display_name, entity_id, token_type;
    const str *policies, *token_policies, *identity_policies;
    size_t n_policies, n_token_policies, n_identity_policies;
    const struct json *metadata;
    bool entity_created;
    int64_t num_uses, remaining_uses, ttl_s, issue_time_ns; /* issue time 0: none */
};

str audit_client_id(struct arena *a, const struct token_entry *te)
{
    uint8_t digest[SHA256_BYTES];
    struct buf b;

    if (te->entity_id.n)
        return te->entity_id;
    buf_init(&b, a, SIZE_MAX);
    for (size_t i = 0; i < te->n_policies; i++) {
        if (i)
            buf_put_byte(&b, 0x1f);
        buf_put_str(&b, te->policies[i]);
    }
    buf_put_byte(&b, 0);
    sha256(digest, buf_bytes(&b), bytes_from_str(te->namespace_id.n ? te->namespace_id : STR("root")));
    return base64_encode(a, (bytes){digest, sizeof digest});
}

static unsigned route_flags(const struct request *rq)
{
    if (!rq->route)
        return 0;
    const struct route_op *op = &rq->route->ops[rq->op];

    if (rq->op == OP_CREATE && !op->fn)
        op = &rq->route->ops[OP_UPDATE];
    return rq->route->flags | op->flags;
}

static bool is_unauthenticated(const struct request *rq)
{
    return route_flags(rq) & ROUTE_UNAUTH;
}

/* ---- auth ---- */

static struct auth_shown auth_of_token(const struct request *rq)
{
    const struct token_entry *te = rq->token;
    static const str types[] = {{"default", 7}, {"service", 7}, {"batch", 5}};

    return (struct auth_shown){
        .client_token = te->id,
        .accessor = te->accessor,
        .display_name = te->display_name,
        .entity_id = te->entity_id,
        .token_type = types[te->type],
        .policies = rq->policies ? rq->policies : te->policies,
        .token_policies = te->policies,
        .identity_policies = rq->identity_policies,
        .n_policies = rq->policies ? rq->n_policies : te->n_policies,
        .n_token_policies = te->n_policies,
        .n_identity_policies = rq->n_identity_policies,
        .metadata = te->meta,
        .remaining_uses = te->num_uses,
        .ttl_s = te->ttl_ns / NS_PER_S,
        .issue_time_ns = te->creation_time_s * NS_PER_S,
    };
}

static struct auth_shown auth_of_answer(const struct response_auth *ra)
{
    return (struct auth_shown){
        .client_token = ra->client_token,
        .accessor = ra->accessor,
        .display_name = ra->display_name,
        .entity_id = ra->entity_id,
        .token_type = ra->token_type,
        .policies = ra->policies,
        .token_policies = ra->token_policies,
        .identity_policies = ra->identity_policies,
        .n_identity_policies = ra->n_identity_policies,
        .n_policies = ra->n_policies,
        .n_token_policies = ra->n_token_policies,
        .metadata = ra->metadata,
        .num_uses = ra->num_uses,
        .ttl_s = ra->ttl_ns / NS_PER_S,
        .issue_time_ns = ra->issue_time_ns == TIME_ZERO_NS ? 0 : ra->issue_time_ns,
    };
}

static void put_secret_member(struct audit_line *l, str key, str value, bool in_clear, str hash)
{
    if (value.n == 0)
        return;
    audit_put_key(l, key);
    if (in_clear || l->device->log_raw) {
        json_write_string(&l->out, value);
    } else if (hash.n) {
        buf_put_byte(&l->out, '"');
        buf_put_str(&l->out, hash);
        buf_put_byte(&l->out, '"');
    } else {
        audit_put_secret(l, value);
    }
}

static void put_policy_results(struct audit_line *l, const struct acl_result *r)
{
    audit_open_object(l, STR("policy_results"));
    audit_put_key(l, STR("allowed"));
    buf_put_str(&l->out, !r || r->allowed ? STR("true") : STR("false"));
    for (size_t i = 0; r && r->allowed && i < r->n_granting; i++) {
        if (i == 0)
            buf_put_str(&l->out, STR(",\"granting_policies\":[{\"name\":"));
        else
            buf_put_str(&l->out, STR(",{\"name\":"));
        json_write_string(&l->out, r->granting[i]);
        buf_put_str(&l->out, STR(",\"namespace_id\":\"root\",\"type\":\"acl\"}"));
        if (i == r->n_granting - 1)
            buf_put_byte(&l->out, ']');
    }
    audit_close_object(l);
}

static void put_metadata(struct audit_line *l, const struct json *metadata)
{
    if (!metadata || metadata->type != JSON_OBJECT || metadata->n == 0)
        return;
    audit_put_key(l, STR("metadata"));
    json_write(&l->out, metadata);
}

static void put_issue_time(struct audit_line *l, int64_t ns)
{
    char text[TIME_TEXT_MAX];

    if (ns != 0)
        audit_omit_str(l, STR("token_issue_time"), (str){text, time_format_fixed(text, ns, 0)});
}

/* `h`: hashes of the request's own token, or NULL; `results`: policy_results are shown. */
static void put_auth(struct audit_line *l, const struct auth_shown *v, const struct audit_hashes *h,
                     bool results, const struct acl_result *decision)
{
    audit_open_object(l, STR("auth"));
    put_secret_member(l, STR("client_token"), v->client_token, false, h ? h->token : (str){0});
    put_secret_member(l, STR("accessor"), v->accessor, !l->device->hmac_accessor, h ? h->accessor : (str){0});
    audit_omit_str(l, STR("display_name"), v->display_name);
    audit_omit_strs(l, STR("policies"), v->policies, v->n_policies);
    audit_omit_strs(l, STR("token_policies"), v->token_policies, v->n_token_policies);
    audit_omit_strs(l, STR("identity_policies"), v->identity_policies, v->n_identity_policies);
    if (results)
        put_policy_results(l, decision);
    put_metadata(l, v->metadata);
    audit_omit_int(l, STR("num_uses"), v->num_uses);
    audit_omit_int(l, STR("remaining_uses"), v->remaining_uses);
    audit_omit_str(l, STR("entity_id"), v->entity_id);
    audit_omit_bool(l, STR("entity_created"), v->entity_created);
    audit_omit_str(l, STR("token_type"), v->token_type);
    audit_omit_int(l, STR("token_ttl"), v->ttl_s);
    put_issue_time(l, v->issue_time_ns);
    audit_close_object(l);
}

/* Who asked; for an answer to a login the new token. */
static void put_entry_auth(struct audit_line *l, const struct audit_event *e, const struct audit_hashes *h)
{
    const struct request *rq = e->rq;
    bool free_entry = is_unauthenticated(rq) && e->error_text.n == 0;

    if (rq->token) {
        struct auth_shown v = auth_of_token(rq);

        put_auth(l, &v, h, e->decision != NULL, e->decision);
    } else if (e->rs && e->rs->auth) {
        struct auth_shown v = auth_of_answer(e->rs->auth);

        v.entity_created = e->rs->auth->entity_created;
        v.num_uses = 0; /* only the answer's own shows it */

        put_auth(l, &v, NULL, false, NULL);
    } else {
        put_auth(l, &(struct auth_shown){.token_type = STR("default")}, NULL, e->decision || free_entry,
                 e->decision);
    }
}

/* ---- request ---- */

static bool is_write(enum op op)
{
    return op == OP_CREATE || op == OP_UPDATE;
}

/* The accessor is known from the existence check on, which is asked of writes whose token is good; in answers
 * also when the request came as far as its handler. */
static bool knows_accessor(const struct audit_event *e)
{
    const struct request *rq = e->rq;
    bool let_in = rq->token || is_unauthenticated(rq);

    if (let_in && is_write(rq->op))
        return true;
    return e->rs && let_in && (!e->decision || e->decision->allowed);
}

static void put_mount(struct audit_line *l, const struct audit_event *e, str version_key)
{
    const struct mount *m = e->rq->mount;

    if (!m)
        return;
    str version = m->engine ? str_from_cstr(m->engine->plugin_version)
                            : json_get_str(m->entry, STR("running_plugin_version"));

    audit_omit_str(l, STR("mount_point"), m->path);
    audit_omit_str(l, STR("mount_type"), m->type);
    if (knows_accessor(e))
        audit_omit_str(l, STR("mount_accessor"), m->accessor);
    audit_omit_str(l, version_key, version);
    audit_omit_str(l, STR("mount_class"), m->is_auth ? STR("auth") : STR("secret"));
}

/* Not even by configuration is what proves who asks shown in clear. */
static bool header_is_hashed(const struct audited_header *h)
{
    return h->hmac || str_eq(h->name, STR("x-vault-token")) || str_eq(h->name, STR("authorization"));
}

static bool put_header(struct audit_line *l, const struct request *rq, const struct audited_header *h,
                       bool opened)
{
    bool found = false;

    for (size_t i = 0; i < rq->n_headers; i++) {
        if (!str_eq_nocase(rq->headers[i].name, h->name))
            continue;
        if (!found) {
            if (!opened)
                audit_open_object(l, STR("headers"));
            audit_put_key(l, h->name);
        }
        buf_put_byte(&l->out, found ? ',' : '[');
        found = true;
        if (header_is_hashed(h))
            audit_put_hash(l, rq->headers[i].value);
        else
            json_write_string(&l->out, rq->headers[i].value);
    }
    if (found)
        buf_put_byte(&l->out, ']');
    return found;
}

static void put_headers(struct audit_line *l, const struct request *rq)
{
    bool opened = false;

    for (size_t i = 0; i < l->set->n_headers; i++)
        opened = put_header(l, rq, &l->set->headers[i], opened) || opened;
    if (opened)
        audit_close_object(l);
}

static void put_request(struct audit_line *l, const struct audit_event *e, const struct audit_hashes *h,
                        str client_id)
{
    const struct request *rq = e->rq;
    struct audit_data how = {.hash_numbers = true};

    if (rq->mount) {
        how.plain_keys = rq->mount->audit_request_keys;
        how.n_plain_keys = rq->mount->n_audit_request_keys;
    }
    audit_open_object(l, STR("request"));
    audit_omit_str(l, STR("id"), rq->id);
    audit_omit_str(l, STR("client_id"), client_id);
    audit_omit_str(l, STR("operation"), str_from_cstr(op_name(rq->op)));
    put_mount(l, e, STR("mount_running_version"));
    put_secret_member(l, STR("client_token"), rq->token ? rq->token->id : rq->client_token, false, h->token);
    put_secret_member(l, STR("client_token_accessor"), rq->token ? rq->token->accessor : (str){0},
                      !l->device->hmac_accessor, h->accessor);
    audit_put_key(l, STR("namespace"));
    buf_put_str(&l->out, STR("{\"id\":\"root\"}"));
    audit_omit_str(l, STR("path"), rq->path);
    if (!(route_flags(rq) & ROUTE_AUDIT_BARE))
        audit_put_data(l, rq->data, &how);
    audit_omit_str(l, STR("remote_address"), rq->peer.remote_address);
    audit_omit_int(l, STR("remote_port"), rq->peer.remote_port);
    audit_omit_int(l, STR("wrap_ttl"), rq->wrap_ttl_ns / NS_PER_S);
    put_headers(l, rq);
    audit_close_object(l);
}

/* ---- response ---- */

static bool is_wrapped(str text)
{
    return str_find(str_slice(text, 0, 32), STR(" occurred:\n\t* ")) < MIN(text.n, 32);
}

/* "1 error occurred:\n\t* X\n\n" -> X */
static str bare_text(str text)
{
    str before = STR("1 error occurred:\n\t* ");

    return str_starts(text, before) ? str_trim(str_from(text, before.n)) : text;
}

static void put_error_data(struct audit_line *l, str text)
{
    audit_open_object(l, STR("data"));
    audit_put_key(l, STR("error"));
    audit_put_secret(l, bare_text(text));
    audit_close_object(l);
}

static void put_raw_body(struct audit_line *l, const struct response *rs)
{
    audit_open_object(l, STR("data"));
    audit_put_key(l, STR("http_content_type"));
    audit_put_secret(l, rs->raw_content_type);
    audit_put_key(l, STR("http_raw_body"));
    audit_put_secret(l, str_from_bytes(rs->raw_body));
    audit_put_key(l, STR("http_status_code"));
    buf_put_u64(&l->out, rs->status ? (uint64_t)rs->status : 200);
    audit_close_object(l);
}

static void put_response_data(struct audit_line *l, const struct audit_event *e)
{
    const struct request *rq = e->rq;
    struct audit_data how = {
        .hash_numbers = route_flags(rq) & ROUTE_RAW_BODY,
        .from = rq->route ? rq->route->fields : NULL,
        .elide_lists = l->device->elide_lists && rq->op == OP_LIST,
    };

    if (rq->mount) {
        how.plain_keys = rq->mount->audit_response_keys;
        how.n_plain_keys = rq->mount->n_audit_response_keys;
    }
    if (e->error_text.n)
        put_error_data(l, e->error_text);
    else if (e->rs->raw_content_type.n)
        put_raw_body(l, e->rs);
    else if (!(route_flags(e->rq) & ROUTE_AUDIT_BARE))
        audit_put_data(l, e->rs->data, &how);
}

static void put_wrap_info(struct audit_line *l, const struct wrap_info *w)
{
    char time[TIME_TEXT_MAX];

    audit_open_object(l, STR("wrap_info"));
    audit_omit_int(l, STR("ttl"), w->ttl_ns / NS_PER_S);
    put_secret_member(l, STR("token"), w->token, false, (str){0});
    put_secret_member(l, STR("accessor"), w->accessor, !l->device->hmac_accessor, (str){0});
    audit_omit_str(l, STR("creation_time"), (str){time, time_format_to(time, w->creation_time_ns)});
    audit_omit_str(l, STR("creation_path"), w->creation_path);
    put_secret_member(l, STR("wrapped_accessor"), w->wrapped_accessor, !l->device->hmac_accessor, (str){0});
    audit_close_object(l);
}

static void put_response(struct audit_line *l, const struct audit_event *e)
{
    audit_open_object(l, STR("response"));
    if (e->rs->auth) {
        struct auth_shown v = auth_of_answer(e->rs->auth);

        put_auth(l, &v, NULL, false, NULL);
    }
    put_mount(l, e, STR("mount_running_plugin_version"));
    if (e->rs->lease_id.n) {
        audit_open_object(l, STR("secret"));
        audit_omit_str(l, STR("lease_id"), e->rs->lease_id);
        audit_close_object(l);
    }
    put_response_data(l, e);
    audit_omit_strs(l, STR("warnings"), e->rs->warnings, e->rs->n_warnings);
    if (e->rs->wrap_info)
        put_wrap_info(l, e->rs->wrap_info);
    audit_close_object(l);
}

/* ---- entries ---- */

static void open_entry(struct audit_line *l, const struct audit_event *e, str type)
{
    char time[TIME_TEXT_MAX];

    l->comma = false;
    buf_put_byte(&l->out, '{');
    audit_omit_str(l, STR("time"), (str){time, time_format_to(time, e->time_ns)});
    audit_omit_str(l, STR("type"), type);
}

void audit_format_request(struct audit_line *l, const struct audit_event *e, const struct audit_hashes *h,
                          str client_id)
{
    open_entry(l, e, STR("request"));
    put_entry_auth(l, e, h);
    put_request(l, e, h, client_id);
    audit_omit_str(l, STR("error"), e->error_text);
    audit_close_object(l);
}

/* A plain refusal of a handler may repeat what was sent: it is shown as data.error, hashed, only. */
void audit_format_response(struct audit_line *l, const struct audit_event *e, const struct audit_hashes *h,
                           str client_id)
{
    open_entry(l, e, STR("response"));
    put_entry_auth(l, e, h);
    put_request(l, e, h, client_id);
    put_response(l, e);
    if (is_wrapped(e->error_text) || str_eq(e->error_text, STR("permission denied")))
        audit_omit_str(l, STR("error"), e->error_text);
    audit_close_object(l);
}
