#include "crypto/pgp.h"

#include "base/encode.h"
#include "base/library.h"

#include <fcntl.h>
#include <rnp/rnp.h>
#include <rnp/rnp_err.h>
#include <unistd.h>

#define FUNCTIONS(X)                                                                                         \
    X(rnp_ffi_create)                                                                                        \
    X(rnp_ffi_destroy)                                                                                       \
    X(rnp_ffi_set_log_fd)                                                                                    \
    X(rnp_remove_security_rule)                                                                              \
    X(rnp_input_from_memory)                                                                                 \
    X(rnp_input_destroy)                                                                                     \
    X(rnp_output_to_memory)                                                                                  \
    X(rnp_output_memory_get_buf)                                                                             \
    X(rnp_output_destroy)                                                                                    \
    X(rnp_load_keys)                                                                                         \
    X(rnp_identifier_iterator_create)                                                                        \
    X(rnp_identifier_iterator_next)                                                                          \
    X(rnp_identifier_iterator_destroy)                                                                       \
    X(rnp_locate_key)                                                                                        \
    X(rnp_key_is_primary)                                                                                    \
    X(rnp_key_is_valid)                                                                                      \
    X(rnp_key_get_fprint)                                                                                    \
    X(rnp_key_handle_destroy)                                                                                \
    X(rnp_buffer_destroy)                                                                                    \
    X(rnp_op_encrypt_create)                                                                                 \
    X(rnp_op_encrypt_add_recipient)                                                                          \
    X(rnp_op_encrypt_execute)                                                                                \
    X(rnp_op_encrypt_destroy)

#define SLOT(f) __typeof__(f) *f;
static struct {
    FUNCTIONS(SLOT)
} rnp;
#define SYMBOL(f) {#f, &rnp.f},
static const struct library_symbol rnp_symbols[] = {FUNCTIONS(SYMBOL)};
static struct library rnp_library = {
    .soname = "librnp.so.0", .package = "librnp0", .symbols = rnp_symbols, .n = COUNT_OF(rnp_symbols)};

/* Does it begin with the packet of a public key (RFC 4880, 4.2: old form, new form)? What does not is kept
 * from the library, which writes about it to stderr. */
static bool looks_public(bytes key)
{
    enum { PUBLIC_KEY = 6 };

    return (key.p[0] & 0xfc) == (0x80 | PUBLIC_KEY << 2) || key.p[0] == (0xc0 | PUBLIC_KEY);
}

/* One key, loaded. */
struct loaded {
    rnp_ffi_t ffi;
    rnp_key_handle_t key; /* the first primary one; NULL: none */
    str fingerprint;
};

static void loaded_done(struct loaded *l)
{
    if (l->key)
        rnp.rnp_key_handle_destroy(l->key);
    if (l->ffi)
        rnp.rnp_ffi_destroy(l->ffi);
}

/* The library would write to stderr; SHA-1 in a key's own signatures is no reason to refuse it here. */
static bool set_up(struct loaded *l)
{
    size_t removed;
    int quiet;

    if (rnp.rnp_ffi_create(&l->ffi, "GPG", "GPG") != RNP_SUCCESS)
        return false;
    quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (quiet >= 0 && rnp.rnp_ffi_set_log_fd(l->ffi, quiet) != RNP_SUCCESS)
        close(quiet);
    return rnp.rnp_remove_security_rule(l->ffi, RNP_FEATURE_HASH_ALG, "SHA1", 0, RNP_SECURITY_REMOVE_ALL, 0,
                                        &removed) == RNP_SUCCESS;
}

static bool load(struct loaded *l, bytes key)
{
    rnp_input_t in;

    if (rnp.rnp_input_from_memory(&in, key.p, key.n, false) != RNP_SUCCESS)
        return false;
    rnp_result_t r = rnp.rnp_load_keys(l->ffi, "GPG", in, RNP_LOAD_SAVE_PUBLIC_KEYS);

    rnp.rnp_input_destroy(in);
    return r == RNP_SUCCESS;
}

static bool is_usable(rnp_key_handle_t key)
{
    bool primary = false, valid = false;

    return rnp.rnp_key_is_primary(key, &primary) == RNP_SUCCESS && primary &&
           rnp.rnp_key_is_valid(key, &valid) == RNP_SUCCESS && valid;
}

static void find_first(struct loaded *l)
{
    rnp_identifier_iterator_t it;
    const char *name;

    if (rnp.rnp_identifier_iterator_create(l->ffi, &it, "fingerprint") != RNP_SUCCESS)
        return;
    while (!l->key && rnp.rnp_identifier_iterator_next(it, &name) == RNP_SUCCESS && name) {
        rnp_key_handle_t key = NULL;

        if (rnp.rnp_locate_key(l->ffi, "fingerprint", name, &key) == RNP_SUCCESS && key && is_usable(key))
            l->key = key;
        else if (key)
            rnp.rnp_key_handle_destroy(key);
    }
    rnp.rnp_identifier_iterator_destroy(it);
}

/* loaded_done() in any case. */
static struct error *key_load(struct arena *a, bytes key, struct loaded *l)
{
    char *hex;

    *l = (struct loaded){0};
    if (key.n == 0 || key.n > PGP_KEY_BYTES_MAX)
        return error_new(a, ERR_BAD_REQUEST,
                         "error parsing given PGP key: it has %zu bytes, 1 to %d are taken", key.n,
                         PGP_KEY_BYTES_MAX);
    if (!looks_public(key))
        return error_new(a, ERR_BAD_REQUEST, "error parsing given PGP key: this is no OpenPGP public key");
    TRY(library_load(a, &rnp_library));
    if (!set_up(l))
        return error_new(a, ERR_INTERNAL, "librnp could not be set up");
    if (!load(l, key))
        return error_new(a, ERR_BAD_REQUEST, "error parsing given PGP key: this is no OpenPGP public key");
    find_first(l);
    if (!l->key || rnp.rnp_key_get_fprint(l->key, &hex) != RNP_SUCCESS)
        return error_new(a, ERR_BAD_REQUEST,
                         "error parsing given PGP key: no public key in it that is valid");
    l->fingerprint = arena_lower(a, str_from_cstr(hex));
    rnp.rnp_buffer_destroy(hex);
    return NULL;
}

struct error *pgp_fingerprint(struct arena *a, bytes key, str *ret)
{
    struct loaded l;
    struct error *e = key_load(a, key, &l);

    if (!e)
        *ret = l.fingerprint;
    loaded_done(&l);
    return e;
}

static struct error *encrypt(struct arena *a, const struct loaded *l, rnp_op_encrypt_t op, rnp_output_t out,
                             bytes *ret)
{
    uint8_t *p;
    size_t n;

    if (rnp.rnp_op_encrypt_add_recipient(op, l->key) != RNP_SUCCESS ||
        rnp.rnp_op_encrypt_execute(op) != RNP_SUCCESS ||
        rnp.rnp_output_memory_get_buf(out, &p, &n, false) != RNP_SUCCESS)
        return error_new(a, ERR_BAD_REQUEST,
                         "error setting up encryption for PGP message: the key %.*s has no part that "
                         "encrypts, or none that has not expired",
                         PSTR(l->fingerprint));
    *ret = arena_bytes(a, (bytes){p, n});
    return NULL;
}

struct error *pgp_encrypt(struct arena *a, bytes key, bytes clear, bytes *ret)
{
    struct loaded l;
    rnp_input_t in = NULL;
    rnp_output_t out = NULL;
    rnp_op_encrypt_t op = NULL;
    struct error *e = key_load(a, key, &l);

    if (!e && (rnp.rnp_input_from_memory(&in, clear.p, clear.n, false) != RNP_SUCCESS ||
               rnp.rnp_output_to_memory(&out, 0) != RNP_SUCCESS ||
               rnp.rnp_op_encrypt_create(&op, l.ffi, in, out) != RNP_SUCCESS))
        e = error_new(a, ERR_INTERNAL, "librnp could not be set up");
    if (!e)
        e = encrypt(a, &l, op, out, ret);
    if (op)
        rnp.rnp_op_encrypt_destroy(op);
    if (out)
        rnp.rnp_output_destroy(out);
    if (in)
        rnp.rnp_input_destroy(in);
    loaded_done(&l);
    return e;
}

bool pgp_dearmor(struct arena *a, str text, bytes *ret)
{
    static const str begin = STR("-----BEGIN PGP PUBLIC KEY BLOCK-----"), end = STR("-----END PGP");
    size_t at = str_find(text, begin);
    str line, joined = {arena_alloc(a, text.n), 0};
    bool in_head = true;

    if (at == text.n)
        return false;
    text = str_from(text, at + begin.n);
    (void)str_cut(text, '\n', &line, &text);
    while (text.n) {
        (void)str_cut(text, '\n', &line, &text);
        line = str_trim(line);
        if (str_starts(line, end))
            return joined.n && base64_decode(a, joined, ret);
        if (in_head)
            in_head = line.n > 0;
        else if (!str_starts(line, STR("="))) { /* the check sum */
            memcpy((char *)(uintptr_t)joined.p + joined.n, line.p, line.n);
            joined.n += line.n;
        }
    }
    return false;
}

struct error *pgp_key_decode(struct arena *a, str base64, bytes *ret)
{
    bytes key;

    if (base64.n > 2 * PGP_KEY_BYTES_MAX || !base64_decode(a, base64, &key))
        return error_new(a, ERR_BAD_REQUEST,
                         "error decoding given PGP key: it is not base64, or longer than %d",
                         2 * PGP_KEY_BYTES_MAX);
    if (!pgp_dearmor(a, str_from_bytes(key), ret))
        *ret = key;
    return NULL;
}
