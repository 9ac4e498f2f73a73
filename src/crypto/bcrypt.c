#include "crypto/bcrypt.h"

#include "base/log.h"
#include "base/secure.h"

#include <assert.h>
#include <crypt.h>
#include <stdlib.h>

enum { SALT_BYTES = 16, PASSWORD_BYTES_MAX = 72 };

/* Of an unknown user: what is reckoned against it is thrown away. */
static const char nobody[] = "$2a$10$7EqJtq98hPqEX7fNZaFWoO.5H0Q0aXzJ7b5ZJQ8wJqP8Q9e1c0t4K";

static bool is_text(bytes hash)
{
    static const str kinds[] = {{"$2a$", 4}, {"$2b$", 4}, {"$2y$", 4}};
    str s = str_from_bytes(hash);

    if (s.n != BCRYPT_TEXT_BYTES || str_index(s, 0) < s.n)
        return false;
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (str_starts(s, kinds[i]))
            return true;
    return false;
}

/* One run of crypt_r, whose state of 32 KiB is wiped. False: the setting is refused. */
static bool run(const char *setting, bytes password, char out[BCRYPT_TEXT_BYTES])
{
    char text[PASSWORD_BYTES_MAX + 1];
    struct crypt_data *data = calloc(1, sizeof(*data));
    size_t n = MIN(password.n, PASSWORD_BYTES_MAX);

    if (!data)
        die("out of memory");
    if (n)
        memcpy(text, password.p, n);
    text[n] = 0;
    const char *made = crypt_r(text, setting, data);
    bool ok = made && made[0] != '*' && strlen(made) == BCRYPT_TEXT_BYTES;

    if (ok)
        memcpy(out, made, BCRYPT_TEXT_BYTES);
    wipe(text, sizeof(text));
    wipe(data, sizeof(*data));
    free(data);
    return ok;
}

static bool has_nul(bytes password)
{
    return str_index(str_from_bytes(password), 0) < password.n;
}

bool bcrypt_hash(struct rng *rng, bytes password, char out[BCRYPT_TEXT_BYTES])
{
    char salt[SALT_BYTES], setting[CRYPT_GENSALT_OUTPUT_SIZE];

    if (has_nul(password))
        return false;
    rng_bytes(rng, salt, sizeof(salt));
    if (!crypt_gensalt_rn("$2a$", BCRYPT_COST, salt, sizeof(salt), setting, sizeof(setting)))
        die("bcrypt: the library takes no setting of its own kind");
    return run(setting, password, out);
}

bool bcrypt_verify(bytes hash, bytes password)
{
    char setting[BCRYPT_TEXT_BYTES + 1], made[BCRYPT_TEXT_BYTES];
    bool known = is_text(hash) && !has_nul(password);

    memcpy(setting, known ? (const char *)hash.p : nobody, BCRYPT_TEXT_BYTES);
    setting[BCRYPT_TEXT_BYTES] = 0;
    bool ran = run(setting, password, made), ok;

    assert(ran || known); /* the dummy costs what a real one does */
    ok = ran && known && secret_equal((bytes){(const uint8_t *)made, sizeof(made)}, hash);
    wipe(made, sizeof(made));
    wipe(setting, sizeof(setting));
    return ok;
}
