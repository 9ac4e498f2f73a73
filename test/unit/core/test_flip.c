/* One bit of a stored entry is flipped: opening or reading gives an error that names the entry, or the
 * answer is as before. Over every entry of a store of our own and of one written by hand
 * (test/golden/stores/minimal). */
#include "base/clock.h"
#include "core/active_private.h"
#include "core/stored.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    KEYS_MAX = 2,
    ENTRIES_MAX = 200,
    FLIPS = 8 /* of the value, then of the file around it */,
    VALUE_FLIPS = 4,
    READS_MAX = 12
};

/* ---- an engine that reads any entry of the barrier ---- */

static struct error *probe_read(struct request *rq, struct response *rs)
{
    struct view all = {rq->txn, active_mount_space(rq->active, STR(""))};
    bytes clear;

    TRY(view_get(&all, rq->rel, &clear));
    if (!clear.p)
        return fail_absent(rq);
    json_set_str(rq->arena, response_data(rq, rs), STR("value"), base64_encode(rq->arena, clear));
    return NULL;
}

static const struct field probe_fields[] = {{"path", FT_STRING, FIELD_PATH, .help = "Of the entry."}, {0}};
static const struct route probe_routes[] = {
    {"{path...}", probe_fields, .ops = {[OP_READ] = {probe_read}}, .help = "Any entry."},
    {0},
};
static const struct engine probe_engine = {.type = "probe",
                                           .kind = ENGINE_SECRETS,
                                           .routes = probe_routes,
                                           .help = "Reads.",
                                           .plugin_version = "v0"};
static const struct engine *const engines[] = {&probe_engine, NULL};

/* ---- stores ---- */

struct entry {
    str path, file; /* the file's whole name */
    bytes value;    /* what is stored */
    str clear;      /* what the probe answers */
};

struct store {
    struct arena *arena;
    struct rng *rng;
    struct clock *clock;
    char folder[64];
    str keys[KEYS_MAX], root;
    const char *reads[READS_MAX]; /* a list ends in '/' */
    str answers[READS_MAX];
    struct entry entries[ENTRIES_MAX];
    size_t n;
};

static void folder_new(char folder[64])
{
    snprintf(folder, 64, "%s/coffer-flip-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    assert_non_null(mkdtemp(folder));
}

static void file_write(const char *name, bytes b)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, b.p, b.n), b.n);
    close(fd);
}

static bytes file_read(struct arena *a, const char *name)
{
    struct stat st;
    int fd = open(name, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    uint8_t *p = arena_alloc(a, (size_t)st.st_size);

    assert_int_equal(read(fd, p, (size_t)st.st_size), st.st_size);
    close(fd);
    return (bytes){p, (size_t)st.st_size};
}

/* With the folders it lies in. */
static void file_write_deep(struct arena *a, const char *folder, str name, bytes b)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] == '/')
            assert_true(mkdir(arena_fmt(a, "%s/%.*s", folder, (int)i, name.p).p, 0700) == 0 ||
                        errno == EEXIST);
    file_write(arena_fmt(a, "%s/%.*s", folder, PSTR(name)).p, b);
}

static struct harness_options options_of(const struct store *s, const char *folder)
{
    return (struct harness_options){.storage_type = "file",
                                    .folder = folder,
                                    .engines = engines,
                                    .clock = s->clock,
                                    .stays_sealed = true};
}

/* Starts, and unseals. The last answer: of the one that opens. */
static struct answer open_store(const struct store *s, struct harness *h, const char *folder)
{
    struct harness_options o = options_of(s, folder);
    struct answer a = {0};

    harness_start(h, &o);
    h->root = s->root;
    for (size_t i = 0; i < KEYS_MAX && s->keys[i].n && !a.failed; i++)
        a = harness_call(h, h->arena, OP_UPDATE, "sys/unseal", (str){0},
                         arena_fmt(h->arena, "{\"key\":\"%.*s\"}", PSTR(s->keys[i])).p);
    return a;
}

static str read_api(struct harness *h, struct arena *a, const char *path, bool *ret_failed)
{
    struct answer x =
        harness_call(h, a, str_ends(str_from_cstr(path), STR("/")) ? OP_LIST : OP_READ, path, h->root, NULL);

    *ret_failed = x.failed;
    return x.failed ? x.error : x.data;
}

static str read_probe(struct harness *h, struct arena *a, str path, bool *ret_failed)
{
    return read_api(h, a, arena_fmt(a, "probe/%.*s", PSTR(path)).p, ret_failed);
}

/* Without a record of the barrier in it: what a probe cannot read. */
static bool is_raw(str path)
{
    static const char *const raw[] = {"core/seal-config", "core/keyring", "core/hsm/barrier-unseal-keys"};

    for (size_t i = 0; i < COUNT_OF(raw); i++)
        if (str_eq(path, str_from_cstr(raw[i])))
            return true;
    return false;
}

static void walk(struct store *s, struct storage *from, str prefix)
{
    str *names;
    size_t n;

    assert_ok(storage_list(from, s->arena, prefix, &names, &n));
    for (size_t i = 0; i < n; i++) {
        str path = arena_join(s->arena, prefix, names[i]);

        if (str_ends(path, STR("/"))) {
            walk(s, from, path);
            continue;
        }
        assert_true(s->n < ENTRIES_MAX);
        struct entry *e = &s->entries[s->n++];
        size_t leaf = path.n - names[i].n;

        *e = (struct entry){.path = path};
        e->file = arena_fmt(s->arena, "%.*s_%.*s", (int)leaf, path.p, PSTR(names[i]));
        assert_ok(storage_get(from, s->arena, path, &e->value));
    }
}

/* Everything as it is without a flip. */
static void learn(struct store *s)
{
    struct harness h;
    bool failed;

    assert_false(open_store(s, &h, s->folder).failed);
    harness_mount(&h, "probe", "probe");
    walk(s, h.storage, (str){0});
    for (size_t i = 0; i < s->n; i++)
        if (!is_raw(s->entries[i].path)) {
            s->entries[i].clear = arena_str(s->arena, read_probe(&h, s->arena, s->entries[i].path, &failed));
            assert_false(failed);
        }
    for (size_t i = 0; s->reads[i]; i++) {
        s->answers[i] = arena_str(s->arena, read_api(&h, s->arena, s->reads[i], &failed));
        if (failed)
            print_error("%s: %.*s\n", s->reads[i], PSTR(s->answers[i]));
        assert_false(failed);
    }
    harness_stop(&h);
}

/* ---- flips ---- */

struct flip {
    const struct entry *entry;
    bool in_value; /* of what is stored; else of the file that holds it */
    size_t bit;
};

static bytes flipped(struct arena *a, bytes b, size_t bit)
{
    uint8_t *p = arena_copy(a, b.p, b.n);

    p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    return (bytes){p, b.n};
}

static bytes file_with(struct arena *a, const struct store *s, struct flip *f)
{
    bytes file = file_read(a, arena_fmt(a, "%s/%.*s", s->folder, PSTR(f->entry->file)).p);

    if (!f->in_value) {
        f->bit = rng_below(s->rng, 8 * file.n);
        return flipped(a, file, f->bit);
    }
    f->bit = rng_below(s->rng, 8 * f->entry->value.n);
    return bytes_from_str(
        arena_fmt(a, "{\"Value\":\"%.*s\"}\n", PSTR(base64_encode(a, flipped(a, f->entry->value, f->bit)))));
}

static void wrong(const struct flip *f, const char *what, str text)
{
    print_error("%.*s, bit %zu of the %s: %s: \"%.*s\"\n", PSTR(f->entry->path), f->bit,
                f->in_value ? "value" : "file", what, PSTR(text));
    assert_true(false);
}

/* A wrong root key cannot be told from a damaged blob, nor what the settings say from what they should:
 * those texts are the API's. */
static bool names_it(const struct flip *f, str error)
{
    static const char *const seal_texts[] = {"unable to retrieve stored keys: invalid key",
                                             "the store is sealed with", "core/keyring does not open"};
    bool of_seal = is_raw(f->entry->path), named = str_find(error, f->entry->path) < error.n;

    for (size_t i = 0; of_seal && i < COUNT_OF(seal_texts); i++)
        named = named || str_find(error, str_from_cstr(seal_texts[i])) < error.n;
    return named;
}

static void check_reads(const struct store *s, struct harness *h, const struct flip *f)
{
    bool failed;
    str got;

    if (!is_raw(f->entry->path)) {
        got = read_probe(h, h->arena, f->entry->path, &failed);
        if (failed ? !names_it(f, got) : f->in_value || !str_eq(got, f->entry->clear))
            wrong(f, "the entry reads as", got);
    }
    for (size_t i = 0; s->reads[i]; i++) {
        got = read_api(h, h->arena, s->reads[i], &failed);
        if (failed ? !names_it(f, got) : !str_eq(got, s->answers[i]))
            wrong(f, s->reads[i], got);
    }
}

/* A threshold that has become larger asks for more shares: sealed still, without an error. */
static void check_opening(const struct flip *f, const struct answer *a, enum core_state state)
{
    if (a->failed ? !names_it(f, a->error)
                  : state != CORE_ACTIVE && !str_eq(f->entry->path, STR("core/seal-config")))
        wrong(f, "the opening says", a->failed ? a->error : a->data);
}

static void flip_one(const struct store *s, struct flip *f)
{
    struct harness h;
    struct arena *a = arena_new(0);
    char folder[64];
    bytes damaged = file_with(a, s, f);

    folder_new(folder);
    for (size_t i = 0; i < s->n; i++) {
        const struct entry *e = &s->entries[i];

        file_write_deep(a, folder, e->file,
                        e == f->entry ? damaged
                                      : file_read(a, arena_fmt(a, "%s/%.*s", s->folder, PSTR(e->file)).p));
    }
    log_set_level(LOG_ERROR);
    struct answer opened = open_store(s, &h, folder);

    check_opening(f, &opened, core_state(h.core));
    if (core_state(h.core) == CORE_ACTIVE)
        check_reads(s, &h, f);
    harness_stop(&h);
    harness_folder_remove(folder);
    arena_free(a);
}

static void flip_all(struct store *s)
{
    learn(s);
    for (size_t i = 0; i < s->n; i++)
        for (int k = 0; k < FLIPS; k++)
            flip_one(s, &(struct flip){.entry = &s->entries[i],
                                       .in_value = k < VALUE_FLIPS && s->entries[i].value.n > 0});
    harness_folder_remove(s->folder);
    clock_manual_free(s->clock);
    rng_seeded_free(s->rng);
    arena_free(s->arena);
    free(s);
}

static struct store *store_new(void)
{
    struct store *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    s->arena = arena_new(0);
    s->rng = rng_seeded_new(20240611);
    s->clock = clock_manual_new(INT64_C(1795322188) * NS_PER_S);
    folder_new(s->folder);
    return s;
}

static void own_store(void **state)
{
    (void)state;
    static const char *const reads[] = {
        "sys/mounts", "sys/audit", "sys/policies/acl/",      "sys/policies/acl/mine",
        "secret/a",   "secret/b/", "auth/token/lookup-self", "auth/token/accessors/",
        "cubbyhole/c"};
    struct store *s = store_new();
    struct harness h;

    memcpy(s->reads, reads, sizeof(reads));
    harness_start(&h,
                  &(struct harness_options){.storage_type = "file", .folder = s->folder, .clock = s->clock});
    s->keys[0] = arena_str(s->arena, h.key);
    harness_mount(&h, "secret", "kv");
    harness_must(&h, 204, OP_UPDATE, "secret/a", "{\"v\":\"1\"}");
    harness_must(&h, 204, OP_UPDATE, "secret/b/c", "{\"v\":\"2\"}");
    harness_must(&h, 204, OP_UPDATE, "sys/policies/acl/mine",
                 "{\"policy\":\"path \\\"*\\\" { capabilities = [\\\"read\\\", \\\"list\\\", \\\"create\\\", "
                 "\\\"update\\\", \\\"sudo\\\"] }\"}");
    harness_audit_file(&h, "null", "/dev/null");
    s->root = arena_str(s->arena, harness_must(&h, 200, OP_UPDATE, "auth/token/create",
                                               "{\"policies\":[\"mine\"],\"ttl\":\"8h\"}")
                                      .client_token);
    assert_int_equal(harness_call(&h, h.arena, OP_UPDATE, "cubbyhole/c", s->root, "{\"v\":\"3\"}").status,
                     204);
    harness_stop(&h);
    flip_all(s);
}

/* ---- a store from a tar archive: headers of 512 bytes, then the file in whole blocks ---- */

static uint64_t octal(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n && p[i] >= '0' && p[i] <= '7'; i++)
        v = v << 3 | (uint64_t)(p[i] - '0');
    return v;
}

static void unpack(struct store *s, const char *archive)
{
    str gz = str_from_bytes(file_read(s->arena, archive)), folder, name;
    bytes tar;

    assert_ok(stored_unpack(s->arena, STR("the archive"), bytes_from_str(arena_join(s->arena, STR("G"), gz)),
                            &tar));
    for (size_t at = 0; at + 512 <= tar.n && tar.p[at];) {
        const uint8_t *head = tar.p + at;
        size_t n = octal(head + 124, 12);

        assert_true(n <= tar.n - at - 512);
        assert_true(
            str_cut(str_from_cstr((const char *)head), '/', &folder, &name)); /* the names are short */
        if (head[156] == '0')
            file_write_deep(s->arena, s->folder, name, (bytes){head + 512, n});
        at += 512 + (n + 511) / 512 * 512;
    }
}

static void golden_store(void **state)
{
    (void)state;
    static const char *const reads[] = {"plain/v1record", "plain/v2record", "plain/term2",
                                        "plain/",         "sys/mounts",     "auth/token/lookup-self"};
    struct store *s = store_new();

    unpack(s, GOLDEN "/stores/minimal.tar.gz");
    memcpy(s->reads, reads, sizeof(reads));
    s->keys[0] = STR("434b535b5b636b73730b031b1b132b23232bd3dbdbc3cbf3f3ebe39b9b938b8301");
    s->keys[1] = STR("5a1dd4935fa3032d5013b39d51160d4a4e09c88f436dcd314c62c2814d0ac384ff");
    s->root = STR("hvs.ABCDEFGHIJKLMNOPQRSTUVWX");
    flip_all(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(own_store), cmocka_unit_test(golden_store)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
