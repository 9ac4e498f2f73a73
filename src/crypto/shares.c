#include "crypto/shares.h"

#include "base/log.h"

#include <assert.h>

/* Shift and add with masks instead of branches. */
uint8_t gf256_mul(uint8_t x, uint8_t y)
{
    unsigned product = 0, a = x, b = y;
    for (int i = 0; i < 8; i++) {
        product ^= a & (0U - (b & 1));
        a = (a << 1) ^ (0x11b & (0U - (a >> 7)));
        b >>= 1;
    }
    return (uint8_t)product;
}

/* x^254: the group of units has 255 elements. */
uint8_t gf256_inv(uint8_t x)
{
    uint8_t square = x, result = 1;
    for (int i = 0; i < 7; i++) {
        square = gf256_mul(square, square);
        result = gf256_mul(result, square);
    }
    return result;
}

/* Draws n different values of 1..255, each set equally likely: the front of a random permutation. */
static void draw_xs(uint8_t xs[255], unsigned n, struct rng *rng)
{
    for (unsigned i = 0; i < 255; i++)
        xs[i] = (uint8_t)(i + 1);
    for (unsigned i = 0; i < n; i++) {
        unsigned k = i + (unsigned)rng_below(rng, 255 - i);
        uint8_t swap = xs[i];
        xs[i] = xs[k];
        xs[k] = swap;
    }
}

void shares_split(struct secret *ret_shares[], unsigned n, unsigned threshold, struct rng *rng, bytes secret)
{
    assert(secret.n >= 1 && secret.n <= SHARE_SECRET_BYTES_MAX);
    if (n == 1 && threshold == 1) {
        ret_shares[0] = secret_from(secret);
        return;
    }
    assert(threshold >= 2 && threshold <= n && n <= SHARES_MAX);
    uint8_t xs[255], coefficients[SHARES_MAX];
    draw_xs(xs, n, rng);
    for (unsigned i = 0; i < n; i++) {
        ret_shares[i] = secret_new(secret.n + 1);
        secret_fill(ret_shares[i])[secret.n] = xs[i];
    }
    for (size_t byte = 0; byte < secret.n; byte++) {
        coefficients[0] = secret.p[byte];
        rng_bytes(rng, coefficients + 1, threshold - 1);
        for (unsigned i = 0; i < n; i++) {
            uint8_t y = 0;
            for (unsigned k = threshold; k-- > 0;)
                y = gf256_mul(y, xs[i]) ^ coefficients[k];
            secret_fill(ret_shares[i])[byte] = y;
        }
    }
    wipe(coefficients, sizeof(coefficients));
}

static uint8_t share_x(bytes share)
{
    return share.p[share.n - 1];
}

static struct error *shares_check(struct arena *a, const bytes shares[], size_t n)
{
    bool seen[256] = {false};
    for (size_t i = 0; i < n; i++) {
        if (shares[i].n < 2 || shares[i].n > SHARE_SECRET_BYTES_MAX + 1)
            return error_new(a, ERR_BAD_REQUEST, "parts must be at least two bytes");
        if (shares[i].n != shares[0].n)
            return error_new(a, ERR_BAD_REQUEST, "all parts must be the same length");
        if (share_x(shares[i]) == 0 || seen[share_x(shares[i])])
            return error_new(a, ERR_BAD_REQUEST, "duplicate part detected");
        seen[share_x(shares[i])] = true;
    }
    return NULL;
}

/* Lagrange's basis polynomial of share i at 0: the product of x_k / (x_k - x_i). The x are no secrets. */
static uint8_t basis_at_zero(const bytes shares[], size_t n, size_t i)
{
    uint8_t above = 1, below = 1, x = share_x(shares[i]);
    for (size_t k = 0; k < n; k++) {
        if (k == i)
            continue;
        above = gf256_mul(above, share_x(shares[k]));
        below = gf256_mul(below, share_x(shares[k]) ^ x);
    }
    return gf256_mul(above, gf256_inv(below));
}

struct error *shares_join(struct arena *a, const bytes shares[], size_t n, struct secret **ret_secret)
{
    assert(n >= 1);
    if (n == 1) {
        if (shares[0].n < 1 || shares[0].n > SHARE_SECRET_BYTES_MAX)
            return error_new(a, ERR_BAD_REQUEST, "the key must have 1 to %d bytes", SHARE_SECRET_BYTES_MAX);
        *ret_secret = secret_from(shares[0]);
        return NULL;
    }
    TRY(shares_check(a, shares, n));
    struct secret *secret = secret_new(shares[0].n - 1);
    uint8_t *out = secret_fill(secret);
    for (size_t i = 0; i < n; i++) {
        uint8_t basis = basis_at_zero(shares, n, i);
        for (size_t byte = 0; byte < shares[0].n - 1; byte++)
            out[byte] ^= gf256_mul(basis, shares[i].p[byte]);
    }
    *ret_secret = secret;
    return NULL;
}
