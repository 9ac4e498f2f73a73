#include "cloud/cloud.h"

#include "base/mutex.h"
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

enum { PAUSE_PART_MS = 100, PAUSE_BASE_MS = 50, TOKEN_REFRESH_S = 300, TOKEN_LIFE_MAX_S = 30 * 24 * 3600 };

static bool is_cancelled(const struct cloud_host *h)
{
    return h->cancelled && atomic_load(h->cancelled);
}

bool cloud_pause(const struct cloud_host *h, int64_t ns)
{
    struct mutex mutex;
    struct cond never;

    mutex_init(&mutex);
    cond_init(&never);
    mutex_lock(&mutex);
    for (; ns > 0 && !is_cancelled(h); ns -= PAUSE_PART_MS * NS_PER_MS)
        (void)cond_wait_ns(&never, &mutex, MIN(ns, PAUSE_PART_MS * NS_PER_MS));
    mutex_unlock(&mutex);
    cond_done(&never);
    mutex_done(&mutex);
    return !is_cancelled(h);
}

bool cloud_is_transient(int status)
{
    return status == 429 || (status >= 500 && status != 501);
}

struct error *cloud_send(const struct cloud_host *h, struct http_client *http, struct arena *a,
                         const struct cloud_request *rq, struct http_result *ret)
{
    struct error *e = NULL;

    for (int i = 0; i < CLOUD_TRIES_MAX; i++) {
        int64_t pause_ms = (PAUSE_BASE_MS + (int64_t)rng_below(h->rng, PAUSE_BASE_MS)) << i;

        *ret = (struct http_result){0};
        e = http_client_do(http, a, rq->method, rq->url, (str){0}, rq->headers, rq->n_headers, rq->body, ret);
        if (!e && !cloud_is_transient(ret->status))
            return NULL;
        if (i + 1 < CLOUD_TRIES_MAX && !cloud_pause(h, pause_ms * NS_PER_MS))
            break;
    }
    return e;
}

/* {"error": {"code" or "status", "message"}} or {"error", "error_description"}. */
static struct error *refusal(struct arena *a, int status, const struct json *v)
{
    const struct json *e = json_get(v, STR("error"));
    bool nested = e && e->type == JSON_OBJECT;
    str code = nested ? json_get_str(e, STR("status")) : json_get_str(v, STR("error")),
        text = nested ? json_get_str(e, STR("message")) : json_get_str(v, STR("error_description"));

    if (nested && code.n == 0)
        code = json_get_str(e, STR("code"));
    return error_new(a, status == 401 ? ERR_DENIED : ERR_INTERNAL, "%.*s%s%.*s (status %d)", PSTR(code),
                     code.n && text.n ? ": " : "", PSTR(text), status);
}

struct error *cloud_json(const struct cloud_host *h, struct http_client *http, struct arena *a,
                         const struct cloud_request *rq, struct json **ret)
{
    struct http_result r;
    struct json *v = NULL;

    TRY(cloud_send(h, http, a, rq, &r));
    struct error *e = json_parse(a, str_from_bytes(r.body), true, &v);

    if (r.status / 100 != 2)
        return refusal(a, r.status, v);
    if (e)
        return error_new(a, ERR_INTERNAL, "the answer is not JSON");
    *ret = v;
    return NULL;
}

struct error *cloud_bearer_call(const struct cloud_host *h, struct http_client *http, struct arena *a,
                                str bearer, str url, const struct json *body, struct json **ret)
{
    struct http_header headers[] = {{STR("Authorization"), arena_join(a, STR("Bearer "), bearer)},
                                    {STR("Content-Type"), STR("application/json; charset=utf-8")}};

    return cloud_json(h, http, a,
                      &(struct cloud_request){.method = body ? STR("POST") : STR("GET"),
                                              .url = url,
                                              .headers = headers,
                                              .n_headers = body ? 2 : 1,
                                              .body = body ? bytes_from_str(json_text(a, body)) : (bytes){0}},
                      ret);
}

bool cloud_token_is_good(const struct cloud_token *t, const struct cloud_host *h)
{
    return t->arena && t->expires_ns - clock_wall_ns(h->clock) > TOKEN_REFRESH_S * NS_PER_S;
}

void cloud_token_drop(struct cloud_token *t)
{
    arena_free(TAKE(t->arena));
}

struct error *cloud_token_set(struct cloud_token *t, const struct cloud_host *h, struct arena *a,
                              const struct json *answer)
{
    str text = json_get_str(answer, STR("access_token"));
    int64_t left_s = json_get_int(answer, STR("expires_in"));

    if (text.n == 0 || left_s <= 0 || left_s > TOKEN_LIFE_MAX_S)
        return error_new(a, ERR_INTERNAL, "the answer has no access token");
    cloud_token_drop(t);
    t->arena = arena_new(0);
    t->text = arena_str(t->arena, text);
    t->expires_ns = clock_wall_ns(h->clock) + left_s * NS_PER_S;
    return NULL;
}

struct error *cloud_file_read(struct arena *a, str path, str *ret)
{
    char *name = arena_cstr(a, path);
    int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    size_t n = 0;
    ssize_t got = 1;

    if (fd < 0)
        return error_errno(a, name ? errno : EINVAL, "open %.*s", PSTR(path));
    char *text = arena_alloc(a, CLOUD_FILE_BYTES_MAX + 1);

    while (got > 0 && n <= CLOUD_FILE_BYTES_MAX) {
        got = read(fd, text + n, CLOUD_FILE_BYTES_MAX + 1 - n);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            n += (size_t)got;
    }
    int why = errno;

    close(fd);
    if (got < 0)
        return error_errno(a, why, "read %.*s", PSTR(path));
    if (n > CLOUD_FILE_BYTES_MAX)
        return error_new(a, ERR_INTERNAL, "%.*s is too big", PSTR(path));
    *ret = (str){text, n};
    return NULL;
}

str cloud_home(struct arena *a, const char *path)
{
    str home = config_env_exact("HOME");

    return home.n ? arena_fmt(a, "%.*s/%s", PSTR(home), path) : (str){0};
}

bool http_date_parse(str s, int64_t *ret)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char text[] = "yyyy-mm-ddThh:mm:ssZ";

    s = str_trim(s);
    if (s.n != sizeof("Sun, 06 Nov 1994 08:49:37 GMT") - 1 || !str_ends(s, STR(" GMT")))
        return false;
    size_t at = str_find(str_from_cstr(months), str_slice(s, 8, 11));

    if (at % 3 != 0 || at >= sizeof(months) - 1)
        return false;
    memcpy(text, s.p + 12, 4);
    text[5] = (char)('0' + (at / 3 + 1) / 10);
    text[6] = (char)('0' + (at / 3 + 1) % 10);
    memcpy(text + 8, s.p + 5, 2);
    memcpy(text + 11, s.p + 17, 8);
    return time_parse(str_from_cstr(text), ret);
}
