#include "certs.h"

#include "check.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

struct authority {
    char folder[64];
    EVP_PKEY *key;
    X509 *cert;
    long serial;
};

static FILE *file_open(const char *folder, const char *name, const char *ending)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s%s", folder, name, ending);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    return f;
}

static void extension_add(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(cert, e, -1), 1);
    X509_EXTENSION_free(e);
}

static X509 *cert_new(struct authority *ca, EVP_PKEY *key, const char *name, int days)
{
    enum { DAY_S = 86400 };
    X509 *cert = X509_new();
    assert_non_null(cert);
    X509_NAME *subject = X509_get_subject_name(cert);
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), ++ca->serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), days < 0 ? 2L * days * DAY_S : -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), (long)days * DAY_S);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, ca->cert ? X509_get_subject_name(ca->cert) : subject);
    X509_set_pubkey(cert, key);
    return cert;
}

struct authority *authority_new(const char *folder, const char *name)
{
    struct authority *ca = calloc(1, sizeof *ca);
    assert_non_null(ca);
    snprintf(ca->folder, sizeof ca->folder, "%s", folder);
    ca->key = EVP_EC_gen("P-256");
    ca->cert = cert_new(ca, ca->key, name, 10);
    extension_add(ca->cert, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(ca->cert, ca->key, EVP_sha256()) > 0);
    FILE *f = file_open(folder, name, ".pem");
    assert_int_equal(PEM_write_X509(f, ca->cert), 1);
    fclose(f);
    return ca;
}

void authority_free(struct authority *ca)
{
    EVP_PKEY_free(ca->key);
    X509_free(ca->cert);
    free(ca);
}

void authority_issue(struct authority *ca, const char *name, int days)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = cert_new(ca, key, name, days);
    extension_add(cert, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    assert_true(X509_sign(cert, ca->key, EVP_sha256()) > 0);
    FILE *f = file_open(ca->folder, name, ".pem");
    assert_int_equal(PEM_write_X509(f, cert), 1);
    fclose(f);
    f = file_open(ca->folder, name, ".key");
    assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(f);
    X509_free(cert);
    EVP_PKEY_free(key);
}
