/* After a seal no key is anywhere in the process's memory: raw (which is also the beginning of an expanded
 * AES key), as hex, as base64. The test keeps its own copies masked, and wipes what it cannot mask. */
#include "core/barrier.h"
#include "core/seal.h"
#include "crypto/crypto.h"
#include "crypto/shares.h"
#include "harness.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

enum {
    PATTERN_BYTES_MAX = 72,
    PATTERNS_MAX = 64,
    CHUNK_BYTES = 1 << 20,
    CALLERS = 4,
    CALLS = 200,
    MASK = 0xa5
};

struct pattern {
    const char *what;
    uint8_t masked[PATTERN_BYTES_MAX];
    size_t n;
};

struct patterns {
    struct pattern v[PATTERNS_MAX];
    size_t n;
};

static void add(struct patterns *p, const char *what, bytes b)
{
    struct pattern *x = &p->v[p->n++];

    assert_true(p->n <= PATTERNS_MAX && b.n >= 16 && b.n <= PATTERN_BYTES_MAX);
    x->what = what;
    x->n = b.n;
    for (size_t i = 0; i < b.n; i++)
        x->masked[i] = b.p[i] ^ MASK;
}

/* In all its forms. The encoders' results lie in `a`, which is wiped. */
static void add_key(struct patterns *p, struct arena *a, const char *what, bytes key)
{
    str hex = hex_encode(a, key);
    char *upper = arena_alloc(a, hex.n);

    for (size_t i = 0; i < hex.n; i++)
        upper[i] = (char)(hex.p[i] >= 'a' ? hex.p[i] - 32 : hex.p[i]);
    add(p, what, key);
    add(p, what, bytes_from_str(hex));
    add(p, what, (bytes){(const uint8_t *)upper, hex.n});
    str b64 = base64_encode(a, key);

    add(p, what, (bytes){(const uint8_t *)b64.p, key.n / 3 * 4}); /* whatever follows it */
}

static bool matches(const struct pattern *x, const uint8_t *at)
{
    for (size_t i = 0; i < x->n; i++)
        if ((at[i] ^ MASK) != x->masked[i])
            return false;
    return true;
}

static size_t count_in(const struct patterns *p, const uint8_t *chunk, size_t n, const char *where,
                       bool report)
{
    size_t found = 0;

    for (size_t k = 0; k < p->n; k++) {
        const struct pattern *x = &p->v[k];
        const uint8_t *end = chunk + n, *at = chunk;

        while ((size_t)(end - at) >= x->n &&
               (at = memchr(at, x->masked[0] ^ MASK, (size_t)(end - at) - x->n + 1)) != NULL) {
            if (matches(x, at)) {
                found++;
                if (report)
                    print_error("%s (form %zu) is in %s", x->what, k % 4, where);
            }
            at++;
        }
    }
    return found;
}

static uint64_t parse_hex(const char **at)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t v = 0;

    for (const char *d; **at && (d = strchr(digits, **at)) != NULL; (*at)++)
        v = v << 4 | (uint64_t)(d - digits);
    return v;
}

/* Until the memory of every call is given back, which may be a moment after its answer. */
static void settle(struct harness *h)
{
    mutex_lock(&h->mutex);
    while (h->n_open > 0)
        cond_wait(&h->idle, &h->mutex);
    mutex_unlock(&h->mutex);
}

/* How often any pattern is in the readable memory. The chunk's own pages are left out, and wiped. */
static size_t scan(struct harness *h, const struct patterns *p, bool report)
{
    static char line[512];
    uint8_t *chunk = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    FILE *maps = fopen("/proc/self/maps", "re");
    size_t found = 0, n_bytes = 0;

    settle(h);
    assert_true(chunk != MAP_FAILED && mem >= 0 && maps);
    while (fgets(line, sizeof(line), maps)) {
        const char *text = line; /* 7f12…-7f13… r-xp … */
        uint64_t from = parse_hex(&text), to = (text++, parse_hex(&text));

        if (text[1] != 'r' || strstr(line, "[v"))
            continue;
        for (uint64_t at = from; at < to; at += CHUNK_BYTES - PATTERN_BYTES_MAX) {
            if (at - (uintptr_t)chunk < CHUNK_BYTES)
                continue;
            ssize_t got = pread(mem, chunk, MIN(CHUNK_BYTES, to - at), (off_t)at);

            if (got <= 0)
                continue;
            n_bytes += (size_t)got;
            found += count_in(p, chunk, (size_t)got, line, report);
            wipe(chunk, (size_t)got);
        }
    }
    assert_true(n_bytes > 4 << 20);
    (void)fclose(maps);
    close(mem);
    munmap(chunk, CHUNK_BYTES);
    return found;
}

/* ---- a store whose keys are known to the test ---- */

static void learn_term_keys(struct patterns *p, struct arena *a, struct storage *s, bytes root)
{
    bytes record;
    struct json *v;

    assert_ok(storage_get(s, a, STR("core/keyring"), &record));
    uint8_t *clear = arena_alloc(a, record.n);

    assert_true(record_open(clear, root, STR("core/keyring"), record));
    assert_ok(json_parse(a, (str){(char *)clear, record.n - BARRIER_OVERHEAD_BYTES}, false, &v));
    const struct json *keys = json_get(v, STR("Keys"));

    for (uint32_t i = 0; i < keys->n; i++) {
        bytes key;

        assert_true(base64_decode(a, json_get_str(keys->items[i], STR("Value")), &key));
        add_key(p, a, "the key of a term", key);
    }
}

static void initialise(struct harness *h, struct patterns *p, char root_token[64])
{
    struct arena *a = arena_new(0);
    struct answer x =
        harness_call(h, a, OP_UPDATE, "sys/init", (str){0}, "{\"secret_shares\":3,\"secret_threshold\":2}");
    const struct json *v = answer_data(a, &x), *keys = json_get(v, STR("keys"));
    str token = json_get_str(v, STR("root_token"));
    bytes shares[2];
    struct secret *unseal_key, *root;

    memcpy(root_token, token.p, MIN(token.n, 63));
    for (int i = 0; i < 2; i++) {
        assert_true(hex_decode(a, keys->items[i]->text, &shares[i]));
        add_key(p, a, "a share", shares[i]);
    }
    assert_ok(shares_join(a, shares, 2, &unseal_key));
    add_key(p, a, "the unseal key", secret_reveal(unseal_key));
    assert_ok(seal_root_key(h->storage, a, &(struct seal_config){.has_blob = true}, secret_reveal(unseal_key),
                            &root));
    add_key(p, a, "the root key", secret_reveal(root));
    learn_term_keys(p, a, h->storage, secret_reveal(root));
    secret_free(unseal_key);
    secret_free(root);
    arena_free(a);
}

static void unseal(struct harness *h, const struct patterns *p)
{
    for (int i = 0; i < 2; i++) {
        struct arena *a = arena_new(0);
        const struct pattern *hex = &p->v[4 * i + 1]; /* of share i */
        char *text = arena_zalloc(a, hex->n + 1);

        for (size_t k = 0; k < hex->n; k++)
            text[k] = (char)(hex->masked[k] ^ MASK);
        struct answer x =
            harness_call(h, a, OP_UPDATE, "sys/unseal", (str){0}, arena_fmt(a, "{\"key\":\"%s\"}", text).p);

        assert_int_equal(x.status, 200);
        arena_free(a);
    }
    assert_true(core_wait_state(h->core, CORE_ACTIVE, 60 * NS_PER_S));
}

static void caller(void *arg)
{
    struct harness *h = arg;
    struct arena *a = arena_new(0);

    for (int i = 0; i < CALLS; i++) {
        const char *path = arena_fmt(a, "secret/%d", i % 50).p;

        (void)harness_call(h, a, OP_UPDATE, path, h->root, "{\"k\":\"v\"}");
        (void)harness_call(h, a, OP_READ, path, h->root, NULL);
    }
    arena_free(a);
}

static UNUSED void keys_are_gone(const char *storage_type)
{
    static struct patterns p;
    static char token[64];
    struct harness h;
    struct thread callers[CALLERS];

    p.n = 0;
    memset(token, 0, sizeof(token));
    harness_start(&h,
                  &(struct harness_options){.storage_type = storage_type, .stays_sealed = true, .loops = 4});
    initialise(&h, &p, token);
    h.root = str_from_cstr(token);
    assert_int_equal(scan(&h, &p, true), 0); /* after init */
    for (int round = 0; round < 3; round++) {
        unseal(&h, &p);
        if (round == 0)
            harness_mount(&h, "secret", "kv");
        for (int i = 0; i < CALLERS; i++)
            thread_start(&callers[i], "caller", caller, &h);
        for (int i = 0; i < CALLERS; i++)
            thread_join(&callers[i]);
        assert_true(scan(&h, &p, false) > 0); /* the scan finds what is there */
        if (round == 1)
            harness_must(&h, 204, OP_UPDATE, "sys/seal", NULL);
        else
            core_seal(h.core);
        assert_int_equal(scan(&h, &p, true), 0);
    }
    harness_stop(&h);
}

static void in_memory(void **state)
{
    (void)state;
#ifdef SANITIZED
    print_message(
        "left out: a sanitizer's allocator keeps what was freed, and its shadow is too big to be read\n");
    skip();
#else
    keys_are_gone("inmem");
#endif
}

static void on_sqlite(void **state)
{
    (void)state;
#ifdef SANITIZED
    skip();
#else
    keys_are_gone("sqlite");
#endif
}

/* Bound at start, as the program is linked: binding at the first call keeps what vector registers hold on
 * the stack. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_memory), cmocka_unit_test(on_sqlite)};

    if (argc == 1 && !getenv("LD_BIND_NOW")) {
        (void)setenv("LD_BIND_NOW", "1", 1);
        (void)execv("/proc/self/exe", argv);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
