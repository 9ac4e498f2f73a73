/* A server certificate that OpenSSL itself accepts under its CA, for its names alone. */
#include "crypto/certificate.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
/* clang-format off: it needs the ones above */
#include <cmocka.h>
/* clang-format on */

static X509 *read_certificate(str pem)
{
    BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *x = PEM_read_bio_X509(b, NULL, NULL, NULL);
    BIO_free(b);
    assert_non_null(x);
    return x;
}

static void test_chain(void **state)
{
    struct arena *a = arena_new(0);
    struct certificate_pair pair;
    (void)state;
    assert_null(certificate_make(a, "localhost", "DNS:localhost,IP:127.0.0.1", 2, &pair));
    X509 *ca = read_certificate(pair.ca_pem), *x = read_certificate(pair.certificate_pem);
    BIO *b = BIO_new_mem_buf(pair.key_pem.p, (int)pair.key_pem.n);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);
    assert_int_equal(X509_check_private_key(x, key), 1);
    assert_int_not_equal(X509_check_private_key(ca, key), 1);
    assert_int_equal(X509_check_host(x, "localhost", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(x, "example.com", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc(x, "127.0.0.1", 0), 1);

    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    assert_int_equal(X509_STORE_add_cert(store, ca), 1);
    assert_int_equal(X509_STORE_CTX_init(context, store, x, NULL), 1);
    X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
    X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(context), X509_V_FLAG_X509_STRICT);
    if (X509_verify_cert(context) != 1)
        fail_msg("%s", X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    EVP_PKEY_free(key);
    BIO_free(b);
    X509_free(ca);
    X509_free(x);
    arena_free(a);
}

static void test_names_that_are_none(void **state)
{
    struct arena *a = arena_new(0);
    struct certificate_pair pair;
    (void)state;
    assert_non_null(certificate_make(a, "x", "IP:nonsense", 2, &pair));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_chain),
                                       cmocka_unit_test(test_names_that_are_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
