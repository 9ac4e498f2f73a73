#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

static void context_freep(SSL_CTX **c)
{
    SSL_CTX_free(*c);
}

/* The words of OpenSSL's oldest error; the rest is dropped. */
static const char *library_words(void)
{
    const char *words = ERR_reason_error_string(ERR_peek_error());
    ERR_clear_error();
    return words ? words : "unknown error";
}

static int no_passphrase(char *buffer, int size, int rwflag, void *arg)
{
    (void)buffer, (void)size, (void)rwflag, (void)arg;
    return 0; /* OpenSSL's own would ask on the terminal */
}

static struct error *load_failed(struct arena *a, const char *what, str path)
{
    unsigned long code = ERR_peek_error();
    int os_errno = ERR_SYSTEM_ERROR(code) ? ERR_GET_REASON(code) : 0;
    if (os_errno) {
        ERR_clear_error();
        str words = arena_str(a, str_from_cstr(strerror(os_errno)));
        return error_new(a, ERR_BAD_REQUEST, "error loading %s: open %.*s: %.*s", what, PSTR(path),
                         PSTR(arena_lower(a, words)));
    }
    return error_new(a, ERR_BAD_REQUEST, "error loading %s: %.*s: %s", what, PSTR(path), library_words());
}

static struct error *path_of(struct arena *a, str path, const char **ret)
{
    *ret = arena_cstr(a, path);
    return *ret ? NULL : error_new(a, ERR_BAD_REQUEST, "error loading TLS cert: NUL byte in file name");
}

static struct error *certificate_load(struct arena *a, SSL_CTX *c, const struct config_listener *l)
{
    const char *cert;
    const char *key;
    TRY(path_of(a, l->tls_cert_file, &cert));
    TRY(path_of(a, l->tls_key_file, &key));
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(c, cert) != 1)
        return load_failed(a, "TLS cert", l->tls_cert_file);
    if (SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM) == 1)
        return NULL;
    if (ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_X509) /* values or types differ */
        return error_new(a, ERR_BAD_REQUEST,
                         "error loading TLS cert: private key does not match public key (%s)",
                         library_words());
    return load_failed(a, "TLS cert", l->tls_key_file);
}

static int version_number(int configured)
{
    switch (configured) {
    case 10: return TLS1_VERSION;
    case 11: return TLS1_1_VERSION;
    case 13: return TLS1_3_VERSION;
    default: return TLS1_2_VERSION;
    }
}

static void versions_set(SSL_CTX *c, const struct config_listener *l)
{
    int max = l->tls_max_version ? version_number(l->tls_max_version) : TLS1_3_VERSION;
    SSL_CTX_set_min_proto_version(c, version_number(l->tls_min_version));
    SSL_CTX_set_max_proto_version(c, max);
    if (l->tls_min_version && l->tls_min_version < 12)
        SSL_CTX_set_security_level(c, 0); /* TLS 1.0 and 1.1 sign with SHA-1, which higher levels refuse */
}

/* Go's name of a TLS 1.2 suite as OpenSSL's; empty for one of TLS 1.3, which are always on (as in Go). */
static struct error *suite_name(struct arena *a, str name, str *ret)
{
    /* Go leaves the hash out of these two. */
    str full = str_ends(name, STR("_CHACHA20_POLY1305")) ? arena_join(a, name, STR("_SHA256")) : name;
    const char *c = arena_cstr(a, full);
    str found = str_from_cstr(c ? OPENSSL_cipher_name(c) : NULL);
    if (found.n == 0 || str_eq(found, STR("(NONE)")))
        return error_new(a, ERR_BAD_REQUEST, "unsupported cipher \"%.*s\"", PSTR(name));
    *ret = str_starts(found, STR("TLS_")) ? (str){0} : found;
    return NULL;
}

static struct error *suites_set(struct arena *a, SSL_CTX *c, str configured)
{
    str list = STR("ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES");
    if (configured.n)
        list = (str){0};
    while (configured.n) {
        str name;
        str found = {0};
        (void)str_cut(configured, ',', &name, &configured);
        TRY(suite_name(a, str_trim(name), &found));
        if (found.n)
            list = list.n ? arena_fmt(a, "%.*s:%.*s", PSTR(list), PSTR(found)) : found;
    }
    if (list.n && SSL_CTX_set_cipher_list(c, arena_cstr(a, list)) != 1)
        return error_new(a, ERR_BAD_REQUEST, "tls_cipher_suites: %s", library_words());
    return NULL;
}

static int accept_any_certificate(X509_STORE_CTX *store, void *arg)
{
    (void)store, (void)arg;
    return 1; /* asked for, not judged here: the cert auth method has CAs of its own */
}

static struct error *client_certificates_set(struct arena *a, SSL_CTX *c, const struct config_listener *l)
{
    if (l->tls_disable_client_certs)
        return NULL; /* SSL_VERIFY_NONE is the default */
    if (!l->tls_require_client_cert) {
        SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_cert_verify_callback(c, accept_any_certificate, NULL);
        return NULL;
    }
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    if (l->tls_client_ca_file.n == 0) {
        SSL_CTX_set_default_verify_paths(c);
        return NULL;
    }
    const char *path;
    TRY(path_of(a, l->tls_client_ca_file, &path));
    ERR_clear_error();
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(path);
    if (!names || SSL_CTX_load_verify_locations(c, path, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return load_failed(a, "TLS client CA", l->tls_client_ca_file);
    }
    SSL_CTX_set_client_CA_list(c, names);
    return NULL;
}

static int choose_protocol(SSL *s, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
                           unsigned in_n, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    (void)s, (void)arg;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_n, ours, sizeof ours - 1, in, in_n) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

struct error *tls_context_new(struct arena *a, const struct config_listener *l, SSL_CTX **ret_context)
{
    static const unsigned char session_context[] = "coffer";
    CLEANUP(context_freep) SSL_CTX *c = SSL_CTX_new(TLS_server_method());
    if (!c)
        return error_new(a, ERR_INTERNAL, "TLS: %s", library_words());
    SSL_CTX_set_options(c, SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(c, 1); /* a record is one recv, not two */
    SSL_CTX_set_num_tickets(c, 1);
    SSL_CTX_set_session_cache_mode(
        c, SSL_SESS_CACHE_OFF); /* tickets only: no memory, and all loops share the context's key */
    SSL_CTX_set_session_id_context(c, session_context, sizeof session_context - 1);
    SSL_CTX_set_default_passwd_cb(c, no_passphrase);
    SSL_CTX_set_alpn_select_cb(c, choose_protocol, NULL);
    versions_set(c, l);
    TRY(suites_set(a, c, l->tls_cipher_suites));
    TRY(certificate_load(a, c, l));
    TRY(client_certificates_set(a, c, l));
    *ret_context = TAKE(c);
    return NULL;
}

SSL *tls_session_new(SSL_CTX *context, int fd)
{
    SSL *s = SSL_new(context);
    if (s && SSL_set_fd(s, fd) != 1) {
        SSL_free(s);
        s = NULL;
    }
    if (s)
        SSL_set_accept_state(s);
    ERR_clear_error();
    return s;
}

/* The calls below leave the thread's error queue empty, as SSL_get_error() needs it. */
static enum io outcome(SSL *s, int result)
{
    if (result > 0)
        return IO_DONE;
    enum io io;
    switch (SSL_get_error(s, result)) {
    case SSL_ERROR_WANT_READ: io = IO_WANT_READ; break;
    case SSL_ERROR_WANT_WRITE: io = IO_WANT_WRITE; break;
    case SSL_ERROR_ZERO_RETURN: io = IO_END; break;
    case SSL_ERROR_SSL:
        io = ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST ? IO_PLAIN_HTTP : IO_FAILED;
        break;
    default: io = IO_FAILED; break;
    }
    ERR_clear_error();
    return io;
}

enum io tls_handshake(SSL *s, const char **ret_words)
{
    int result = SSL_do_handshake(s);
    *ret_words = result <= 0 ? ERR_reason_error_string(ERR_peek_error()) : NULL;
    return outcome(s, result);
}

enum io tls_read(SSL *s, void *p, size_t n, size_t *ret_n)
{
    return outcome(s, SSL_read_ex(s, p, n, ret_n));
}

enum io tls_write(SSL *s, const void *p, size_t n, size_t *ret_n)
{
    return outcome(s, SSL_write_ex(s, p, n, ret_n));
}

bool tls_has_pending(const SSL *s)
{
    return SSL_has_pending(s) == 1;
}

void tls_goodbye(SSL *s)
{
    if (SSL_is_init_finished(s))
        (void)SSL_shutdown(
            s); /* a full socket loses the alert; the peer then sees the end of the connection */
    ERR_clear_error();
}

uint8_t *tls_peer_certificate(const SSL *s, size_t *ret_n)
{
    uint8_t *der = NULL;
    const X509 *cert = SSL_get0_peer_certificate(s);
    int n = cert ? i2d_X509(cert, &der) : 0;
    *ret_n = n > 0 ? (size_t)n : 0;
    return n > 0 ? der : NULL;
}

void tls_session_free(SSL *s)
{
    SSL_free(s);
}

void tls_context_free(SSL_CTX *c)
{
    SSL_CTX_free(c);
}
