#include "crypto/otp.h"

#include "base/cursor.h"
#include "base/log.h"
#include "base/secure.h"

#include <assert.h>
#include <openssl/evp.h>

enum { MAC_BYTES_MAX = 64 };

void otp_code(char *out, enum otp_hash hash, bytes key, uint64_t counter, unsigned digits)
{
    static const char *const names[] = {
        [OTP_SHA1] = "SHA1", [OTP_SHA256] = "SHA256", [OTP_SHA512] = "SHA512"};
    uint8_t text[8], mac[MAC_BYTES_MAX];
    size_t n;

    assert(digits >= 6 && digits <= OTP_DIGITS_MAX && hash < COUNT_OF(names));
    put_be64(text, counter);
    if (!EVP_Q_mac(NULL, "HMAC", NULL, names[hash], NULL, key.n ? key.p : text, key.n, text, sizeof(text),
                   mac, sizeof(mac), &n))
        die("OpenSSL: HMAC failed");
    struct cursor c = cursor_from((bytes){mac + (mac[n - 1] & 15), 4});
    uint32_t number = cursor_be32(&c) & 0x7fffffff;

    for (unsigned i = digits; i > 0; i--, number /= 10)
        out[i - 1] = (char)('0' + number % 10);
    wipe(mac, sizeof(mac));
}

bool otp_find(enum otp_hash hash, bytes key, uint64_t first, uint64_t last, str code, uint64_t *ret_counter)
{
    char own[OTP_DIGITS_MAX];
    bool found = false;

    if (code.n < 6 || code.n > OTP_DIGITS_MAX)
        return false;
    for (uint64_t at = first; at <= last; at++) {
        otp_code(own, hash, key, at, (unsigned)code.n);
        if (secret_equal((bytes){(const uint8_t *)own, code.n}, bytes_from_str(code))) {
            *ret_counter = at;
            found = true;
        }
    }
    wipe(own, sizeof(own));
    return found;
}
