/* Every writing route is stopped (SIGKILL to itself) before, inside and after each of its commits, in a
 * process of its own; then the store is opened again. On sqlite it must be as before the request or as
 * after it, nothing between. On file what can be reached through the API must be so, and the request, sent
 * again, gets to its end. */
#include "base/fault.h"
#include "core/active_private.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    START_S = 1795322188,
    PENDING_S = 30,
    STOPS_MAX = 200,
    EACH_STOP = 12 /* of the many of a bulk request only some */,
    STOPPED = -1
};
enum { T_PLAIN, T_TREE, T_ROOT, T_LEFT, T_RIGHT, T_ONCE, T_COUNT, T_WITH_CUBBYHOLE = T_LEFT };

static const char *const points[] = {"commit_before", "commit_after",
                                     "file_between_puts"}; /* the last: on file */

struct world { /* a store, and what it holds */
    const char *type;
    char folder[64]; /* the store to be copied */
    struct arena *arena;
    struct clock *clock;
    str key, root, tokens[T_COUNT], accessors[T_COUNT];
};

/* ---- folders ---- */

static void folder_new(char folder[64])
{
    snprintf(folder, 64, "%s/coffer-atomic-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    assert_non_null(mkdtemp(folder));
}

static char *copy_to;
static size_t copy_from_n;

static int copy_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    char to[512];
    static char chunk[65536];
    ssize_t n;

    (void)st;
    (void)ftw;
    snprintf(to, sizeof(to), "%s%s", copy_to, path + copy_from_n);
    if (type == FTW_D)
        return mkdir(to, 0700) == 0 || errno == EEXIST ? 0 : -1;
    int in = open(path, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    while ((n = read(in, chunk, sizeof(chunk))) > 0 && write(out, chunk, (size_t)n) == n)
        ;
    close(in);
    close(out);
    return n == 0 ? 0 : -1;
}

static void folder_copy(const char *from, char *to)
{
    folder_new(to);
    copy_to = to;
    copy_from_n = strlen(from);
    assert_int_equal(nftw(from, copy_one, 16, FTW_PHYS), 0);
}

/* ---- the world ---- */

static struct harness_options options_of(const struct world *w, const char *folder)
{
    return (struct harness_options){
        .storage_type = w->type, .folder = folder, .key = w->key.p, .root = w->root.p, .clock = w->clock};
}

static str token_new(struct world *w, struct harness *h, str parent, const char *body, str *ret_accessor)
{
    struct answer a = harness_call(h, w->arena, OP_UPDATE, "auth/token/create", parent, body);

    assert_int_equal(a.status, 200);
    str body2 = arena_fmt(w->arena, "{\"token\":\"%.*s\"}", PSTR(a.client_token));
    struct answer looked_up = harness_call(h, w->arena, OP_UPDATE, "auth/token/lookup", h->root, body2.p);

    *ret_accessor = arena_str(w->arena, json_get_str(answer_data(w->arena, &looked_up), STR("accessor")));
    return a.client_token;
}

#define MAY_CREATE                                                                                           \
    "path \\\"auth/token/create\\\" { capabilities = [\\\"update\\\", \\\"sudo\\\"] } path "                 \
    "\\\"secret/*\\\" { capabilities = [\\\"create\\\", \\\"update\\\"] }"

static void world_fill(struct world *w, struct harness *h)
{
    harness_mount(h, "secret", "kv");
    harness_mount(h, "gone", "kv");
    harness_must(h, 204, OP_UPDATE, "secret/old", "{\"v\":\"1\"}");
    for (int i = 0; i < 60; i++) /* more than one step */
        harness_must(h, 204, OP_UPDATE, arena_fmt(h->arena, "gone/%d/x", i).p, "{\"v\":\"1\"}");
    harness_must(h, 204, OP_UPDATE, "sys/policies/acl/old",
                 "{\"policy\":\"path \\\"a\\\" { capabilities = [\\\"read\\\"] }\"}");
    harness_must(h, 204, OP_UPDATE, "sys/policies/acl/may", "{\"policy\":\"" MAY_CREATE "\"}");
    harness_audit_file(h, "old", "/dev/null");
    str *t = w->tokens, *a = w->accessors;

    t[T_PLAIN] = token_new(w, h, h->root, "{\"policies\":[\"may\"],\"ttl\":\"1h\"}", &a[T_PLAIN]);
    t[T_TREE] = token_new(w, h, h->root, "{\"policies\":[\"may\"],\"ttl\":\"2h\"}", &a[T_TREE]);
    t[T_ROOT] = token_new(w, h, h->root, "{}", &a[T_ROOT]);
    t[T_LEFT] = token_new(w, h, t[T_TREE], "{\"policies\":[\"may\"],\"ttl\":\"1h\"}", &a[T_LEFT]);
    t[T_RIGHT] = token_new(w, h, t[T_TREE], "{\"policies\":[\"may\"],\"ttl\":\"1h\"}", &a[T_RIGHT]);
    t[T_ONCE] =
        token_new(w, h, h->root, "{\"policies\":[\"may\"],\"ttl\":\"1h\",\"num_uses\":2}", &a[T_ONCE]);
    for (int i = 0; i < T_WITH_CUBBYHOLE; i++)
        assert_int_equal(harness_call(h, w->arena, OP_UPDATE, "cubbyhole/kept", t[i], "{\"v\":\"1\"}").status,
                         204);
}

static void world_new(struct world *w, const char *type)
{
    struct harness h;

    *w = (struct world){.type = type, .arena = arena_new(0), .clock = clock_manual_new(START_S * NS_PER_S)};
    folder_new(w->folder);
    harness_start(&h,
                  &(struct harness_options){.storage_type = type, .folder = w->folder, .clock = w->clock});
    w->key = arena_str(w->arena, h.key);
    w->root = arena_str(w->arena, h.root);
    world_fill(w, &h);
    harness_stop(&h);
}

static void world_free(struct world *w)
{
    harness_folder_remove(w->folder);
    clock_manual_free(w->clock);
    arena_free(w->arena);
}

/* ---- its state, as text ---- */

static void note(struct buf *b, struct harness *h, struct arena *a, enum op op, const char *path, str token,
                 const char *body)
{
    struct answer x = harness_call(h, a, op, path, token, body);

    buf_put_fmt(b, "%s %s: %d %.*s%.*s\n", op_name(op), path, x.status, PSTR(x.data), PSTR(x.error));
}

/* The names of an object's members with their types: what does not differ from run to run. */
static void note_names(struct buf *b, struct harness *h, struct arena *a, const char *path)
{
    struct answer x = harness_call(h, a, OP_READ, path, h->root, NULL);
    const struct json *v = answer_data(a, &x);

    for (uint32_t i = 0; i < v->n; i++)
        buf_put_fmt(b, "%s: %.*s %.*s\n", path, PSTR(v->members[i].key),
                    PSTR(json_get_str(v->members[i].value, STR("type"))));
}

static size_t count(struct storage *s, struct arena *a, str prefix)
{
    str *names;
    size_t n, sum = 0;

    assert_ok(storage_list(s, a, prefix, &names, &n));
    for (size_t i = 0; i < n; i++)
        sum += str_ends(names[i], STR("/")) ? count(s, a, arena_join(a, prefix, names[i])) : 1;
    return sum;
}

static void wait_for_pending(struct harness *h, struct arena *a)
{
    int64_t until = clock_mono_ns(clock_real()) + PENDING_S * NS_PER_S;

    while (count(h->storage, a, STR("core/coffer-pending/")) > 0) {
        assert_true(clock_mono_ns(clock_real()) < until);
        sched_yield();
    }
    /* gone from the store is not yet published: a refused write is answered after what stood before it in the
     * lane */
    (void)harness_call(h, a, OP_UPDATE, "sys/policies/acl/root", h->root, "{\"policy\":\"x\"}");
}

static str state_of(struct harness *h, const struct world *w, bool with_counts)
{
    static const char *const parts[] = {
        "core/",          "sys/policy/", "sys/token/id/", "sys/token/accessor/", "sys/token/parent/",
        "sys/expire/id/", "logical/",    "audit/"};
    struct arena *a = h->arena;
    struct buf b;

    wait_for_pending(h, a);
    buf_init(&b, a, 1 << 20);
    note_names(&b, h, a, "sys/mounts");
    note_names(&b, h, a, "sys/audit");
    note(&b, h, a, OP_READ, "sys/mounts/secret/tune", h->root, NULL);
    note(&b, h, a, OP_LIST, "sys/policies/acl", h->root, NULL);
    note(&b, h, a, OP_READ, "sys/policies/acl/old", h->root, NULL);
    note(&b, h, a, OP_READ, "sys/policies/acl/new", h->root, NULL);
    note(&b, h, a, OP_READ, "secret/old", h->root, NULL);
    note(&b, h, a, OP_READ, "secret/new", h->root, NULL);
    note(&b, h, a, OP_LIST, "gone", h->root, NULL);
    for (int i = 0; i < T_COUNT; i++)
        note(&b, h, a, OP_UPDATE, "auth/token/lookup", h->root,
             arena_fmt(a, "{\"token\":\"%.*s\"}", PSTR(w->tokens[i])).p);
    for (int i = 0; i < T_WITH_CUBBYHOLE; i++) {
        note(&b, h, a, OP_READ, "cubbyhole/kept", w->tokens[i], NULL);
        note(&b, h, a, OP_READ, "cubbyhole/new", w->tokens[i], NULL);
    }
    for (size_t i = 0; with_counts && i < COUNT_OF(parts); i++)
        buf_put_fmt(&b, "%s %zu\n", parts[i], count(h->storage, a, str_from_cstr(parts[i])));
    return buf_str(&b);
}

/* ---- the requests ---- */

struct write {
    enum op op;
    const char *path, *body; /* $T, $A: token and accessor `of` */
    int of;
    int as;    /* the caller's token; -1: root */
    bool once; /* spends a use: cannot be sent again */
};

static const struct write writes[] = {
    {OP_UPDATE, "sys/mounts/new", "{\"type\":\"kv\"}", 0, -1, false},
    {OP_DELETE, "sys/mounts/gone", NULL, 0, -1, false},
    {OP_UPDATE, "sys/mounts/secret/tune", "{\"max_lease_ttl\":\"5h\"}", 0, -1, false},
    {OP_UPDATE, "sys/policies/acl/new", "{\"policy\":\"path \\\"b\\\" { capabilities = [\\\"list\\\"] }\"}",
     0, -1, false},
    {OP_UPDATE, "sys/policies/acl/old", "{\"policy\":\"path \\\"b\\\" { capabilities = [\\\"list\\\"] }\"}",
     0, -1, false},
    {OP_DELETE, "sys/policies/acl/old", NULL, 0, -1, false},
    {OP_UPDATE, "auth/token/create", "{\"policies\":[\"may\"],\"ttl\":\"3h\"}", 0, T_PLAIN, false},
    {OP_UPDATE, "auth/token/create", "{\"no_parent\":true}", 0, -1, false},
    {OP_UPDATE, "auth/token/renew", "{\"token\":\"$T\",\"increment\":\"9h\"}", T_PLAIN, -1, false},
    {OP_UPDATE, "auth/token/revoke", "{\"token\":\"$T\"}", T_PLAIN, -1, false},
    {OP_UPDATE, "auth/token/revoke", "{\"token\":\"$T\"}", T_TREE, -1, false},
    {OP_UPDATE, "auth/token/revoke", "{\"token\":\"$T\"}", T_ROOT, -1, false},
    {OP_UPDATE, "auth/token/revoke-accessor", "{\"accessor\":\"$A\"}", T_PLAIN, -1, false},
    {OP_UPDATE, "auth/token/revoke-accessor", "{\"accessor\":\"$A\"}", T_LEFT, -1, false},
    {OP_UPDATE, "auth/token/revoke-orphan", "{\"token\":\"$T\"}", T_TREE, -1, false},
    {OP_UPDATE, "auth/token/revoke-self", NULL, 0, T_PLAIN, false},
    {OP_UPDATE, "secret/new", "{\"v\":\"2\"}", 0, -1, false},
    {OP_UPDATE, "secret/old", "{\"v\":\"2\"}", 0, -1, false},
    {OP_DELETE, "secret/old", NULL, 0, -1, false},
    {OP_UPDATE, "secret/new", "{\"v\":\"2\"}", 0, T_ONCE, true},
    {OP_UPDATE, "cubbyhole/new", "{\"v\":\"2\"}", 0, T_PLAIN, false},
    {OP_DELETE, "cubbyhole/kept", NULL, 0, T_PLAIN, false},
    {OP_UPDATE, "sys/audit/new", "{\"type\":\"file\",\"options\":{\"file_path\":\"/dev/null\"}}", 0, -1,
     false},
    {OP_DELETE, "sys/audit/old", NULL, 0, -1, false},
};

static const char *fill_in(struct arena *a, const struct world *w, const struct write *x)
{
    str before, after, s = str_from_cstr(x->body);

    if (!x->body || !str_cut(s, '$', &before, &after))
        return x->body;
    str value = after.p[0] == 'T' ? w->tokens[x->of] : w->accessors[x->of];

    return arena_fmt(a, "%.*s%.*s%.*s", PSTR(before), PSTR(value), PSTR(str_from(after, 1))).p;
}

static struct answer send(struct harness *h, const struct world *w, const struct write *x)
{
    return harness_call(h, h->arena, x->op, x->path, x->as < 0 ? w->root : w->tokens[x->as],
                        fill_in(h->arena, w, x));
}

static void set_stop(const char *point, int n)
{
    char rule[64];

    snprintf(rule, sizeof(rule), "%s=stop:%d", point, n);
    assert_true(fault_set(str_from_cstr(rule)));
}

static int exit_of(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return STOPPED;
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* The request in a process of its own, stopped at the n-th time it comes to the point; or not, when it has
 * come to its end before. */
static bool is_stopped(const struct harness_options *o, const struct world *w, const struct write *x,
                       const char *point, int n)
{
    pid_t child = fork();

    if (child == 0) {
        struct harness h;

        harness_start(&h, o);
        set_stop(point, n);
        struct answer answer = send(&h, w, x);

        if (answer.failed)
            print_error("%s %s: %.*s\n", op_name(x->op), x->path, PSTR(answer.error));
        _exit(answer.failed);
    }
    int code = exit_of(child);

    assert_true(code == STOPPED || code == 0);
    return code == STOPPED;
}

static str state_in(const struct world *w, const char *folder, struct arena *a, const struct write *again,
                    bool with_counts)
{
    struct harness h;
    struct harness_options o = options_of(w, folder);

    harness_start(&h, &o);
    if (again) {
        wait_for_pending(&h, h.arena);
        (void)send(&h, w, again);
    }
    str s = arena_str(a, state_of(&h, w, with_counts));

    harness_stop(&h);
    return s;
}

static void must_be(const struct write *x, const char *when, str state, str before, str after)
{
    if (str_eq(state, before) || str_eq(state, after))
        return;
    print_error("%s %s, %s:\n%.*s\nis neither as before:\n%.*s\nnor as after it:\n%.*s\n", op_name(x->op),
                x->path, when, PSTR(state), PSTR(before), PSTR(after));
    assert_true(false);
}

static void stop_everywhere(const struct world *w, const struct write *x, const char *point, str before,
                            str after, bool whole)
{
    struct arena *a = arena_new(0);

    for (int n = 0;; n += n < EACH_STOP ? 1 : 7) {
        char folder[64];

        assert_true(n < STOPS_MAX);
        folder_copy(w->folder, folder);
        struct harness_options o = options_of(w, folder);
        bool stopped = is_stopped(&o, w, x, point, n);
        str when = arena_fmt(a, "stopped at %s %d", point, n), state = state_in(w, folder, a, NULL, whole);

        if (!stopped)
            must_be(x, "not stopped", state, after, after);
        else if (whole || !x->once)
            must_be(x, when.p, state, before, after);
        else if (str_find(state, STR("read secret/new: 200")) < state.n)
            must_be(x, "done, though its use is not counted", state, after, after);
        if (stopped && !whole && !x->once)
            must_be(x, arena_fmt(a, "%s and sent again", when.p).p, state_in(w, folder, a, x, whole), after,
                    after);
        harness_folder_remove(folder);
        if (!stopped)
            break;
    }
    arena_free(a);
}

static void each_write(const char *type, bool whole)
{
    struct world w;

    world_new(&w, type);
    for (size_t i = 0; i < COUNT_OF(writes); i++) {
        struct arena *a = arena_new(0);
        char folder[64];

        folder_copy(w.folder, folder);
        str before = state_in(&w, folder, a, NULL, whole), after = state_in(&w, folder, a, &writes[i], whole);

        harness_folder_remove(folder);
        assert_true(!whole || !str_eq(before, after));
        for (size_t p = 0; p < COUNT_OF(points) - whole; p++)
            stop_everywhere(&w, &writes[i], points[p], before, after, whole);
        arena_free(a);
    }
    world_free(&w);
}

static void on_sqlite(void **state)
{
    (void)state;
    each_write("sqlite", true);
}

static void on_file(void **state)
{
    (void)state;
    each_write("file", false);
}

/* ---- init: its answer is lost with the process, so a store that is there must be whole, and else it can
 * be initialised ---- */

static const char init_body[] = "{\"secret_shares\":1,\"secret_threshold\":1}";

/* On file what a stopped init left may lie beside what the second one made. */
static void check_init(const char *type, const char *folder, size_t n_entries)
{
    struct harness h;
    struct harness_options o = {.storage_type = type, .folder = folder, .stays_sealed = true};

    harness_start(&h, &o);
    struct answer a = harness_must(&h, 200, OP_READ, "sys/init", NULL);
    bool done = json_get_bool(answer_data(h.arena, &a), STR("initialized"));
    size_t n = count(h.storage, h.arena, (str){0});

    if (done || str_eq(str_from_cstr(type), STR("sqlite")))
        assert_int_equal(n, done ? n_entries : 0);
    harness_stop(&h);
    if (done)
        return;
    o.stays_sealed = false;
    harness_start(&h, &o);
    harness_mount(&h, "secret", "kv");
    harness_restart(&h);
    harness_must(&h, 200, OP_READ, "sys/mounts/secret", NULL);
    harness_must(&h, 200, OP_LIST, "auth/token/accessors", NULL);
    harness_stop(&h);
}

static void init(void **state)
{
    (void)state;
    static const char *const types[] = {"sqlite", "file"};

    for (size_t t = 0; t < COUNT_OF(types); t++) {
        struct arena *a = arena_new(0);
        struct harness h;

        harness_start(&h, &(struct harness_options){.storage_type = types[t], .stays_sealed = true});
        harness_must(&h, 200, OP_UPDATE, "sys/init", init_body);
        size_t n_entries = count(h.storage, h.arena, (str){0});

        harness_stop(&h);
        for (size_t p = 0; p < COUNT_OF(points) - (t == 0); p++)
            for (int n = 0;; n++) {
                char folder[64];

                assert_true(n < STOPS_MAX);
                folder_new(folder);
                struct harness_options o = {.storage_type = types[t], .folder = folder, .stays_sealed = true};
                bool stopped =
                    is_stopped(&o, &(struct world){0},
                               &(struct write){OP_UPDATE, "sys/init", init_body, 0, -1}, points[p], n);

                check_init(types[t], folder, n_entries);
                harness_folder_remove(folder);
                if (!stopped)
                    break;
            }
        arena_free(a);
    }
}

#if defined(__SANITIZE_THREAD__)
enum { LEFT_OUT = true };
#elif defined(__has_feature)
enum { LEFT_OUT = __has_feature(thread_sanitizer) };
#else
enum { LEFT_OUT = false };
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(on_sqlite), cmocka_unit_test(on_file),
                                       cmocka_unit_test(init)};

    if (LEFT_OUT) {
        print_message("left out: under ThreadSanitizer a fork takes half a second\n");
        return 77; /* to meson: skipped */
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
