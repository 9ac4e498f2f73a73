#include "client/secret.h"

static bool is_empty(const struct json *v)
{
    if (json_is_null(v))
        return true;
    switch (v->type) {
    case JSON_NULL: return true;
    case JSON_BOOL: return !v->boolean;
    case JSON_NUMBER: return str_eq(v->text, STR("0"));
    case JSON_STRING: return v->text.n == 0;
    case JSON_ARRAY:
    case JSON_OBJECT: return v->n == 0;
    }
    return true;
}

static struct json *zero_value(struct arena *a, enum json_type type)
{
    switch (type) {
    case JSON_NULL: return json_null(a);
    case JSON_BOOL: return json_bool(a, false);
    case JSON_NUMBER: return json_int(a, 0);
    case JSON_STRING: return json_string(a, STR(""));
    case JSON_ARRAY: return json_array(a);
    case JSON_OBJECT: return json_object(a);
    }
    return json_null(a);
}

struct json *json_shape(struct arena *a, const struct shape *rows, const struct json *from)
{
    struct json *out = json_object_ordered(a);
    for (const struct shape *r = rows; r->name; r++) {
        struct json *value = json_get(from, str_from_cstr(r->name));
        if (r->omit_empty && is_empty(value))
            continue;
        if (json_is_null(value))
            value = zero_value(a, r->zero);
        if (r->inner)
            value = json_shape(a, r->inner, value);
        json_set(a, out, str_from_cstr(r->name), value);
    }
    return out;
}

static const struct shape auth_shape[] = {
    {"client_token", JSON_STRING}, {"accessor", JSON_STRING},        {"policies", JSON_NULL},
    {"token_policies", JSON_NULL}, {"identity_policies", JSON_NULL}, {"metadata", JSON_NULL},
    {"orphan", JSON_BOOL},         {"entity_id", JSON_STRING},       {"lease_duration", JSON_NUMBER},
    {"renewable", JSON_BOOL},      {"mfa_requirement", JSON_NULL},   {0},
};

static const struct shape wrap_shape[] = {
    {"token", JSON_STRING},
    {"accessor", JSON_STRING},
    {"ttl", JSON_NUMBER},
    {"creation_time", JSON_STRING},
    {"creation_path", JSON_STRING},
    {"wrapped_accessor", JSON_STRING},
    {0},
};

static const struct shape secret_shape[] = {
    {"request_id", JSON_STRING},
    {"lease_id", JSON_STRING},
    {"lease_duration", JSON_NUMBER},
    {"renewable", JSON_BOOL},
    {"data", JSON_NULL},
    {"warnings", JSON_NULL},
    {"auth", JSON_NULL, .omit_empty = true, .inner = auth_shape},
    {"wrap_info", JSON_NULL, .omit_empty = true, .inner = wrap_shape},
    {0},
};

struct json *secret_from_json(struct arena *a, struct json *body)
{
    if (json_is_null(body) || body->type != JSON_OBJECT)
        return NULL;
    struct json *secret = json_shape(a, secret_shape, body);
    for (uint32_t i = 0; i < secret->n; i++)
        if (!is_empty(secret->members[i].value))
            return secret;
    bool only_errors = body->n == 1 && json_get(body, STR("errors"));
    if (only_errors)
        return NULL;
    if (body->n && !json_get(body, STR("data")))
        json_set(a, secret, STR("data"), body);
    return secret;
}
