#include "base/fault.h"
#include "base/metrics.h"
#include "core/active_private.h"
#include "core/lane.h"
#include "core/txn_private.h"
#include "core/volatile.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

void txn_begin(struct txn *t, struct active *a, struct arena *arena, enum txn_mode mode)
{
    *t = (struct txn){.active = a, .arena = arena, .mode = mode};
    t->hooks_end = t->hooks_kept = &t->hooks;
}

void txn_reads_begin(struct txn *t)
{
    t->n_reads = 0;
    t->n_spaces = 0;
    t->past_lru = false;
}

static void note_read(struct txn *t, struct space *s)
{
    t->n_reads++;
    for (unsigned i = 0; i < t->n_spaces; i++)
        if (t->reads[i].space == s)
            return;
    if (t->n_spaces == TXN_SPACES_MAX) {
        t->too_many_spaces = true;
        return;
    }
    /* begun before ended: a commit that ends in between is taken for one under way, never missed */
    uint64_t begun = atomic_load(&s->begun);

    t->reads[t->n_spaces++] =
        (struct txn_read){s, atomic_load(&s->seq), begun, atomic_load(&s->ended) != begun};
}

bool txn_reads_are_consistent(const struct txn *t)
{
    if (t->n_reads < 2)
        return true;
    if (t->too_many_spaces || FAULT(FAULT_VERSION_CHANGED))
        return false;
    for (unsigned i = 0; i < t->n_spaces; i++) {
        const struct txn_read *r = &t->reads[i];

        if ((r->seq & 1) || atomic_load(&r->space->seq) != r->seq)
            return false;
        if (t->past_lru && (r->under_way || atomic_load(&r->space->begun) != r->begun))
            return false;
    }
    return true;
}

void txn_drop_hooks(struct txn *t)
{
    for (struct txn_hook *h = t->hooks; h; h = h->next)
        if (h->drop)
            h->drop(h->arg);
    t->hooks = NULL;
    t->hooks_end = t->hooks_kept = &t->hooks;
}

void txn_fail(struct txn *t)
{
    struct txn_hook *dropped = *t->hooks_kept;

    t->n_writes = t->n_kept;
    *t->hooks_kept = NULL;
    t->hooks_end = t->hooks_kept;
    for (struct txn_hook *h = dropped; h; h = h->next)
        if (h->drop)
            h->drop(h->arg);
}

static struct error *stop(struct txn *t, enum txn_stop why)
{
    t->stop = why;
    return error_would_block();
}

static bool may_wait(const struct txn *t)
{
    return t->mode == TXN_POOL || t->mode == TXN_REHEARSAL || t->may_block;
}

static struct error *stored_error(struct txn *t, str path, enum barrier_result r)
{
    if (r == BARRIER_CLOSED)
        return error_new(t->arena, ERR_SEALED, "Vault is sealed");
    return error_new(t->arena, ERR_INTERNAL, "cannot decrypt the stored entry %.*s: damaged or moved",
                     PSTR(path));
}

static bool is_cacheable(const struct space *s, str path)
{
    return !str_starts(s->prefix, STR("sys/expire/")) && !str_eq(path, STR("core/seal-config")) &&
           !str_eq(path, STR("core/recovery-config"));
}

static bool is_in_memory(const struct txn *t, const struct space *s)
{
    return s == active_space(t->active, SPACE_MEMORY);
}

struct found {
    const struct txn_write *own; /* the newest own write, or NULL */
    bytes record;                /* p == NULL: absent */
    struct lru_entry *entry;     /* held by the arena, or NULL */
};

static void unref_entry(void *arg)
{
    lru_entry_unref(arg);
}

static struct error *fetch_backend(struct txn *t, struct space *s, str path, struct found *f)
{
    struct storage *backend = t->active->core->config.storage;

    if (backend->caps.blocking && !may_wait(t))
        return stop(t, TXN_WOULD_BLOCK);
    uint64_t seq = atomic_load(&s->seq);
    int64_t begun_ns = clock_mono_ns(clock_real());

    t->past_lru = true;
    TRY(storage_get(backend, t->arena, path, &f->record));
    metric_time(t->active->core->storage_metrics[STORAGE_GET], clock_mono_ns(clock_real()) - begun_ns, 1);
    /* in flight: it may be in the backend already, beside others of its group that the cache still has as
     * they were */
    if (backend->caps.blocking && (is_cacheable(s, path) || t->mode == TXN_REHEARSAL) &&
        !lane_overlay_has(t->active->lane, path))
        lru_fill(t->active->lru, s, seq, path, f->record);
    t->past_lru_always = t->past_lru_always || !lru_takes(t->active->lru, path, f->record.n);
    return NULL;
}

static struct error *fetch(struct txn *t, struct space *s, str path, struct found *f)
{
    if (t->stop != TXN_GO)
        return error_would_block();
    *f = (struct found){0};
    for (unsigned i = t->n_writes; i > 0; i--)
        if (str_eq(t->writes[i - 1].path, path)) {
            f->own = &t->writes[i - 1];
            return NULL;
        }
    note_read(t, s);
    if (arena_is_over(t->arena))
        return error_new(t->arena, ERR_TOO_LARGE, "the request needs too much memory");
    if (t->mode == TXN_LANE && lane_overlay_get(t->active->lane, t->arena, path, &f->record))
        return NULL;
    if (is_in_memory(t, s)) {
        volatile_get(t->active->volatiles, t->arena, path, &f->record);
        return NULL;
    }
    if (FAULT(FAULT_LRU_MISS) && !may_wait(t))
        return stop(t, TXN_WOULD_BLOCK);
    f->entry = lru_get(t->active->lru, path);
    metric_count(f->entry ? METRIC_CACHE_HIT : METRIC_CACHE_MISS, 1);
    if (!f->entry)
        return fetch_backend(t, s, path, f);
    arena_defer(t->arena, unref_entry, f->entry);
    f->record = f->entry->value;
    return NULL;
}

static struct error *open_record(struct txn *t, str path, bytes record, bytes *ret)
{
    if (!record.p) {
        *ret = (bytes){0};
        return NULL;
    }
    if (record.n < BARRIER_OVERHEAD_BYTES)
        return stored_error(t, path, BARRIER_DAMAGED);
    int64_t begun_ns = clock_mono_ns(clock_real());
    uint8_t *clear = arena_alloc(t->arena, record.n - BARRIER_OVERHEAD_BYTES);
    enum barrier_result r = barrier_open(t->active->barrier, clear, path, record);

    if (r != BARRIER_OK)
        return stored_error(t, path, r);
    metric_time(METRIC_BARRIER_GET, clock_mono_ns(clock_real()) - begun_ns, 1);
    *ret = (bytes){clear, record.n - BARRIER_OVERHEAD_BYTES};
    return NULL;
}

static str full_path(struct view *v, str path)
{
    return arena_join(v->txn->arena, v->space->prefix, path);
}

static struct error *get_full(struct txn *t, struct space *s, str path, bytes *ret)
{
    struct found f;

    TRY(fetch(t, s, path, &f));
    if (f.own) {
        *ret = f.own->deletes ? (bytes){0} : f.own->clear;
        return NULL;
    }
    if (is_in_memory(t, s)) {
        *ret = f.record;
        return NULL;
    }
    return open_record(t, path, f.record, ret);
}

struct arena *view_arena(const struct view *v)
{
    return v->txn->arena;
}

struct error *view_get(struct view *v, str path, bytes *ret)
{
    return get_full(v->txn, v->space, full_path(v, path), ret);
}

struct error *view_has(struct view *v, str path, bool *ret)
{
    struct found f;

    TRY(fetch(v->txn, v->space, full_path(v, path), &f));
    *ret = f.own ? !f.own->deletes : f.record.p != NULL;
    return NULL;
}

struct error *entry_json(struct arena *a, str path, bytes clear, struct json **ret)
{
    if (json_parse(a, str_from_bytes(clear), true, ret))
        return error_new(a, ERR_INTERNAL, "the stored entry %.*s is not valid JSON", PSTR(path));
    return NULL;
}

struct error *view_get_json(struct view *v, str path, struct json **ret)
{
    bytes clear;

    TRY(view_get(v, path, &clear));
    *ret = NULL;
    if (!clear.p)
        return NULL;
    return entry_json(v->txn->arena, full_path(v, path), clear, ret);
}

static void unref_object(void *arg)
{
    object_unref(arg);
}

struct error *view_get_object(struct view *v, str path, object_parse_fn *parse, struct object **ret)
{
    struct txn *t = v->txn;
    str full = full_path(v, path);
    struct found f;
    bytes clear;
    struct object *o;

    *ret = NULL;
    TRY(fetch(t, v->space, full, &f));
    if (f.entry && (o = lru_entry_object(f.entry)) != NULL) {
        arena_defer(t->arena, unref_object, o);
        *ret = o;
        return NULL;
    }
    if (f.own)
        clear = f.own->deletes ? (bytes){0} : f.own->clear;
    else
        TRY(open_record(t, full, f.record, &clear));
    if (!clear.p)
        return NULL;
    TRY(parse(t->arena, full, clear, &o));
    arena_defer(t->arena, unref_object, o);
    if (f.entry)
        lru_entry_set_object(t->active->lru, f.entry, o);
    *ret = o;
    return NULL;
}

static struct error *add_write(struct txn *t, struct txn_write w)
{
    const struct storage_caps *caps = &t->active->core->config.storage->caps;

    if (t->stop != TXN_GO)
        return error_would_block();
    if (t->mode == TXN_LOOP || t->mode == TXN_POOL)
        return stop(t, TXN_WANTS_LANE);
    if (w.path.n > caps->key_bytes_max)
        return error_new(t->arena, ERR_TOO_LARGE,
                         "the path is longer than storage takes: %zu bytes, at most %zu", w.path.n,
                         caps->key_bytes_max);
    if (w.in_memory && w.clear.n > VOLATILE_BYTES_MAX)
        return error_new(t->arena, ERR_TOO_LARGE,
                         "the value is larger than memory takes: %zu bytes, at most %d", w.clear.n,
                         VOLATILE_BYTES_MAX);
    if (w.in_memory && !w.deletes && !volatile_has_room(t->active->volatiles, w.clear.n))
        return error_new(t->arena, ERR_BUSY, "too many unfinished requests are remembered");
    if (w.clear.n + BARRIER_OVERHEAD_BYTES > caps->value_bytes_max)
        return error_new(t->arena, ERR_TOO_LARGE,
                         "the value is larger than storage takes: %zu bytes, at most %zu", w.clear.n,
                         caps->value_bytes_max - BARRIER_OVERHEAD_BYTES);
    if (t->n_writes == TXN_WRITES_MAX)
        return error_new(t->arena, ERR_INTERNAL,
                         "the request writes more entries than one transaction takes");
    if (t->n_writes == t->cap_writes) {
        unsigned cap = t->cap_writes ? t->cap_writes * 2 : 8;

        t->writes = arena_grow(t->arena, t->writes, t->cap_writes * sizeof(w), cap * sizeof(w));
        t->cap_writes = cap;
    }
    t->writes[t->n_writes++] = w;
    return NULL;
}

static struct txn_write write_of(struct view *v, str path)
{
    return (struct txn_write){.space = v->space,
                              .path = full_path(v, path),
                              .in_memory = is_in_memory(v->txn, v->space),
                              .expires_ns = VOLATILE_NEVER_NS};
}

struct error *view_put(struct view *v, str path, bytes clear)
{
    struct txn_write w = write_of(v, path);

    /* an empty value is a value: its pointer must not be NULL */
    w.clear = (bytes){arena_copy(v->txn->arena, clear.p ? clear.p : (const uint8_t *)"", clear.n), clear.n};
    return add_write(v->txn, w);
}

struct error *view_put_for(struct view *v, str path, bytes clear, int64_t ttl_ns)
{
    struct txn_write w = write_of(v, path);

    assert(w.in_memory);
    w.clear = (bytes){arena_copy(v->txn->arena, clear.p ? clear.p : (const uint8_t *)"", clear.n), clear.n};
    w.expires_ns = clock_mono_ns(active_clock(v->txn->active)) + ttl_ns;
    return add_write(v->txn, w);
}

struct error *view_put_json(struct view *v, str path, const struct json *value)
{
    struct buf b;

    buf_init(&b, v->txn->arena, SIZE_MAX);
    json_write(&b, value);
    buf_put_byte(&b, '\n');
    struct txn_write w = write_of(v, path);

    w.clear = buf_bytes(&b);
    return add_write(v->txn, w);
}

struct error *view_delete(struct view *v, str path)
{
    struct txn_write w = write_of(v, path);

    w.deletes = true;
    return add_write(v->txn, w);
}

struct error *txn_get_raw(struct txn *t, str path, bytes *ret)
{
    struct found f;

    TRY(fetch(t, active_space(t->active, SPACE_CORE), path, &f));
    if (f.own)
        *ret = f.own->deletes ? (bytes){0} : f.own->clear;
    else
        *ret = f.record;
    return NULL;
}

struct error *txn_put_raw(struct txn *t, str path, bytes value)
{
    struct txn_write w = {.space = active_space(t->active, SPACE_CORE),
                          .path = arena_str(t->arena, path),
                          .clear = arena_bytes(t->arena, value),
                          .raw = true};

    return add_write(t, w);
}

/* Listing: names from the backend, changed by the writes that are not there yet. */
struct name_set {
    struct arena *arena;
    str *names;
    size_t n, cap;
    str *folders; /* from which a write in flight deleted something: perhaps empty now */
    size_t n_folders, cap_folders;
};

static void push(struct arena *a, str **v, size_t *n, size_t *cap, str s)
{
    if (*n == *cap) {
        size_t more = *cap ? *cap * 2 : 16;

        *v = arena_grow(a, *v, *cap * sizeof(str), more * sizeof(str));
        *cap = more;
    }
    (*v)[(*n)++] = s;
}

static void apply_write(struct name_set *set, str prefix, str path, bool deletes)
{
    if (!str_starts(path, prefix) || path.n == prefix.n)
        return;
    str rest = str_from(path, prefix.n);
    size_t slash = str_index(rest, '/');
    bool nested = slash + 1 < rest.n;
    str name = nested ? str_slice(rest, 0, slash + 1) : rest;

    if (!deletes) {
        push(set->arena, &set->names, &set->n, &set->cap, name);
        return;
    }
    if (nested) {
        push(set->arena, &set->folders, &set->n_folders, &set->cap_folders, name);
        return;
    }
    for (size_t i = set->n; i > 0; i--)
        if (str_eq(set->names[i - 1], name))
            set->names[i - 1] = set->names[--set->n];
}

struct flying { /* a write in flight */
    struct flying *next;
    str path;
    bool deletes;
};

struct flying_list {
    struct arena *arena;
    str prefix;
    struct flying *first, **end;
};

static void note_flying(void *arg, str path, bool deletes)
{
    struct flying_list *list = arg;

    if (!str_starts(path, list->prefix))
        return;
    struct flying *f = ARENA_NEW(list->arena, struct flying);

    *f = (struct flying){.path = path, .deletes = deletes};
    *list->end = f;
    list->end = &f->next;
}

static int compare_names(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

static struct error *list_full(struct txn *t, struct space *s, str prefix, struct name_set *set);

static struct error *has_entries(struct txn *t, struct space *s, str prefix, bool *ret)
{
    struct name_set set = {.arena = t->arena};

    TRY(list_full(t, s, prefix, &set));
    *ret = set.n > 0;
    return NULL;
}

static struct error *list_full(struct txn *t, struct space *s, str prefix, struct name_set *set)
{
    struct storage *backend = t->active->core->config.storage;

    if (t->stop != TXN_GO)
        return error_would_block();
    note_read(t, s);
    if (backend->caps.blocking && !may_wait(t)) {
        t->stopped_by_list = true;
        return stop(t, TXN_WOULD_BLOCK);
    }
    t->past_lru = true;
    /* what is in flight is noted first: the backend may have it or not when it is asked, the outcome is the
     * same */
    struct flying_list flying = {.arena = t->arena, .prefix = prefix, .end = &flying.first};

    if (t->mode == TXN_LANE)
        lane_overlay_each(t->active->lane, t->arena, note_flying, &flying);
    int64_t begun_ns = clock_mono_ns(clock_real());

    TRY(storage_list(backend, t->arena, prefix, &set->names, &set->n));
    metric_time(t->active->core->storage_metrics[STORAGE_LIST], clock_mono_ns(clock_real()) - begun_ns, 1);
    set->cap = set->n;
    for (const struct flying *f = flying.first; f; f = f->next)
        apply_write(set, prefix, f->path, f->deletes);
    for (unsigned i = 0; i < t->n_writes; i++)
        apply_write(set, prefix, t->writes[i].path, t->writes[i].deletes);
    for (size_t i = 0; i < set->n_folders; i++) {
        bool some;

        TRY(has_entries(t, s, arena_join(t->arena, prefix, set->folders[i]), &some));
        for (size_t k = set->n; !some && k > 0; k--)
            if (str_eq(set->names[k - 1], set->folders[i]))
                set->names[k - 1] = set->names[--set->n];
    }
    if (set->n > 1)
        qsort(set->names, set->n, sizeof(str), compare_names);
    size_t unique = 0;

    for (size_t i = 0; i < set->n; i++)
        if (unique == 0 || !str_eq(set->names[unique - 1], set->names[i]))
            set->names[unique++] = set->names[i];
    set->n = unique;
    return NULL;
}

struct error *view_list(struct view *v, str prefix, str **ret_names, size_t *ret_n)
{
    struct name_set set = {.arena = v->txn->arena};

    int64_t begun_ns = clock_mono_ns(clock_real());

    assert(!is_in_memory(v->txn, v->space));
    TRY(list_full(v->txn, v->space, full_path(v, prefix), &set));
    metric_time(METRIC_BARRIER_LIST, clock_mono_ns(clock_real()) - begun_ns, 1);
    *ret_names = set.names;
    *ret_n = set.n;
    return NULL;
}

static str *room_for_one(struct arena *a, str *names, size_t n)
{
    enum { STEP = 64 };

    return n % STEP ? names : arena_grow(a, names, n * sizeof(*names), (n + STEP) * sizeof(*names));
}

struct error *view_list_all(struct view *v, str prefix, str **ret_names, size_t *ret_n)
{
    struct arena *a = v->txn->arena;
    str *folders = room_for_one(a, NULL, 0), *all = room_for_one(a, NULL, 0);
    size_t n_folders = 1, n_all = 0;

    folders[0] = (str){0};
    while (n_folders) {
        str folder = folders[--n_folders], *names;
        size_t n;

        TRY(view_list(v, arena_join(a, prefix, folder), &names, &n));
        for (size_t i = 0; i < n; i++) {
            bool deeper = str_ends(names[i], STR("/"));
            str name = arena_join(a, folder, names[i]);

            if (deeper) {
                folders = room_for_one(a, folders, n_folders);
                folders[n_folders++] = name;
            } else {
                all[n_all++] = name;
                all = room_for_one(a, all, n_all);
            }
        }
        if (arena_is_over(a))
            return error_new(a, ERR_TOO_LARGE, "too many entries to list");
    }
    *ret_names = all;
    *ret_n = n_all;
    return NULL;
}

static struct error *clear_below(struct view *v, str prefix, unsigned *left, unsigned depth)
{
    str *names;
    size_t n;

    if (depth > 256)
        return error_new(v->txn->arena, ERR_INTERNAL, "the folder %.*s is nested too deep", PSTR(prefix));
    TRY(view_list(v, prefix, &names, &n));
    for (size_t i = 0; i<n && * left> 0; i++) {
        str path = arena_join(v->txn->arena, prefix, names[i]);

        if (str_ends(names[i], STR("/"))) {
            TRY(clear_below(v, path, left, depth + 1));
        } else {
            TRY(view_delete(v, path));
            (*left)--;
        }
    }
    return NULL;
}

struct error *view_clear(struct view *v, str prefix, unsigned max, bool *ret_done)
{
    unsigned left = max;

    TRY(clear_below(v, prefix, &left, 0));
    *ret_done = left > 0;
    return NULL;
}

void txn_keep(struct txn *t)
{
    t->n_kept = t->n_writes;
    t->hooks_kept = t->hooks_end;
}

void txn_on_commit(struct txn *t, void (*fn)(struct active *a, void *arg), void (*drop)(void *arg), void *arg)
{
    struct txn_hook *h = ARENA_NEW(t->arena, struct txn_hook);

    *h = (struct txn_hook){.fn = fn, .drop = drop, .arg = arg};
    *t->hooks_end = h;
    t->hooks_end = &h->next;
}

static void measure(struct txn *t, uint16_t metric, int64_t ns)
{
    struct txn_measure *m = ARENA_NEW(t->arena, struct txn_measure);

    *m = (struct txn_measure){.next = t->measures, .metric = metric, .ns = ns};
    t->measures = m;
}

void txn_time(struct txn *t, uint16_t metric, int64_t begun_ns)
{
    measure(t, metric, MAX(clock_mono_ns(clock_real()) - begun_ns, 0));
}

void txn_count(struct txn *t, uint16_t metric)
{
    measure(t, metric, -1);
}

void txn_measured(struct txn *t)
{
    for (const struct txn_measure *m = t->measures; m; m = m->next)
        if (m->ns < 0)
            metric_count(m->metric, 1);
        else
            metric_time(m->metric, m->ns, 1);
    t->measures = NULL;
}

struct error *txn_exclusive(struct txn *t)
{
    if (t->stop != TXN_GO)
        return error_would_block();
    if (t->mode == TXN_LOOP || t->mode == TXN_POOL)
        return stop(t, TXN_WANTS_LANE);
    if (t->mode == TXN_LANE && !t->exclusive)
        return stop(t, TXN_WANTS_EXCLUSIVE);
    return NULL;
}

bool txn_has_writes(const struct txn *t)
{
    return t->n_writes > 0;
}

struct view txn_view(struct txn *t, enum core_space which)
{
    return (struct view){t, active_space(t->active, which)};
}

struct space *txn_space(struct txn *t, enum core_space which)
{
    return active_space(t->active, which);
}

struct view txn_mount_view(struct txn *t, const struct mount *m)
{
    return (struct view){t, m->space};
}

uint64_t space_version(struct space *s)
{
    return atomic_load(&s->seq);
}
