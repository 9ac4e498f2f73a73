#include "crypto/certificate.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

enum { SERIAL_BYTES = 16, BACK_S = 30, DAY_S = 86400 };

struct made {
    EVP_PKEY *ca_key, *key;
    X509 *ca, *certificate;
};

static void made_done(struct made *m)
{
    EVP_PKEY_free(m->ca_key);
    EVP_PKEY_free(m->key);
    X509_free(m->ca);
    X509_free(m->certificate);
}

static bool add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool ok = e && X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
    return ok;
}

static bool set_serial(X509 *x)
{
    uint8_t number[SERIAL_BYTES];
    if (RAND_bytes(number, sizeof number) != 1)
        return false;
    number[0] = (number[0] & 0x7f) | 0x40; /* positive, and of full length */
    BIGNUM *n = BN_bin2bn(number, sizeof number, NULL);
    bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
    BN_free(n);
    return ok;
}

/* A certificate but for its extensions and signature. */
static X509 *certificate_new(EVP_PKEY *key, const char *common_name, const X509 *issuer, int days)
{
    X509 *x = X509_new();
    if (!x)
        return NULL;
    X509_NAME *name = X509_get_subject_name(x);
    bool ok = X509_set_version(x, X509_VERSION_3) && set_serial(x) &&
              X509_gmtime_adj(X509_getm_notBefore(x), -BACK_S) &&
              X509_gmtime_adj(X509_getm_notAfter(x), (long)days * DAY_S) && X509_set_pubkey(x, key) &&
              X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1,
                                         -1, 0) &&
              X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : name);
    if (ok)
        return x;
    X509_free(x);
    return NULL;
}

static bool make(struct made *m, const char *common_name, const char *names, int days)
{
    m->ca_key = EVP_EC_gen("P-256");
    m->key = EVP_EC_gen("P-256");
    if (!m->ca_key || !m->key)
        return false;
    m->ca = certificate_new(m->ca_key, "coffer development CA", NULL, days);
    m->certificate = m->ca ? certificate_new(m->key, common_name, m->ca, days) : NULL;
    return m->certificate && add_extension(m->ca, m->ca, NID_basic_constraints, "critical,CA:TRUE") &&
           add_extension(m->ca, m->ca, NID_key_usage, "critical,keyCertSign,cRLSign") &&
           add_extension(m->ca, m->ca, NID_subject_key_identifier, "hash") &&
           X509_sign(m->ca, m->ca_key, EVP_sha256()) &&
           add_extension(m->certificate, m->ca, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(m->certificate, m->ca, NID_key_usage, "critical,digitalSignature") &&
           add_extension(m->certificate, m->ca, NID_ext_key_usage, "serverAuth,clientAuth") &&
           add_extension(m->certificate, m->ca, NID_authority_key_identifier, "keyid") &&
           add_extension(m->certificate, m->ca, NID_subject_alt_name, names) &&
           X509_sign(m->certificate, m->ca_key, EVP_sha256());
}

/* Copies what was written and wipes the library's buffer. */
static bool take(struct arena *a, BIO *b, bool ok, str *ret)
{
    char *p;
    long n = BIO_get_mem_data(b, &p);
    if (ok && n > 0) {
        *ret = arena_str(a, (str){p, (size_t)n});
        explicit_bzero(p, (size_t)n);
    }
    BIO_free(b);
    return ok && n > 0;
}

static bool write_all(struct arena *a, const struct made *m, struct certificate_pair *ret)
{
    BIO *ca = BIO_new(BIO_s_mem()), *certificate = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());
    bool ok = take(a, ca, ca && PEM_write_bio_X509(ca, m->ca), &ret->ca_pem);
    ok = take(a, certificate, certificate && PEM_write_bio_X509(certificate, m->certificate),
              &ret->certificate_pem) &&
         ok;
    return take(a, key, key && PEM_write_bio_PKCS8PrivateKey(key, m->key, NULL, NULL, 0, NULL, NULL),
                &ret->key_pem) &&
           ok;
}

struct error *certificate_make(struct arena *a, const char *common_name, const char *names, int days,
                               struct certificate_pair *ret)
{
    struct made m = {0};
    struct certificate_pair out;
    bool ok = make(&m, common_name, names, days) && write_all(a, &m, &out);
    made_done(&m);
    if (!ok)
        return error_new(a, ERR_INTERNAL, "a certificate for %s could not be made", names);
    *ret = out;
    return NULL;
}
