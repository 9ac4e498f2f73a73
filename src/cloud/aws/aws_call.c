#include "base/log.h"
#include "cloud/aws/aws_private.h"

enum { PAUSE_MS = 30, THROTTLE_PAUSE_MS = 500, SKEW_MIN_S = 60 };

bool aws_learn_time(struct aws *aws, const struct http_result *r, str code)
{
    static const char *const codes[] = {"InvalidSignatureException", "SignatureDoesNotMatch",
                                        "RequestTimeTooSkewed",      "RequestExpired",
                                        "RequestInTheFuture",        "AuthFailure"};
    int64_t theirs_ns;
    bool about_time = false;

    for (size_t i = 0; i < COUNT_OF(codes); i++)
        about_time = about_time || str_eq(code, str_from_cstr(codes[i]));
    if (!about_time || !http_date_parse(http_result_header(r, STR("Date")), &theirs_ns))
        return false;
    int64_t off_ns = theirs_ns - aws_now_ns(aws);

    if (off_ns < SKEW_MIN_S * NS_PER_S && off_ns > -SKEW_MIN_S * NS_PER_S)
        return false;
    aws->skew_ns += off_ns;
    log_warn("aws", "this machine's clock is wrong: the service's is taken",
             F_INT("seconds", aws->skew_ns / NS_PER_S));
    return true;
}

static bool is_throttling(str code)
{
    static const char *const codes[] = {"ProvisionedThroughputExceededException",
                                        "ThrottledException",
                                        "Throttling",
                                        "ThrottlingException",
                                        "RequestLimitExceeded",
                                        "RequestThrottled",
                                        "RequestThrottledException",
                                        "TooManyRequestsException",
                                        "PriorRequestNotComplete",
                                        "TransactionInProgressException",
                                        "EC2ThrottledException"};

    for (size_t i = 0; i < COUNT_OF(codes); i++)
        if (str_eq(code, str_from_cstr(codes[i])))
            return true;
    return false;
}

/* "com.amazonaws.x#NotFoundException" without what is before its '#', and the message. */
static str code_of(const struct json *body, str *ret_message)
{
    str type = json_get_str(body, STR("__type")), code, rest;

    *ret_message = json_get_str(body, STR("message"));
    if (ret_message->n == 0)
        *ret_message = json_get_str(body, STR("Message"));
    return str_cut(type, '#', &code, &rest) ? rest : type;
}

/* As it goes into the Host header: the scheme's own port is left out. */
static str host_of(str endpoint)
{
    str host = str_from(endpoint, str_find(endpoint, STR("://")) + 3);
    str own = str_starts(endpoint, STR("https:")) ? STR(":443") : STR(":80");

    return str_ends(host, own) ? str_slice(host, 0, host.n - own.n) : host;
}

static struct error *send_once(struct aws *aws, struct arena *a, const struct aws_call *call, bytes body,
                               struct http_result *ret)
{
    struct aws_credentials c;
    struct http_header h[5] = {{STR("Content-Type"), call->content_type},
                               {STR("X-Amz-Target"), call->target}};
    size_t n_signature;

    TRY(aws_credentials_get(aws, a, &c));
    aws_sign(a, &c,
             &(struct aws_signing){.method = STR("POST"),
                                   .host = host_of(call->endpoint),
                                   .path = STR("/"),
                                   .headers = h,
                                   .n_headers = 2,
                                   .body = body,
                                   .region = aws_region(aws),
                                   .service = call->service,
                                   .now_ns = aws_now_ns(aws)},
             h + 2, &n_signature);
    return http_client_do(aws->http, a, STR("POST"), arena_join(a, call->endpoint, STR("/")), (str){0}, h,
                          2 + n_signature, body, ret);
}

/* One try. ret_again: another one may help. */
static struct error *try_once(struct aws *aws, struct arena *a, const struct aws_call *call, bytes body,
                              struct json **ret, bool *ret_again, int64_t *ret_pause_ms)
{
    struct http_result r = {0};
    struct json *v = NULL;
    struct error *e = send_once(aws, a, call, body, &r);
    str message;

    *ret_again = e != NULL && aws->credentials.access_key.n > 0; /* without credentials: no use */
    *ret_pause_ms = PAUSE_MS;
    TRY(e);
    e = json_parse(a, str_from_bytes(r.body), true, &v);
    if (r.status / 100 == 2) {
        if (e)
            return error_new(a, ERR_INTERNAL, "SerializationError: the answer is not JSON");
        *ret = v;
        return NULL;
    }
    str code = code_of(v, &message);

    *ret_again = cloud_is_transient(r.status) || is_throttling(code) || aws_learn_time(aws, &r, code);
    if (is_throttling(code))
        *ret_pause_ms = THROTTLE_PAUSE_MS;
    if (str_eq(code, STR("ExpiredTokenException")) || str_eq(code, STR("ExpiredToken"))) {
        aws->credentials = (struct aws_credentials){0}; /* fetched anew */
        *ret_again = true;
    }
    return code.n ? error_new(a, ERR_INTERNAL, "%.*s: %.*s", PSTR(code), PSTR(message))
                  : error_new(a, ERR_INTERNAL, "UnknownError: the service answered with status %d", r.status);
}

struct error *aws_call(struct aws *aws, struct arena *a, const struct aws_call *call, struct json **ret)
{
    bytes body = bytes_from_str(json_text(a, call->body));
    struct error *e = NULL;

    for (int i = 0; i < CLOUD_TRIES_MAX; i++) {
        bool again;
        int64_t pause_ms;

        e = try_once(aws, a, call, body, ret, &again, &pause_ms);
        if (!e || !again)
            return e;
        pause_ms = (int64_t)rng_below(aws->host.rng, (uint64_t)pause_ms) << i;
        if (i + 1 < CLOUD_TRIES_MAX && !cloud_pause(&aws->host, pause_ms * NS_PER_MS))
            return e;
    }
    return e;
}
