#include "tls_sha1.h"

#include <openssl/err.h>
#include <openssl/evp.h>

bool tls_sha1(struct slice in, uint8_t ret[TLS_SHA1_LEN])
{
    unsigned n = TLS_SHA1_LEN;

    ERR_clear_error();
    return EVP_Digest(in.p, in.n, ret, &n, EVP_sha1(), NULL) == 1;
}
