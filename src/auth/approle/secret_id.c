#include "auth/approle/approle_private.h"
#include "base/encode.h"
#include "base/ip_range.h"
#include "core/mount.h"
#include "crypto/crypto.h"

static str hmac_hex(struct request *rq, const struct role *r, str text)
{
    uint8_t mac[HMAC_SHA256_BYTES];

    hmac_sha256_once(mac, bytes_from_str(r->hmac_key), bytes_from_str(text));
    return hex_encode(rq->arena, (bytes){mac, sizeof(mac)});
}

str secret_id_folder(struct request *rq, const struct role *r)
{
    return arena_fmt(rq->arena, "%.*s%.*s/", PSTR(r->prefix), PSTR(hmac_hex(rq, r, r->name)));
}

str secret_id_hmac(struct request *rq, const struct role *r, str secret_id)
{
    return hmac_hex(rq, r, secret_id);
}

int64_t secret_id_ttl(const struct request *rq, int64_t ttl_ns)
{
    int64_t max = mount_max_ttl_ns(rq, rq->mount);

    return ttl_ns < 0 || ttl_ns > max ? max : ttl_ns;
}

static bool is_local(str folder)
{
    return str_starts(folder, STR("secret_id_local/"));
}

/* ---- accessors ---- */

static struct error *accessor_path(struct request *rq, bool local, str accessor, str *ret)
{
    str salted;

    TRY(approle_salted(rq, accessor, true, &salted));
    *ret = arena_join(rq->arena, local ? STR("accessor_local/") : STR("accessor/"), salted);
    return NULL;
}

struct error *secret_id_of_accessor(struct request *rq, bool local, str accessor, str *ret_hmac)
{
    struct json *entry;
    str path;

    TRY(accessor_path(rq, local, accessor, &path));
    TRY(view_get_json(rq->view, path, &entry));
    *ret_hmac = json_get_str(entry, STR("secret_id_hmac"));
    return NULL;
}

/* ---- as stored ---- */

/* The count was kept under another name in 2016; the lower of both counts. */
static int64_t uses_of(const struct json *j)
{
    int64_t uses = json_get_int(j, STR("secret_id_num_uses")), old = json_get_int(j, STR("SecretIDNumUses"));

    return old != 0 && (uses == 0 || old < uses) ? old : uses;
}

struct error *secret_id_load_any(struct request *rq, str folder, str hmac, struct secret_id **ret)
{
    struct arena *a = rq->arena;
    struct secret_id *s = ARENA_NEW(a, struct secret_id);
    struct json *j;

    *ret = NULL;
    TRY(view_get_json(rq->view, arena_join(a, folder, hmac), &j));
    if (!j)
        return NULL;
    s->stored = j;
    s->folder = folder;
    s->hmac = hmac;
    s->accessor = json_get_str(j, STR("secret_id_accessor"));
    s->num_uses = uses_of(j);
    s->ttl_ns = json_get_int(j, STR("secret_id_ttl"));
    s->created_ns = member_time_ns(j, "creation_time");
    s->expires_ns = member_time_ns(j, "expiration_time");
    s->updated_ns = member_time_ns(j, "last_updated_time");
    s->metadata = member_object(j, "metadata");
    if (!s->metadata)
        s->metadata = json_object(a);
    s->cidrs = member_strs(a, j, "cidr_list", &s->n_cidrs);
    s->token_cidrs = member_strs(a, j, "token_cidr_list", &s->n_token_cidrs);
    *ret = s;
    return NULL;
}

bool secret_id_is_over(const struct request *rq, const struct secret_id *s)
{
    return s->expires_ns != TIME_ZERO_NS && clock_wall_ns(rq->clock) > s->expires_ns;
}

struct error *secret_id_load(struct request *rq, str folder, str hmac, struct secret_id **ret)
{
    TRY(secret_id_load_any(rq, folder, hmac, ret));
    if (*ret && secret_id_is_over(rq, *ret))
        *ret = NULL;
    return NULL;
}

struct error *secret_id_save(struct request *rq, struct secret_id *s)
{
    struct arena *a = rq->arena;
    bool by_old_name = json_get_int(s->stored, STR("SecretIDNumUses")) != 0;

    json_set_str(a, s->stored, STR("secret_id_accessor"), s->accessor);
    json_set_int(a, s->stored, STR("secret_id_num_uses"), s->num_uses);
    json_set_int(a, s->stored, STR("secret_id_ttl"), s->ttl_ns);
    json_set_str(a, s->stored, STR("creation_time"), time_format(a, s->created_ns));
    json_set_str(a, s->stored, STR("expiration_time"), time_format(a, s->expires_ns));
    json_set_str(a, s->stored, STR("last_updated_time"), time_format(a, s->updated_ns));
    json_set(a, s->stored, STR("metadata"), json_copy(a, s->metadata));
    json_set(a, s->stored, STR("cidr_list"), json_strings(a, s->cidrs, s->n_cidrs));
    json_set(a, s->stored, STR("token_cidr_list"), json_strings(a, s->token_cidrs, s->n_token_cidrs));
    json_set_int(a, s->stored, STR("SecretIDNumUses"), by_old_name ? s->num_uses : 0);
    return view_put_json(rq->view, arena_join(a, s->folder, s->hmac), s->stored);
}

/* The secret id first: an accessor without one opens nothing. */
struct error *secret_id_delete(struct request *rq, const struct secret_id *s)
{
    str path;

    TRY(view_delete(rq->view, arena_join(rq->arena, s->folder, s->hmac)));
    if (s->accessor.n == 0)
        return NULL;
    TRY(accessor_path(rq, is_local(s->folder), s->accessor, &path));
    return view_delete(rq->view, path);
}

struct error *secret_id_register(struct request *rq, const struct role *r, str id, struct secret_id *s)
{
    struct json *entry = json_object(rq->arena);
    int64_t ttl = secret_id_ttl(rq, s->ttl_ns);
    bool there;
    str path;

    s->folder = secret_id_folder(rq, r);
    s->hmac = secret_id_hmac(rq, r, id);
    TRY(view_has(rq->view, arena_join(rq->arena, s->folder, s->hmac), &there));
    if (there)
        return fail_wrapped(rq, ERR_INTERNAL, "failed to store secret_id: SecretID is already registered");
    s->accessor = rng_uuid_str(rq->rng, rq->arena);
    s->created_ns = s->updated_ns = clock_wall_ns(rq->clock);
    s->expires_ns = ttl ? s->created_ns + ttl : TIME_ZERO_NS;
    s->stored = json_object(rq->arena);
    json_set_str(rq->arena, entry, STR("secret_id_hmac"), s->hmac);
    TRY(accessor_path(rq, role_is_local(r), s->accessor, &path));
    TRY(view_put_json(rq->view, path, entry));
    return secret_id_save(rq, s);
}

/* ---- blocks ---- */

/* As the API prints lists: ["a" "b"]. */
static str quoted(struct request *rq, const str *v, size_t n, bool with_length)
{
    str text = {0};

    for (size_t i = 0; i < n; i++)
        text = arena_fmt(rq->arena, "%.*s%s\"%.*s%s\"", PSTR(text), i ? " " : "", PSTR(v[i]),
                         with_length && str_index(v[i], '/') == v[i].n ? "/32" : "");
    return text;
}

struct error *secret_id_check_within(struct request *rq, const str *role, size_t n_role, const str *own,
                                     size_t n_own)
{
    for (size_t i = 0; n_role > 0 && i < n_own; i++) {
        bool within = false;

        for (size_t k = 0; k < n_role; k++)
            within = within || ip_text_is_within(own[i], role[k]);
        if (!within)
            return fail_wrapped(
                rq, ERR_INTERNAL,
                "failed to verify subset relationship between CIDR blocks on the role [%.*s] and "
                "CIDR blocks on the secret ID [%.*s]: %%!w(<nil>)",
                PSTR(quoted(rq, role, n_role, true)), PSTR(quoted(rq, own, n_own, false)));
    }
    return NULL;
}

/* ---- what is left over ---- */

/* path: secret_id/R/S */
static struct error *load_at(struct request *rq, str path, struct secret_id **ret)
{
    size_t slash = str_rindex(path, '/') + 1;

    return secret_id_load_any(rq, str_slice(path, 0, slash), str_from(path, slash), ret);
}

static struct error *secret_id_judge(struct request *rq, str path, bool *ret_wrong)
{
    struct secret_id *s;
    str hmac;

    *ret_wrong = false;
    TRY(load_at(rq, path, &s));
    if (!s)
        return NULL;
    *ret_wrong = secret_id_is_over(rq, s);
    if (*ret_wrong)
        return NULL;
    TRY(secret_id_of_accessor(rq, is_local(path), s->accessor, &hmac));
    *ret_wrong = hmac.n == 0;
    return NULL;
}

static struct error *secret_id_fix(struct request *rq, str path, bool *ret_done)
{
    struct secret_id *s;

    (void)ret_done;
    TRY(load_at(rq, path, &s));
    return s ? secret_id_delete(rq, s) : NULL;
}

/* An accessor does not say of which role it is: each is asked. */
static struct error *accessor_judge(struct request *rq, str path, bool *ret_wrong)
{
    str prefix = str_starts(path, STR("accessor_local/")) ? STR("secret_id_local/") : STR("secret_id/");
    struct json *entry;
    bool there = false;
    str *roles;
    size_t n;

    *ret_wrong = false;
    TRY(view_get_json(rq->view, path, &entry));
    if (!entry)
        return NULL;
    TRY(view_list(rq->view, prefix, &roles, &n));
    for (size_t i = 0; i < n && !there; i++)
        TRY(view_has(rq->view,
                     arena_fmt(rq->arena, "%.*s%.*s%.*s", PSTR(prefix), PSTR(roles[i]),
                               PSTR(json_get_str(entry, STR("secret_id_hmac")))),
                     &there));
    *ret_wrong = !there;
    return NULL;
}

static struct error *accessor_fix(struct request *rq, str path, bool *ret_done)
{
    (void)ret_done;
    return view_delete(rq->view, path);
}

const struct sweep_folder approle_tidy[APPROLE_TIDY_ROWS] = {
    {.folder = {"accessor/", 9}, accessor_judge, accessor_fix},
    {.folder = {"accessor_local/", 15}, accessor_judge, accessor_fix},
    {.folder = {"secret_id/", 10}, secret_id_judge, secret_id_fix},
    {.folder = {"secret_id_local/", 16}, secret_id_judge, secret_id_fix},
};
