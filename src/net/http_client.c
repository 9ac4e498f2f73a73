/* Requests over libcurl, which is loaded at the first one. Error texts are those of Go's net/http, which
 * scripts know. */
#include "net/http_client.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/library.h"
#include "base/log.h"
#include "base/secure.h"
#include "config/config.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { RESULT_BYTES_MAX = 256 * 1024 * 1024, RESULT_HEADERS_MAX = 128, TIMEOUT_DEFAULT_S = 60 };

static struct {
    CURLcode (*global_init)(long flags);
    CURL *(*easy_init)(void);
    void (*easy_reset)(CURL *c);
    void (*easy_cleanup)(CURL *c);
    CURLcode (*easy_setopt)(CURL *c, CURLoption option, ...);
    CURLcode (*easy_perform)(CURL *c);
    CURLcode (*easy_getinfo)(CURL *c, CURLINFO info, ...);
    const char *(*easy_strerror)(CURLcode code);
    struct curl_slist *(*slist_append)(struct curl_slist *list, const char *s);
    void (*slist_free_all)(struct curl_slist *list);
} curl;

static const struct library_symbol curl_symbols[] = {
    {"curl_global_init", &curl.global_init},   {"curl_easy_init", &curl.easy_init},
    {"curl_easy_reset", &curl.easy_reset},     {"curl_easy_cleanup", &curl.easy_cleanup},
    {"curl_easy_setopt", &curl.easy_setopt},   {"curl_easy_perform", &curl.easy_perform},
    {"curl_easy_getinfo", &curl.easy_getinfo}, {"curl_easy_strerror", &curl.easy_strerror},
    {"curl_slist_append", &curl.slist_append}, {"curl_slist_free_all", &curl.slist_free_all},
};
static struct library curl_library = {
    .soname = "libcurl.so.4", .package = "libcurl4", .symbols = curl_symbols, .n = COUNT_OF(curl_symbols)};
static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

struct http_client {
    struct arena *arena; /* the configuration's strings */
    struct http_client_config config;
    CURL *handle; /* NULL before the first request; keeps the connection */
    char words[CURL_ERROR_SIZE];
};

/* One request under way. */
struct call {
    struct http_client *client;
    struct arena *arena;
    str method, url, unix_socket;
    str host, port; /* of the URL; host without brackets */
    struct curl_slist *fields, *connect_to;
    struct http_header *headers;
    size_t n_headers;
    struct buf body;
    http_piece_fn *piece; /* NULL: all of the body is kept */
    void *piece_arg;
};

static void curl_begin(void)
{
    if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        die("libcurl does not start");
}

struct http_client *http_client_new(const struct http_client_config *config)
{
    struct arena *a = arena_new(0);
    struct http_client *c = ARENA_NEW(a, struct http_client);
    const str *from[] = {
        &config->ca_file,         &config->ca_path,         &config->ca_pem, &config->client_cert_file,
        &config->client_key_file, &config->tls_server_name, &config->proxy};
    str *to[] = {&c->config.ca_file,
                 &c->config.ca_path,
                 &c->config.ca_pem,
                 &c->config.client_cert_file,
                 &c->config.client_key_file,
                 &c->config.tls_server_name,
                 &c->config.proxy};
    for (size_t i = 0; i < COUNT_OF(from); i++)
        *to[i] = arena_str(a, *from[i]);
    c->config.tls_skip_verify = config->tls_skip_verify;
    c->config.no_proxy = config->no_proxy;
    c->config.cancelled = config->cancelled;
    c->config.timeout_ns = config->timeout_ns ? config->timeout_ns : TIMEOUT_DEFAULT_S * NS_PER_S;
    c->arena = a;
    return c;
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    if (c->handle)
        curl.easy_cleanup(c->handle);
    arena_free(c->arena);
}

static struct error *client_open(struct arena *a, struct http_client *c)
{
    if (c->handle) {
        curl.easy_reset(c->handle);
        return NULL;
    }
    TRY(library_load(a, &curl_library));
    pthread_once(&curl_once, curl_begin);
    c->handle = curl.easy_init();
    return c->handle ? NULL : error_new(a, ERR_INTERNAL, "libcurl: no handle");
}

/* "https://host:port/rest" in parts; the port is the scheme's if there is none. */
static bool url_split(str url, str *ret_scheme, str *ret_host, str *ret_port, str *ret_rest)
{
    size_t at = str_find(url, STR("://"));
    *ret_scheme = str_slice(url, 0, at);
    bool tls = str_eq_nocase(*ret_scheme, STR("https"));
    if (!tls && !str_eq_nocase(*ret_scheme, STR("http")))
        return false;
    str rest = str_from(url, at + 3);
    size_t end = MIN(MIN(str_index(rest, '/'), str_index(rest, '?')), str_index(rest, '#'));
    str authority = str_slice(rest, 0, end);
    authority =
        str_from(authority, str_rindex(authority, '@') < authority.n ? str_rindex(authority, '@') + 1 : 0);
    *ret_rest = str_from(rest, end);
    size_t bracket = str_index(authority, ']');
    size_t colon = str_rindex(authority, ':');
    bool has_port = colon < authority.n && (bracket == authority.n || colon > bracket);
    *ret_host = has_port ? str_slice(authority, 0, colon) : authority;
    *ret_port = has_port ? str_from(authority, colon + 1) : tls ? STR("443") : STR("80");
    if (str_starts(*ret_host, STR("[")) && str_ends(*ret_host, STR("]")))
        *ret_host = str_slice(*ret_host, 1, ret_host->n - 1);
    return ret_host->n > 0;
}

static str go_method(const struct call *k)
{
    str lower = arena_lower(k->arena, k->method);
    return arena_join(k->arena, str_slice(k->method, 0, 1), str_from(lower, 1));
}

static struct error *call_failed(const struct call *k, str why)
{
    return error_new(k->arena, ERR_INTERNAL, "%.*s \"%.*s\": %.*s", PSTR(go_method(k)), PSTR(k->url),
                     PSTR(why));
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct call *k = arg;
    long status = 0;
    if (k->piece)
        curl.easy_getinfo(k->client->handle, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200)
        return k->piece(k->piece_arg, (str){p, size * n}) ? size * n : 0;
    buf_put(&k->body, p, size * n);
    return k->body.full ? 0 : size * n;
}

static size_t on_field(char *p, size_t size, size_t n, void *arg)
{
    struct call *k = arg;
    str line = str_trim((str){p, size * n});
    str name;
    str value;
    if (str_starts(line, STR("HTTP/"))) /* a new head: the one before was 100 Continue */
        k->n_headers = 0;
    else if (str_cut(line, ':', &name, &value) && k->n_headers < RESULT_HEADERS_MAX)
        k->headers[k->n_headers++] =
            (struct http_header){arena_str(k->arena, name), arena_str(k->arena, str_trim(value))};
    return size * n;
}

/* Other than 0 ends the request. */
static int on_progress(void *arg, curl_off_t down_n, curl_off_t down, curl_off_t up_n, curl_off_t up)
{
    const struct call *k = arg;
    (void)down_n;
    (void)down;
    (void)up_n;
    (void)up;
    return atomic_load(k->client->config.cancelled);
}

static bool is_one_line(str s)
{
    return str_index(s, '\r') == s.n && str_index(s, '\n') == s.n && str_index(s, '\0') == s.n;
}

static void list_put(struct curl_slist **list, const char *s)
{
    struct curl_slist *longer = curl.slist_append(*list, s);
    if (!longer)
        die("out of memory");
    *list = longer;
}

static struct error *fields_put(struct call *k, const struct http_header *headers, size_t n)
{
    /* What curl would add by itself, Go does not send. */
    static const char *const unwanted[] = {"Accept:", "Content-Type:", "Expect:"};
    for (size_t i = 0; i < COUNT_OF(unwanted); i++)
        list_put(&k->fields, unwanted[i]);
    for (size_t i = 0; i < n; i++) {
        const struct http_header *h = &headers[i];
        if (!is_one_line(h->name) || !is_one_line(h->value))
            return call_failed(k, STR("net/http: invalid header field"));
        /* "Name:" would take a field away; "Name;" sends an empty one. */
        str line = h->value.n ? arena_fmt(k->arena, "%.*s: %.*s", PSTR(h->name), PSTR(h->value))
                              : arena_join(k->arena, h->name, STR(";"));
        list_put(&k->fields, line.p);
    }
    return NULL;
}

static void list_free(struct curl_slist *list)
{
    for (struct curl_slist *i = list; i; i = i->next)
        wipe(i->data, strlen(i->data)); /* tokens */
    if (list)
        curl.slist_free_all(list);
}

static void text_set(const struct call *k, CURLoption option, str s)
{
    if (s.n)
        curl.easy_setopt(k->client->handle, option, arena_cstr(k->arena, s));
}

/* Only the given CAs count, not the system's beside them. */
static void authorities_set(const struct call *k)
{
    const struct http_client_config *f = &k->client->config;
    CURL *c = k->client->handle;
    str file = f->ca_file, path = f->ca_path;
    if (file.n == 0 && path.n == 0 &&
        f->ca_pem.n == 0) { /* as Go: the environment's instead of the system's */
        file = config_env_exact("SSL_CERT_FILE");
        path = config_env_exact("SSL_CERT_DIR");
    }
    if (file.n == 0 && path.n == 0 && f->ca_pem.n == 0)
        return;
    curl.easy_setopt(c, CURLOPT_CAINFO, NULL);
    curl.easy_setopt(c, CURLOPT_CAPATH, NULL);
    text_set(k, CURLOPT_CAINFO, file);
    text_set(k, CURLOPT_CAPATH, path);
    if (f->ca_pem.n) {
        struct curl_blob pem = {.data = arena_copy(k->arena, f->ca_pem.p, f->ca_pem.n),
                                .len = f->ca_pem.n,
                                .flags = CURL_BLOB_COPY};
        curl.easy_setopt(c, CURLOPT_CAINFO_BLOB, &pem);
    }
}

/* The certificate is checked against another name than the one that is dialled: the URL gets the name, the
 * connection goes to where the URL pointed. */
static void server_name_set(struct call *k, str scheme, str rest)
{
    str name = k->client->config.tls_server_name;
    bool v6 = str_index(k->host, ':') < k->host.n;
    str host = v6 ? arena_fmt(k->arena, "[%.*s]", PSTR(k->host)) : k->host;
    text_set(
        k, CURLOPT_URL,
        arena_fmt(k->arena, "%.*s://%.*s:%.*s%.*s", PSTR(scheme), PSTR(name), PSTR(k->port), PSTR(rest)));
    list_put(&k->connect_to, arena_fmt(k->arena, "::%.*s:%.*s", PSTR(host), PSTR(k->port)).p);
    curl.easy_setopt(k->client->handle, CURLOPT_CONNECT_TO, k->connect_to);
    list_put(&k->fields, arena_fmt(k->arena, "Host: %.*s:%.*s", PSTR(host), PSTR(k->port)).p);
}

static void method_set(const struct call *k, bytes body)
{
    CURL *c = k->client->handle;
    bool sends = body.n || str_eq(k->method, STR("POST")) || str_eq(k->method, STR("PUT")) ||
                 str_eq(k->method, STR("PATCH"));
    if (sends) {
        curl.easy_setopt(c, CURLOPT_POSTFIELDS, body.n ? (const char *)body.p : "");
        curl.easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
    } else if (str_eq(k->method, STR("HEAD"))) {
        curl.easy_setopt(c, CURLOPT_NOBODY, 1L);
    }
    text_set(k, CURLOPT_CUSTOMREQUEST, k->method);
}

static bool is_loopback(str host)
{
    return str_eq(host, STR("localhost")) || str_starts(host, STR("127.")) || str_eq(host, STR("::1"));
}

static struct error *call_prepare(struct call *k, const struct http_header *headers, size_t n, bytes body)
{
    const struct http_client_config *f = &k->client->config;
    CURL *c = k->client->handle;
    str scheme;
    str rest;
    if (!is_one_line(k->url) || !is_one_line(k->method) ||
        !url_split(k->url, &scheme, &k->host, &k->port, &rest))
        return call_failed(k, arena_fmt(k->arena, "unsupported protocol scheme \"%.*s\"",
                                        PSTR(str_slice(k->url, 0, str_find(k->url, STR("://"))))));
    TRY(fields_put(k, headers, n));
    text_set(k, CURLOPT_URL, k->url);
    if (f->tls_server_name.n && str_eq_nocase(scheme, STR("https")))
        server_name_set(k, scheme, rest);
    curl.easy_setopt(c, CURLOPT_HTTPHEADER, k->fields);
    method_set(k, body);
    curl.easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    curl.easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl.easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (!k->piece)
        curl.easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)MAX(f->timeout_ns / NS_PER_MS, 1));
    curl.easy_setopt(c, CURLOPT_ERRORBUFFER, k->client->words);
    curl.easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl.easy_setopt(c, CURLOPT_WRITEDATA, k);
    curl.easy_setopt(c, CURLOPT_HEADERFUNCTION, on_field);
    curl.easy_setopt(c, CURLOPT_HEADERDATA, k);
    text_set(k, CURLOPT_UNIX_SOCKET_PATH, k->unix_socket);
    text_set(k, CURLOPT_SSLCERT, f->client_cert_file);
    text_set(k, CURLOPT_SSLKEY, f->client_key_file);
    text_set(k, CURLOPT_PROXY, f->proxy);
    if (f->cancelled) {
        curl.easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
        curl.easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl.easy_setopt(c, CURLOPT_XFERINFODATA, k);
    }
    if (f->proxy.n == 0 && (f->no_proxy || is_loopback(k->host)))
        curl.easy_setopt(c, CURLOPT_PROXY, ""); /* as Go: the environment's proxy is not for this machine */
    authorities_set(k);
    if (f->tls_skip_verify) {
        curl.easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
        curl.easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    return NULL;
}

/* "dial tcp 127.0.0.1:1: connect: connection refused" */
static str dial_text(const struct call *k)
{
    CURL *c = k->client->handle;
    const char *ip = NULL;
    long os_errno = 0;
    curl.easy_getinfo(c, CURLINFO_PRIMARY_IP, &ip);
    curl.easy_getinfo(c, CURLINFO_OS_ERRNO, &os_errno);
    str words = arena_lower(k->arena, str_from_cstr(strerror(os_errno ? (int)os_errno : ECONNREFUSED)));
    if (k->unix_socket.n)
        return arena_fmt(k->arena, "dial unix %.*s: connect: %.*s", PSTR(k->unix_socket), PSTR(words));
    str host = ip && *ip ? str_from_cstr(ip) : k->host;
    bool v6 = str_index(host, ':') < host.n;
    return arena_fmt(k->arena, "dial tcp %s%.*s%s:%.*s: connect: %.*s", v6 ? "[" : "", PSTR(host),
                     v6 ? "]" : "", PSTR(k->port), PSTR(words));
}

static str certificate_text(const struct call *k)
{
    enum {
        OK = 0,
        NOT_JUDGED = 1,
        NOT_YET_VALID = 9,
        EXPIRED = 10
    }; /* OpenSSL's X509_V_*; 1 is what curl begins with */
    long verified = OK;
    curl.easy_getinfo(k->client->handle, CURLINFO_SSL_VERIFYRESULT, &verified);
    if (verified == OK || verified == NOT_JUDGED) /* the chain was good, then the name was not */
        return arena_fmt(
            k->arena, "tls: failed to verify certificate: x509: certificate is not valid for %.*s",
            PSTR(k->client->config.tls_server_name.n ? k->client->config.tls_server_name : k->host));
    if (verified == EXPIRED || verified == NOT_YET_VALID)
        return STR("tls: failed to verify certificate: x509: certificate has expired or is not yet valid");
    return STR("tls: failed to verify certificate: x509: certificate signed by unknown authority");
}

static str failure_text(const struct call *k, CURLcode code)
{
    str words = str_from_cstr(k->client->words[0] ? k->client->words : curl.easy_strerror(code));
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return arena_fmt(k->arena, "dial tcp: lookup %.*s: no such host", PSTR(k->host));
    case CURLE_COULDNT_CONNECT: return dial_text(k);
    case CURLE_OPERATION_TIMEDOUT: return STR("context deadline exceeded");
    case CURLE_GOT_NOTHING: return STR("EOF");
    case CURLE_PARTIAL_FILE: return STR("unexpected EOF");
    case CURLE_PEER_FAILED_VERIFICATION: return certificate_text(k);
    case CURLE_SSL_CONNECT_ERROR:
        if (str_find(words, STR("wrong version number")) < words.n)
            return STR("http: server gave HTTP response to HTTPS client");
        break;
    case CURLE_RECV_ERROR:
        if (str_find(words, STR("certificate required")) < words.n)
            return STR("remote error: tls: certificate required");
        if (str_find(words, STR("reset by peer")) < words.n)
            return STR("read: connection reset by peer");
        break;
    case CURLE_WRITE_ERROR:
        if (k->body.full)
            return STR("response too large");
        break;
    default: break;
    }
    return arena_str(k->arena, words);
}

static struct error *call_perform(struct call *k, struct http_result *ret)
{
    CURL *c = k->client->handle;
    k->client->words[0] = '\0';
    CURLcode code = curl.easy_perform(c);
    if (code != CURLE_OK)
        return call_failed(k, failure_text(k, code));
    long status = 0;
    curl.easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    *ret = (struct http_result){
        .status = (int)status, .headers = k->headers, .n_headers = k->n_headers, .body = buf_bytes(&k->body)};
    return NULL;
}

static struct error *call_do(struct call *k, const struct http_header *headers, size_t n_headers, bytes body,
                             struct http_result *ret)
{
    k->headers = ARENA_ARRAY(k->arena, struct http_header, RESULT_HEADERS_MAX);
    buf_init(&k->body, k->arena, RESULT_BYTES_MAX);
    struct error *e = call_prepare(k, headers, n_headers, body);
    if (!e)
        e = call_perform(k, ret);
    list_free(k->fields);
    list_free(k->connect_to);
    return e;
}

struct error *http_client_do(struct http_client *c, struct arena *a, str method, str url, str unix_socket,
                             const struct http_header *headers, size_t n_headers, bytes body,
                             struct http_result *ret)
{
    TRY(client_open(a, c));
    struct call k = {.client = c, .arena = a, .method = method, .url = url, .unix_socket = unix_socket};
    return call_do(&k, headers, n_headers, body, ret);
}

struct error *http_client_stream(struct http_client *c, struct arena *a, str url, str unix_socket,
                                 const struct http_header *headers, size_t n_headers, http_piece_fn *piece,
                                 void *piece_arg, struct http_result *ret)
{
    TRY(client_open(a, c));
    struct call k = {.client = c,
                     .arena = a,
                     .method = STR("GET"),
                     .url = url,
                     .unix_socket = unix_socket,
                     .piece = piece,
                     .piece_arg = piece_arg};
    return call_do(&k, headers, n_headers, (bytes){0}, ret);
}

str http_result_header(const struct http_result *r, str name)
{
    for (size_t i = 0; i < r->n_headers; i++)
        if (str_eq_nocase(r->headers[i].name, name))
            return r->headers[i].value;
    return (str){0};
}
