/* mfa_method: the routes of methods. */
#include "base/qr.h"
#include "core/mfa/mfa_private.h"

enum { KEY_BYTES_MAX = 512, PERIOD_MAX_S = 3600 * 24, KEYS_STEP = 64 };

static const char *const algorithms[] = {"SHA1", "SHA256", "SHA512", NULL}; /* by their stored number */

/* The segment of the route's own path behind "mfa/method/": empty for routes of all kinds. */
static str type_of(const struct request *rq)
{
    str rest = str_from(str_from_cstr(rq->route->path), STR("mfa/method/").n), type;

    str_cut(rest, '/', &type, &rest);
    return str_starts(type, STR("{")) ? (str){0} : type;
}

/* Vault's path patterns match no other. */
static struct error *check_id(struct request *rq, str id)
{
    bool ok = id.n == UUID_TEXT_BYTES;

    for (size_t i = 0; ok && i < id.n; i++)
        ok = i == 8 || i == 13 || i == 18 || i == 23
                 ? id.p[i] == '-'
                 : (id.p[i] >= '0' && id.p[i] <= '9') || (id.p[i] >= 'a' && id.p[i] <= 'f');
    return ok ? NULL : fail_wrapped(rq, ERR_NOT_FOUND, "unsupported path");
}

/* ---- showing ---- */

static void set_text(struct arena *a, struct json *o, const char *name, ProtobufCBinaryData d)
{
    json_set_str(a, o, str_from_cstr(name), pb_str(d));
}

static void show_totp(struct arena *a, struct json *o, const MfaPb__Totp *t)
{
    bool known = t->algorithm >= 0 && t->algorithm < (int)COUNT_OF(algorithms) - 1;

    set_text(a, o, "issuer", t->issuer);
    json_set_int(a, o, STR("period"), t->period);
    json_set_int(a, o, STR("digits"), t->digits);
    json_set_int(a, o, STR("skew"), t->skew);
    json_set_int(a, o, STR("key_size"), t->key_size);
    json_set_int(a, o, STR("qr_size"), t->qr_size);
    json_set_str(a, o, STR("algorithm"), known ? str_from_cstr(algorithms[t->algorithm]) : STR("unknown"));
    json_set_int(a, o, STR("max_validation_attempts"), t->max_validation_attempts);
}

static void show_username(struct arena *a, struct json *o, const MfaPb__Method *m)
{
    set_text(a, o, "mount_accessor", m->mount_accessor);
    set_text(a, o, "username_format", m->username_format);
}

static void show_others(struct arena *a, struct json *o, const MfaPb__Method *m)
{
    if (m->okta) {
        set_text(a, o, "org_name", m->okta->org_name);
        if (m->okta->base_url.len > 0)
            set_text(a, o, "base_url", m->okta->base_url);
        else
            json_set_bool(a, o, STR("production"), m->okta->production);
        show_username(a, o, m);
    } else if (m->duo) {
        set_text(a, o, "api_hostname", m->duo->api_hostname);
        set_text(a, o, "pushinfo", m->duo->push_info);
        json_set_bool(a, o, STR("use_passcode"), m->duo->use_passcode);
        show_username(a, o, m);
    } else if (m->pingid) {
        json_set_bool(a, o, STR("use_signature"), m->pingid->use_signature);
        set_text(a, o, "idp_url", m->pingid->idp_url);
        set_text(a, o, "org_alias", m->pingid->org_alias);
        set_text(a, o, "admin_url", m->pingid->admin_url);
        set_text(a, o, "authenticator_url", m->pingid->authenticator_url);
    }
}

static struct json *shown(struct arena *a, const MfaPb__Method *m)
{
    struct json *o = json_object(a);

    if (m->totp)
        show_totp(a, o, m->totp);
    show_others(a, o, m);
    set_text(a, o, "type", m->type);
    set_text(a, o, "id", m->id);
    set_text(a, o, "name", m->name);
    set_text(a, o, "namespace_id", m->namespace_id);
    json_set_str(a, o, STR("namespace_path"), STR(""));
    return o;
}

static struct error *method_read(struct request *rq, struct response *rs)
{
    str id = field_str(rq, "method_id"), type = type_of(rq);

    TRY(check_id(rq, id));
    const MfaPb__Method *m = mfa_method_find(mfa_set_held(rq), id);

    if (!m)
        return fail_absent(rq);
    if (type.n > 0 && !str_eq(pb_str(m->type), type))
        return fail(rq, ERR_BAD_REQUEST, "failed to find the method ID under MFA type %.*s.", PSTR(type));
    rs->data = shown(rq->arena, m);
    return NULL;
}

static struct error *method_list(struct request *rq, struct response *rs)
{
    const struct mfa_set *s = mfa_set_held(rq);
    struct json *keys = json_array(rq->arena), *info = json_object(rq->arena);
    str type = type_of(rq);

    for (size_t i = 0; i < s->n_methods; i++) {
        const MfaPb__Method *m = s->methods[i];

        if (type.n > 0 && !str_eq(pb_str(m->type), type))
            continue;
        json_append(rq->arena, keys, json_string(rq->arena, pb_str(m->id)));
        json_set(rq->arena, info, pb_str(m->id), shown(rq->arena, m));
    }
    if (keys->n == 0)
        return fail_absent(rq);
    json_set(rq->arena, response_data(rq, rs), STR("keys"), keys);
    json_set(rq->arena, rs->data, STR("key_info"), info);
    return NULL;
}

/* ---- writing ---- */

static struct error *bad(struct request *rq, const char *text)
{
    return fail(rq, ERR_BAD_REQUEST, "%s", text);
}

static struct error *take_totp(struct request *rq, MfaPb__Totp *t)
{
    int64_t digits = field_int(rq, "digits"), period_s = field_ns(rq, "period") / NS_PER_S,
            skew = field_int(rq, "skew"), key_size = field_int(rq, "key_size"),
            qr_size = field_int(rq, "qr_size"), attempts = field_int(rq, "max_validation_attempts");
    int algorithm = 0;

    while (algorithms[algorithm] && !str_eq(field_str(rq, "algorithm"), str_from_cstr(algorithms[algorithm])))
        algorithm++;
    if (!algorithms[algorithm])
        return bad(rq, "unrecognized algorithm");
    if (digits != 6 && digits != 8)
        return bad(rq, "digits can only be 6 or 8");
    if (period_s <= 0)
        return bad(rq, "period must be greater than zero");
    if (period_s > PERIOD_MAX_S)
        return bad(rq, "period must not be longer than a day");
    if (skew != 0 && skew != 1)
        return bad(rq, "skew must be 0 or 1");
    if (key_size <= 0)
        return bad(rq, "key_size must be greater than zero");
    if (key_size > KEY_BYTES_MAX)
        return fail(rq, ERR_BAD_REQUEST, "key_size must not be greater than %d", KEY_BYTES_MAX);
    if (field_str(rq, "issuer").n == 0)
        return bad(rq, "issuer must be set");
    if (attempts < 0 || attempts > INT32_MAX)
        return bad(rq, "max_validation_attempts must be greater than zero");
    if (qr_size < 0 || qr_size > QR_SIZE_MAX)
        return fail(rq, ERR_BAD_REQUEST, "qr_size must be between 0 and %d", QR_SIZE_MAX);
    t->issuer = pb_text(rq->arena, field_str(rq, "issuer"));
    t->period = (uint32_t)period_s;
    t->algorithm = algorithm;
    t->digits = (int32_t)digits;
    t->skew = (uint32_t)skew;
    t->key_size = (uint32_t)key_size;
    t->qr_size = (int32_t)qr_size;
    t->max_validation_attempts = attempts ? (uint32_t)attempts : MFA_ATTEMPTS_USUAL;
    return NULL;
}

static const MfaPb__Method *named(const struct mfa_set *s, str name)
{
    for (size_t i = 0; name.n > 0 && i < s->n_methods; i++)
        if (str_eq(pb_str(s->methods[i]->name), name))
            return s->methods[i];
    return NULL;
}

static MfaPb__Method *method_new(struct request *rq)
{
    MfaPb__Method *m = ARENA_NEW(rq->arena, MfaPb__Method);

    mfa_pb__method__init(m);
    m->id = pb_text(rq->arena, rng_uuid_str(rq->rng, rq->arena));
    m->type = pb_text(rq->arena, STR("totp"));
    m->namespace_id = pb_text(rq->arena, STR("root"));
    return m;
}

/* old: what is changed, or NULL. Its name stays when none is given. */
static struct error *totp_put(struct request *rq, const struct mfa_set *s, const MfaPb__Method *old,
                              str *ret_id)
{
    str name = field_str(rq, "method_name");
    const MfaPb__Method *other = named(s, name);

    if (other && !old)
        old = other;
    if (other && (other != old || !str_eq(pb_str(other->type), STR("totp"))))
        return fail_wrapped(rq, ERR_INTERNAL,
                            "a login MFA method configuration with the method name %.*s already exists",
                            PSTR(name));
    MfaPb__Method *m = old ? mfa_method_copy(rq, old) : method_new(rq);

    if (!m->totp) {
        m->totp = ARENA_NEW(rq->arena, MfaPb__Totp);
        mfa_pb__totp__init(m->totp);
    }
    if (name.n > 0)
        m->name = pb_text(rq->arena, name);
    TRY(take_totp(rq, m->totp));
    *ret_id = pb_str(m->id);
    return mfa_method_put(rq, m);
}

static struct error *totp_create(struct request *rq, struct response *rs)
{
    str id;

    TRY(txn_exclusive(rq->txn));
    TRY(totp_put(rq, mfa_set_held(rq), NULL, &id));
    json_set_str(rq->arena, response_data(rq, rs), STR("method_id"), id);
    return NULL;
}

static struct error *totp_update(struct request *rq, struct response *rs)
{
    str id = field_str(rq, "method_id");

    (void)rs;
    TRY(check_id(rq, id));
    TRY(txn_exclusive(rq->txn));
    const struct mfa_set *s = mfa_set_held(rq);
    const MfaPb__Method *old = mfa_method_find(s, id);

    if (!old) /* as Vault: no error, no effect */
        return NULL;
    if (!str_eq(pb_str(old->type), STR("totp")))
        return bad(rq, "failed to find the method ID under MFA type totp.");
    return totp_put(rq, s, old, &id);
}

static struct error *other_write(struct request *rq, struct response *rs)
{
    (void)rs;
    return fail(rq, ERR_BAD_REQUEST, "methods of type %.*s cannot be configured here: only totp is available",
                PSTR(type_of(rq)));
}

/* The method goes in the first step, so that no key is missed while it is there. */
static struct error *method_delete(struct request *rq, struct response *rs)
{
    struct view sys = txn_view(rq->txn, SPACE_SYS);
    str id = field_str(rq, "method_id");
    bool done;

    TRY(check_id(rq, id));
    TRY(txn_exclusive(rq->txn));
    const struct mfa_set *s = mfa_set_held(rq);
    const MfaPb__Method *m = mfa_method_find(s, id);

    for (size_t i = 0; i < s->n_enforcements; i++)
        if (pb_texts_have(s->enforcements[i]->mfa_method_ids, s->enforcements[i]->n_mfa_method_ids, id))
            return fail_wrapped(rq, ERR_INTERNAL,
                                "methodID is still used by an enforcement configuration with ID: %.*s",
                                PSTR(pb_str(s->enforcements[i]->id)));
    if (m && !str_eq(pb_str(m->type), type_of(rq)))
        return fail_wrapped(rq, ERR_INTERNAL, "method type does not match the MFA config type");
    if (m)
        TRY(mfa_method_delete(rq, id));
    TRY(view_clear(&sys, arena_fmt(rq->arena, "%s%.*s/", MFA_TOTP_KEYS, PSTR(id)), KEYS_STEP, &done));
    return done ? NULL : response_again(rs);
}

/* ---- the table ---- */

#define METHOD_ID                                                                                            \
    {                                                                                                        \
        "method_id", FT_STRING, FIELD_PATH, .help = "Id of the method."                                      \
    }

static const struct field id_fields[] = {METHOD_ID, {0}};

/* clang-format off */
#define TOTP_FIELDS                                                                                          \
    {"method_name", FT_STRING, .help = "A name for the method, which may stand for its id."},                \
    {"issuer", FT_STRING, .help = "Who the codes are for, as an app shows it."},                             \
    {"period", FT_SECONDS, .dflt = "30", .help = "How long a code lasts."},                                  \
    {"key_size", FT_INT, .dflt = "20", .help = "Bytes of the key."},                                         \
    {"qr_size", FT_INT, .dflt = "200", .help = "Points of a side of the picture; 0: none."},                 \
    {"algorithm", FT_STRING, .dflt = "SHA1", .help = "The hash of the codes.", .allowed = algorithms},       \
    {"digits", FT_INT, .dflt = "6", .help = "Digits of a code: 6 or 8."},                                    \
    {"skew", FT_INT, .dflt = "1", .help = "Codes before and after that are taken too: 0 or 1."},             \
    {"max_validation_attempts", FT_INT, .help = "Tries in a period; 0: 5."}
/* clang-format on */

static const struct field totp_fields[] = {TOTP_FIELDS, {0}};
static const struct field totp_id_fields[] = {METHOD_ID, TOTP_FIELDS, {0}};

static const struct field generate_fields[] = {
    {"method_id", FT_STRING, .help = "Id of the method."},
    {0},
};

static const struct field admin_fields[] = {
    {"method_id", FT_STRING, .help = "Id of the method."},
    {"entity_id", FT_STRING, .help = "Whose secret."},
    {0},
};

#define OTHER(type)                                                                                          \
    {"mfa/method/" type, NULL,                                                                               \
     .ops = {[OP_LIST] = {method_list, .help = "Lists the methods."}, [OP_UPDATE] = {other_write}},          \
     .help = "Methods of another server; here they are kept, but let nobody in."},                           \
    {                                                                                                        \
        "mfa/method/" type "/{method_id}", id_fields,                                                        \
            .ops = {[OP_READ] = {method_read, .help = "Shows the method."},                                  \
                    [OP_UPDATE] = {other_write},                                                             \
                    [OP_DELETE] = {method_delete, ROUTE_BULK, "Removes a method that nothing enforces."}},   \
            .help = "A method of another server; here it is kept, but lets nobody in."                       \
    }

const struct route mfa_method_routes[] = {
    {"mfa/method", NULL, .ops = {[OP_LIST] = {method_list, .help = "Lists the methods."}},
     .help = "All methods of the second factor."},
    {"mfa/method/{method_id}", id_fields, .ops = {[OP_READ] = {method_read, .help = "Shows the method."}},
     .help = "A method, of whatever type."},
    {"mfa/method/totp", totp_fields,
     .ops = {[OP_LIST] = {method_list, .help = "Lists the methods."},
             [OP_UPDATE] = {totp_create, .help = "Makes a method."}},
     .help = "Methods with codes that change with time."},
    {"mfa/method/totp/{method_id}", totp_id_fields,
     .ops = {[OP_READ] = {method_read, .help = "Shows the method."},
             [OP_UPDATE] = {totp_update, .help = "Changes the method; what is not given becomes as usual."},
             [OP_DELETE] = {method_delete, ROUTE_BULK, "Removes a method that nothing enforces."}},
     .help = "A method with codes that change with time.",
     .about = "Secrets that were made keep the settings they were made with."},
    {"mfa/method/totp/generate", generate_fields,
     .ops = {[OP_UPDATE] = {mfa_generate_write, ROUTE_SLOW, "Makes the caller's secret."}},
     .help = "Makes the caller's own secret, once; the answer shows it."},
    {"mfa/method/totp/admin-generate", admin_fields,
     .ops = {[OP_UPDATE] = {mfa_admin_generate_write, ROUTE_SLOW, "Makes an entity's secret."}},
     .help = "Makes the secret of an entity, once; the answer shows it."},
    {"mfa/method/totp/admin-destroy", admin_fields,
     .ops = {[OP_UPDATE] = {mfa_admin_destroy_write, .help = "Removes an entity's secret."}},
     .help = "Removes the secret of an entity, so that a new one can be made."},
    OTHER("duo"),
    OTHER("okta"),
    OTHER("pingid"),
    {0},
};
