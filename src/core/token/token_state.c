#include "base/encode.h"
#include "base/log.h"
#include "core/token/token_private.h"

#include <stdlib.h>

/* The text of a UUID under `path`, made if it is not there. */
static struct error *read_or_make(struct view *v, struct rng *rng, str path, bytes *ret)
{
    char uuid[UUID_TEXT_BYTES];

    TRY(view_get(v, path, ret));
    if (ret->n > 0)
        return NULL;
    rng_uuid(rng, uuid);
    TRY(view_put(v, path, (bytes){(const uint8_t *)uuid, sizeof(uuid)}));
    return view_get(v, path, ret);
}

struct error *token_state_open(struct txn *t, struct rng *rng, struct token_state **ret)
{
    struct view tokens = txn_view(t, SPACE_TOKEN), core = txn_view(t, SPACE_CORE);
    bytes salt, key;

    TRY(read_or_make(&tokens, rng, STR("salt"), &salt));
    TRY(read_or_make(&core, rng, STR("index-header-hmac-key"), &key));
    struct token_state *s = calloc(1, sizeof(*s));

    if (!s)
        die("out of memory");
    s->salt = secret_from(salt);
    s->salt_key = hmac_key_new(salt);
    s->sign_key = hmac_key_new(key);
    *ret = s;
    return NULL;
}

void token_state_free(struct token_state *s)
{
    if (!s)
        return;
    secret_free(s->salt);
    hmac_key_free(s->salt_key);
    hmac_key_free(s->sign_key);
    free(s);
}

void token_hash(const struct token_state *s, str id, char out[TOKEN_HASH_MAX + 1])
{
    uint8_t digest[SHA1_BYTES];

    if (str_index(id, '.') < id.n) {
        out[0] = 'h';
        hmac_sha256_hex(out + 1, s->salt_key, bytes_from_str(id));
        out[TOKEN_HASH_MAX] = 0;
        return;
    }
    sha1(digest, secret_reveal(s->salt), bytes_from_str(id));
    hex_encode_to(out, (bytes){digest, sizeof(digest)});
    out[2 * SHA1_BYTES] = 0;
}
