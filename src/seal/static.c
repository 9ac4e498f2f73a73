/* static: the key stands in the configuration, the environment or a file: of an installation that gets its
 * keys from elsewhere. Two keys while one replaces the other. */
#include "base/encode.h"
#include "seal/seal_private.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { KEY_BYTES = 32, KEY_FILE_BYTES_MAX = 256 };

struct static_key {
    str id;
    struct secret *key;
};
struct static_state {
    struct static_key current, previous; /* previous.key NULL: none */
};

static struct error *read_file(struct arena *a, str path, str *ret)
{
    char *name = arena_cstr(a, path), *text = arena_alloc(a, KEY_FILE_BYTES_MAX);
    int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return error_errno(a, errno, "could not open key file %.*s", PSTR(path));
    ssize_t n = read(fd, text, KEY_FILE_BYTES_MAX);

    close(fd);
    if (n < 0)
        return error_errno(a, errno, "could not read key file %.*s", PSTR(path));
    *ret = (str){text, (size_t)n};
    return NULL;
}

/* 64 hex digits, base64 padded (44) or URL-safe (43), or the 32 bytes themselves. */
static bool key_decode(struct arena *a, str text, bytes *ret)
{
    switch (text.n) {
    case 64: return hex_decode(a, text, ret);
    case 44: return base64_decode(a, text, ret) && ret->n == KEY_BYTES;
    case 43: return base64url_decode(a, text, ret) && ret->n == KEY_BYTES;
    case KEY_BYTES: *ret = bytes_from_str(text); return true;
    default: return false;
    }
}

static struct error *key_read(struct arena *a, const char *name, str text, struct secret **ret)
{
    bytes key;

    if (str_starts(text, STR("env://"))) {
        char *variable = arena_cstr(a, str_from(text, 6));

        text = variable ? config_env_exact(variable) : (str){0};
    } else if (str_starts(text, STR("file://"))) {
        TRY(read_file(a, str_from(text, 7), &text));
    }
    if (text.n != KEY_BYTES)
        text = str_trim(text);
    if (!key_decode(a, text, &key))
        return error_new(a, ERR_BAD_REQUEST, "static: %s must be 32 bytes, raw or as 64 hex digits or base64",
                         name);
    *ret = secret_from(key);
    return NULL;
}

static struct error *keys_check(struct arena *a, const struct static_state *st)
{
    bool same_id = str_eq(st->current.id, st->previous.id);
    bool same_key = secret_equal(secret_reveal(st->current.key), secret_reveal(st->previous.key));

    if (same_id && !same_key)
        return error_new(a, ERR_BAD_REQUEST, "static: current_key and previous_key differ but have one id");
    if (!same_id && same_key)
        return error_new(a, ERR_BAD_REQUEST, "static: current_key and previous_key are one key with two ids");
    return NULL;
}

static struct error *static_open(struct seal *s, struct arena *a, const struct config_block *c,
                                 void **ret_state)
{
    struct static_state *st = ARENA_NEW(s->arena, struct static_state);
    str key = seal_param(c, "current_key", NULL, "STATIC_SEAL_CURRENT_KEY"),
        id = seal_param(c, "current_key_id", NULL, "STATIC_SEAL_CURRENT_KEY_ID"),
        old_key = seal_param(c, "previous_key", NULL, "STATIC_SEAL_PREVIOUS_KEY"),
        old_id = seal_param(c, "previous_key_id", NULL, "STATIC_SEAL_PREVIOUS_KEY_ID");

    *ret_state = st;
    if (key.n == 0 || id.n == 0)
        return error_new(a, ERR_BAD_REQUEST, "static: %s is required",
                         key.n == 0 ? "current_key" : "current_key_id");
    if ((old_key.n == 0) != (old_id.n == 0))
        return error_new(a, ERR_BAD_REQUEST, "static: previous_key and previous_key_id go together");
    if (id.n > SEAL_KEY_ID_BYTES_MAX || old_id.n > SEAL_KEY_ID_BYTES_MAX)
        return error_new(a, ERR_BAD_REQUEST, "static: the id of a key is too long");
    st->current.id = arena_str(s->arena, id);
    st->previous.id = arena_str(s->arena, old_id);
    TRY(key_read(a, "current_key", key, &st->current.key));
    seal_set_key_id(s, id);
    if (old_key.n == 0)
        return NULL;
    TRY(key_read(a, "previous_key", old_key, &st->previous.key));
    return keys_check(a, st);
}

static void static_close(struct seal *s)
{
    struct static_state *st = s->state;

    secret_free(st->current.key);
    secret_free(st->previous.key);
}

static struct error *static_encrypt(struct seal *s, struct arena *a, bytes clear, struct seal_blob *ret)
{
    struct static_state *st = s->state;

    envelope_seal_with(s, a, secret_reveal(st->current.key), clear, ret);
    ret->key_id = st->current.id;
    return NULL;
}

static struct error *static_decrypt(struct seal *s, struct arena *a, const struct seal_blob *b,
                                    struct secret **ret)
{
    struct static_state *st = s->state;
    const struct static_key *k = st->previous.key && str_eq(b->key_id, st->previous.id) ? &st->previous
                                 : str_eq(b->key_id, st->current.id)                    ? &st->current
                                                                                        : NULL;

    if (!k)
        return error_new(a, ERR_INTERNAL, "unknown key id for data: `%.*s`", PSTR(b->key_id));
    return envelope_open(a, secret_reveal(k->key), b, ret);
}

const struct seal_ops seal_static = {
    .type = "static",
    .open = static_open,
    .close = static_close,
    .encrypt = static_encrypt,
    .decrypt = static_decrypt,
};
