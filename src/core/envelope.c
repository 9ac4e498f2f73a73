#include "core/envelope.h"

static void put_strings(struct buf *b, const str *v, size_t n)
{
    buf_put_byte(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_put_byte(b, ',');
        json_write_string(b, v[i]);
    }
    buf_put_byte(b, ']');
}

static void put_member(struct buf *b, const char *name, str value)
{
    buf_put_fmt(b, ",\"%s\":", name);
    json_write_string(b, value);
}

static void put_bool(struct buf *b, const char *name, bool value)
{
    buf_put_fmt(b, ",\"%s\":%s", name, value ? "true" : "false");
}

/* There is no token yet. */
static void put_requirement(struct buf *b, const struct response_auth *auth)
{
    buf_put_str(b, STR("{\"client_token\":\"\",\"accessor\":\"\",\"policies\":null,\"metadata\":null,"
                       "\"lease_duration\":0,\"renewable\":false,\"entity_id\":\"\""));
    put_member(b, "token_type", auth->token_type);
    buf_put_str(b, STR(",\"orphan\":false,\"mfa_requirement\":"));
    json_write(b, auth->mfa_requirement);
    buf_put_str(b, STR(",\"num_uses\":0}"));
}

static void put_auth(struct buf *b, const struct response_auth *auth)
{
    if (auth->mfa_requirement) {
        put_requirement(b, auth);
        return;
    }
    buf_put_str(b, STR("{\"client_token\":"));
    json_write_string(b, auth->client_token);
    put_member(b, "accessor", auth->accessor);
    buf_put_str(b, STR(",\"policies\":"));
    put_strings(b, auth->policies, auth->n_policies);
    buf_put_str(b, STR(",\"token_policies\":"));
    put_strings(b, auth->token_policies, auth->n_token_policies);
    if (auth->n_identity_policies) {
        buf_put_str(b, STR(",\"identity_policies\":"));
        put_strings(b, auth->identity_policies, auth->n_identity_policies);
    }
    buf_put_str(b, STR(",\"metadata\":"));
    if (json_is_null(auth->metadata))
        buf_put_str(b, STR("null"));
    else
        json_write(b, auth->metadata);
    buf_put_fmt(b, ",\"lease_duration\":%lld", (long long)(auth->ttl_ns / NS_PER_S));
    put_bool(b, "renewable", auth->renewable);
    put_member(b, "entity_id", auth->entity_id);
    put_member(b, "token_type", auth->token_type);
    put_bool(b, "orphan", auth->orphan);
    buf_put_fmt(b, ",\"mfa_requirement\":null,\"num_uses\":%lld}", (long long)auth->num_uses);
}

static void put_wrap_info(struct buf *b, const struct wrap_info *w)
{
    buf_put_str(b, STR("{\"token\":"));
    json_write_string(b, w->token);
    put_member(b, "accessor", w->accessor);
    buf_put_fmt(b, ",\"ttl\":%lld", (long long)(w->ttl_ns / NS_PER_S));
    char time[TIME_TEXT_MAX];

    put_member(b, "creation_time", (str){time, time_format_to(time, w->creation_time_ns)});
    put_member(b, "creation_path", w->creation_path);
    if (w->wrapped_accessor.n)
        put_member(b, "wrapped_accessor", w->wrapped_accessor);
    buf_put_byte(b, '}');
}

void envelope_write(struct buf *b, str request_id, const struct response *rs)
{
    buf_put_str(b, STR("\"request_id\":\""));
    if (!rs->wrap_info)
        buf_put_str(b, request_id);
    buf_put_str(b, STR("\",\"lease_id\":"));
    json_write_string(b, rs->lease_id);
    put_bool(b, "renewable", rs->renewable);
    buf_put_fmt(b, ",\"lease_duration\":%lld,\"data\":", (long long)rs->lease_duration_s);
    if (rs->data)
        json_write(b, rs->data);
    else
        buf_put_str(b, STR("null"));
    buf_put_str(b, STR(",\"wrap_info\":"));
    if (rs->wrap_info)
        put_wrap_info(b, rs->wrap_info);
    else
        buf_put_str(b, STR("null"));
    buf_put_str(b, STR(",\"warnings\":"));
    if (rs->warnings && !rs->wrap_info)
        put_strings(b, rs->warnings, rs->n_warnings);
    else
        buf_put_str(b, STR("null"));
    buf_put_str(b, STR(",\"auth\":"));
    if (rs->auth)
        put_auth(b, rs->auth);
    else
        buf_put_str(b, STR("null"));
}

bool response_has_body(const struct response *rs)
{
    return rs->data || rs->auth || rs->lease_id.n || rs->wrap_info || rs->n_warnings ||
           rs->raw_content_type.n;
}
