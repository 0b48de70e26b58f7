#include "tls_selfsigned.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { DAYS = 30 };

static int add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    int ok = ext && X509_add_ext(cert, ext, -1) == 1;

    X509_EXTENSION_free(ext);
    return ok;
}

static int set_times_and_serial(X509 *cert)
{
    uint64_t serial = 0;

    /* Browsers refuse a second certificate of the same issuer and serial number. */
    if (getrandom(&serial, sizeof serial, 0) != (ssize_t)sizeof serial)
        return 0;
    return ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1) &&
           X509_gmtime_adj(X509_getm_notBefore(cert), -3600) &&
           X509_gmtime_adj(X509_getm_notAfter(cert), (long)DAYS * 86400);
}

static int set_name(X509 *cert)
{
    X509_NAME *name = X509_get_subject_name(cert);

    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                      (const unsigned char *)"localhost", -1, -1, 0) &&
           X509_set_issuer_name(cert, name);
}

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *cert = X509_new();

    if (cert && X509_set_version(cert, X509_VERSION_3) && set_times_and_serial(cert) &&
        set_name(cert) && X509_set_pubkey(cert, key) &&
        add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") &&
        add_extension(cert, NID_ext_key_usage, "serverAuth") &&
        add_extension(cert, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1") &&
        X509_sign(cert, key, EVP_sha256()) > 0)
        return cert;
    X509_free(cert);
    return NULL;
}

static FILE *create(const char *path, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

    if (!f && fd >= 0)
        close(fd);
    return f;
}

static int write_key(const char *path, EVP_PKEY *key)
{
    FILE *f = create(path, 0600);
    int ok = f && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1;

    return f && fclose(f) == 0 && ok;
}

static int write_certificate(const char *path, X509 *cert)
{
    FILE *f = create(path, 0644);
    int ok = f && PEM_write_X509(f, cert) == 1;

    return f && fclose(f) == 0 && ok;
}

int tls_selfsigned(const char *certificate_path, const char *key_path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = key ? make_certificate(key) : NULL;
    int ok = cert && write_key(key_path, key) && write_certificate(certificate_path, cert);

    X509_free(cert);
    EVP_PKEY_free(key);
    return ok ? 0 : -1;
}
