#include "core/lease/lease_index.h"

#include "base/encode.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/secure.h"

#include <stdlib.h>

enum {
    SHARDS = 16,
    BUCKETS_MIN = 64,
    NAME_BYTES_MAX = 255,
    NOT_IN_HEAP = UINT32_MAX,
    RETRY_DOUBLINGS_MAX = 8
};
enum form { FORM_TEXT, FORM_HEX, FORM_H_HEX /* 'h' and hex */ };

struct lease_path {
    struct lease_path *next;
    uint64_t hash;
    uint32_t refs;
    uint32_t n;
    char text[];
};

struct record {
    struct record *next;
    struct lease_path *path;
    int64_t due_ns;
    uint32_t slot;
    uint8_t attempts;
    uint8_t state;
    uint8_t form;
    uint8_t n;
    uint8_t name[];
};

struct key {
    str path;
    enum form form;
    uint8_t n;
    uint8_t name[NAME_BYTES_MAX];
    uint64_t hash;
};

struct shard {
    struct mutex mutex;
    struct record **buckets;
    struct lease_path **paths;
    size_t n_buckets, n_records;
    size_t n_path_buckets, n_paths;
    struct record **heap;
    size_t n_heap, cap_heap;
    size_t n_state[LEASE_GONE + 1];
};

struct lease_index {
    struct shard shards[SHARDS];
};

static void *must(void *p)
{
    if (!p)
        die("out of memory");
    return p;
}

/* ---- keys ---- */

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool lower_hex(str s, uint8_t *out)
{
    for (size_t i = 0; i + 1 < s.n; i += 2) {
        int hi = nibble(s.p[i]), lo = nibble(s.p[i + 1]);

        if (hi < 0 || lo < 0)
            return false;
        out[i / 2] = (uint8_t)(hi << 4 | lo);
    }
    return s.n % 2 == 0;
}

/* False: a name longer than any lease has. */
static bool key_make(str path, str name, struct key *k)
{
    k->path = path;
    if (name.n == 65 && name.p[0] == 'h' && lower_hex(str_from(name, 1), k->name)) {
        k->form = FORM_H_HEX;
        k->n = 32;
    } else if (name.n == 40 && lower_hex(name, k->name)) {
        k->form = FORM_HEX;
        k->n = 20;
    } else {
        if (name.n > NAME_BYTES_MAX)
            return false;
        k->form = FORM_TEXT;
        k->n = (uint8_t)name.n;
        if (name.n)
            memcpy(k->name, name.p, name.n);
    }
    if (k->form == FORM_TEXT)
        k->hash = str_hash(name);
    else /* salted hashes are as random as any hash of them */
        memcpy(&k->hash, k->name, sizeof(k->hash));
    return true;
}

static bool key_of_id(str id, struct key *k)
{
    size_t slash = str_rindex(id, '/');

    if (slash == id.n)
        return key_make((str){0}, id, k);
    return key_make(str_slice(id, 0, slash), str_from(id, slash + 1), k);
}

static str record_id(struct arena *a, const struct record *r)
{
    char hex[2 * NAME_BYTES_MAX];
    str path = {r->path->text, r->path->n};
    str name = {(const char *)r->name, r->n};

    if (r->form != FORM_TEXT) {
        hex_encode_to(hex, (bytes){r->name, r->n});
        name = (str){hex, (size_t)2 * r->n};
    }
    return arena_fmt(a, "%.*s%s%s%.*s", PSTR(path), path.n ? "/" : "", r->form == FORM_H_HEX ? "h" : "",
                     PSTR(name));
}

/* ---- map ---- */

static struct shard *shard_of(struct lease_index *ix, const struct key *k)
{
    return &ix->shards[k->hash % SHARDS];
}

static struct record **bucket_of(struct shard *s, uint64_t hash)
{
    return &s->buckets[(hash / SHARDS) & (s->n_buckets - 1)];
}

static bool record_is(const struct record *r, const struct key *k)
{
    return r->form == k->form && r->n == k->n && memcmp(r->name, k->name, k->n) == 0 &&
           str_eq((str){r->path->text, r->path->n}, k->path);
}

static struct record *find(struct shard *s, const struct key *k)
{
    struct record *r = *bucket_of(s, k->hash);

    while (r && !record_is(r, k))
        r = r->next;
    return r;
}

static uint64_t record_hash(const struct record *r)
{
    uint64_t h;

    if (r->form == FORM_TEXT)
        return str_hash((str){(const char *)r->name, r->n});
    memcpy(&h, r->name, sizeof(h));
    return h;
}

static void grow_map(struct shard *s)
{
    struct record **old = s->buckets;
    size_t n = s->n_buckets;

    s->n_buckets = n * 2;
    s->buckets = must(calloc(s->n_buckets, sizeof(*s->buckets)));
    for (size_t i = 0; i < n; i++)
        for (struct record *r = old[i], *next; r; r = next) {
            struct record **to = bucket_of(s, record_hash(r));

            next = r->next;
            r->next = *to;
            *to = r;
        }
    free(old);
}

static void grow_paths(struct shard *s)
{
    struct lease_path **old = s->paths;
    size_t n = s->n_path_buckets;

    s->n_path_buckets = n * 2;
    s->paths = must(calloc(s->n_path_buckets, sizeof(struct lease_path *)));
    for (size_t i = 0; i < n; i++)
        for (struct lease_path *p = old[i], *next; p; p = next) {
            struct lease_path **to = &s->paths[p->hash & (s->n_path_buckets - 1)];

            next = p->next;
            p->next = *to;
            *to = p;
        }
    free(old);
}

static struct lease_path *path_ref(struct shard *s, str text)
{
    uint64_t hash = str_hash(text);
    struct lease_path **at = &s->paths[hash & (s->n_path_buckets - 1)];

    for (struct lease_path *p = *at; p; p = p->next)
        if (p->hash == hash && str_eq((str){p->text, p->n}, text)) {
            p->refs++;
            return p;
        }
    struct lease_path *p = must(malloc(sizeof(*p) + text.n));

    *p = (struct lease_path){.next = *at, .hash = hash, .refs = 1, .n = (uint32_t)text.n};
    if (text.n)
        memcpy(p->text, text.p, text.n);
    *at = p;
    if (++s->n_paths > s->n_path_buckets)
        grow_paths(s);
    return p;
}

static void path_unref(struct shard *s, struct lease_path *p)
{
    if (--p->refs > 0)
        return;
    struct lease_path **at = &s->paths[p->hash & (s->n_path_buckets - 1)];

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    s->n_paths--;
    free(p);
}

/* ---- heap ---- */

static void heap_place(struct shard *s, size_t i, struct record *r)
{
    s->heap[i] = r;
    r->slot = (uint32_t)i;
}

static void heap_fix(struct shard *s, size_t i)
{
    struct record *r = s->heap[i];

    while (i > 0 && s->heap[(i - 1) / 2]->due_ns > r->due_ns) {
        heap_place(s, i, s->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (size_t child; (child = 2 * i + 1) < s->n_heap; i = child) {
        if (child + 1 < s->n_heap && s->heap[child + 1]->due_ns < s->heap[child]->due_ns)
            child++;
        if (s->heap[child]->due_ns >= r->due_ns)
            break;
        heap_place(s, i, s->heap[child]);
    }
    heap_place(s, i, r);
}

static void heap_add(struct shard *s, struct record *r)
{
    if (s->n_heap == s->cap_heap) {
        s->cap_heap = s->cap_heap ? s->cap_heap * 2 : BUCKETS_MIN;
        s->heap = must(realloc(s->heap, s->cap_heap * sizeof(struct record *)));
    }
    heap_place(s, s->n_heap++, r);
    heap_fix(s, r->slot);
}

static void heap_remove(struct shard *s, struct record *r)
{
    size_t i = r->slot;

    if (r->slot == NOT_IN_HEAP)
        return;
    r->slot = NOT_IN_HEAP;
    struct record *last = s->heap[--s->n_heap];

    if (last != r) {
        heap_place(s, i, last);
        heap_fix(s, i);
    }
}

/* ---- records ---- */

static void set_state(struct shard *s, struct record *r, enum lease_state state, int64_t due_ns)
{
    heap_remove(s, r);
    s->n_state[r->state]--;
    s->n_state[state]++;
    r->state = (uint8_t)state;
    r->due_ns = due_ns;
    if ((state == LEASE_LIVE && due_ns != INT64_MIN) || state == LEASE_RETRY)
        heap_add(s, r);
}

static struct record *add(struct shard *s, const struct key *k)
{
    struct record **at, *r = must(malloc(sizeof(*r) + k->n));

    if (s->n_records >= s->n_buckets)
        grow_map(s);
    at = bucket_of(s, k->hash);
    *r = (struct record){.next = *at,
                         .path = path_ref(s, k->path),
                         .slot = NOT_IN_HEAP,
                         .state = LEASE_GONE,
                         .form = (uint8_t)k->form,
                         .n = k->n};
    memcpy(r->name, k->name, k->n);
    *at = r;
    s->n_records++;
    s->n_state[LEASE_GONE]++;
    return r;
}

static void drop(struct shard *s, struct record *r)
{
    struct record **at = bucket_of(s, record_hash(r));

    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    heap_remove(s, r);
    s->n_records--;
    s->n_state[r->state]--;
    path_unref(s, r->path);
    free(r);
}

struct lease_index *lease_index_new(void)
{
    struct lease_index *ix = must(calloc(1, sizeof(*ix)));

    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &ix->shards[i];

        mutex_init(&s->mutex);
        s->n_buckets = s->n_path_buckets = BUCKETS_MIN;
        s->buckets = must(calloc(BUCKETS_MIN, sizeof(struct record *)));
        s->paths = must(calloc(BUCKETS_MIN, sizeof(struct lease_path *)));
    }
    return ix;
}

void lease_index_free(struct lease_index *ix)
{
    if (!ix)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &ix->shards[i];

        for (size_t b = 0; b < s->n_buckets; b++)
            while (s->buckets[b])
                drop(s, s->buckets[b]);
        free(s->buckets);
        free(s->paths);
        free(s->heap);
        mutex_done(&s->mutex);
    }
    free(ix);
}

void lease_index_put(struct lease_index *ix, str lease_id, int64_t expire_ns)
{
    struct key k;

    if (!key_of_id(lease_id, &k))
        return;
    struct shard *s = shard_of(ix, &k);

    mutex_lock(&s->mutex);
    struct record *r = find(s, &k);

    if (!r)
        r = add(s, &k);
    r->attempts = 0;
    set_state(s, r, LEASE_LIVE, expire_ns);
    mutex_unlock(&s->mutex);
}

void lease_index_load(struct lease_index *ix, str lease_id, int64_t expire_ns, enum lease_state state)
{
    struct key k;

    if (!key_of_id(lease_id, &k))
        return;
    struct shard *s = shard_of(ix, &k);

    mutex_lock(&s->mutex);
    if (!find(s, &k))
        set_state(s, add(s, &k), state, expire_ns);
    mutex_unlock(&s->mutex);
}

void lease_index_remove(struct lease_index *ix, str lease_id, bool keep_mark)
{
    struct key k;

    if (!key_of_id(lease_id, &k))
        return;
    struct shard *s = shard_of(ix, &k);

    mutex_lock(&s->mutex);
    struct record *r = find(s, &k);

    if (keep_mark)
        set_state(s, r ? r : add(s, &k), LEASE_GONE, 0);
    else if (r)
        drop(s, r);
    mutex_unlock(&s->mutex);
}

void lease_index_loaded(struct lease_index *ix)
{
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &ix->shards[i];

        mutex_lock(&s->mutex);
        for (size_t b = 0; b < s->n_buckets && s->n_state[LEASE_GONE] > 0; b++)
            for (struct record *r = s->buckets[b], *next; r; r = next) {
                next = r->next;
                if (r->state == LEASE_GONE)
                    drop(s, r);
            }
        mutex_unlock(&s->mutex);
    }
}

bool lease_index_is_live(struct lease_index *ix, str path, str name, int64_t now_ns)
{
    struct key k;

    if (!key_make(path, name, &k))
        return false;
    struct shard *s = shard_of(ix, &k);

    mutex_lock(&s->mutex);
    const struct record *r = find(s, &k);
    bool live = r && r->state == LEASE_LIVE && (r->due_ns == INT64_MIN || r->due_ns > now_ns);

    mutex_unlock(&s->mutex);
    return live;
}

size_t lease_index_take_due(struct lease_index *ix, struct arena *a, int64_t now_ns, size_t max, str *ret_ids)
{
    size_t n = 0;

    for (size_t i = 0; i < SHARDS && n < max; i++) {
        struct shard *s = &ix->shards[i];

        mutex_lock(&s->mutex);
        while (n < max && s->n_heap > 0 && s->heap[0]->due_ns <= now_ns) {
            struct record *r = s->heap[0];

            ret_ids[n++] = record_id(a, r);
            set_state(s, r, LEASE_REVOKING, r->due_ns);
        }
        mutex_unlock(&s->mutex);
    }
    return n;
}

/* Finds the record of an id and locks its shard; NULL: there is none, nothing is locked. */
static struct record *find_locked(struct lease_index *ix, str lease_id, struct shard **ret_shard) UNCHECKED
{
    struct key k;

    if (!key_of_id(lease_id, &k))
        return NULL;
    struct shard *s = shard_of(ix, &k);

    mutex_lock(&s->mutex);
    struct record *r = find(s, &k);

    if (!r)
        mutex_unlock(&s->mutex);
    *ret_shard = s;
    return r;
}

unsigned lease_index_retry(struct lease_index *ix, str lease_id, int64_t now_ns, int64_t delay_ns,
                           bool counted) UNCHECKED
{
    struct shard *s;
    struct record *r = find_locked(ix, lease_id, &s);

    if (!r)
        return 0;
    if (r->state == LEASE_REVOKING) {
        set_state(s, r, LEASE_RETRY, now_ns + (delay_ns << MIN(r->attempts, RETRY_DOUBLINGS_MAX)));
        r->attempts = (uint8_t)MIN(r->attempts + counted, UINT8_MAX);
    }
    unsigned attempts = r->attempts;

    mutex_unlock(&s->mutex);
    return attempts;
}

void lease_index_live(struct lease_index *ix, str lease_id, int64_t expire_ns) UNCHECKED
{
    struct shard *s;
    struct record *r = find_locked(ix, lease_id, &s);

    if (!r)
        return;
    if (r->state == LEASE_REVOKING)
        set_state(s, r, LEASE_LIVE, expire_ns);
    mutex_unlock(&s->mutex);
}

void lease_index_give_up(struct lease_index *ix, str lease_id) UNCHECKED
{
    struct shard *s;
    struct record *r = find_locked(ix, lease_id, &s);

    if (!r)
        return;
    if (r->state == LEASE_RETRY || r->state == LEASE_REVOKING)
        set_state(s, r, LEASE_IRREVOCABLE, r->due_ns);
    mutex_unlock(&s->mutex);
}

int64_t lease_index_next_due(struct lease_index *ix)
{
    int64_t next = INT64_MAX;

    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &ix->shards[i];

        mutex_lock(&s->mutex);
        if (s->n_heap > 0)
            next = MIN(next, s->heap[0]->due_ns);
        mutex_unlock(&s->mutex);
    }
    return next;
}

size_t lease_index_count(struct lease_index *ix, enum lease_state state)
{
    size_t n = 0;

    for (size_t i = 0; i < SHARDS; i++) {
        mutex_lock(&ix->shards[i].mutex);
        n += ix->shards[i].n_state[state];
        mutex_unlock(&ix->shards[i].mutex);
    }
    return n;
}

void lease_index_count_due(struct lease_index *ix, int64_t from_ns, int64_t step_ns, uint64_t *counts,
                           size_t n)
{
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &ix->shards[i];

        mutex_lock(&s->mutex);
        for (size_t k = 0; k < s->n_heap; k++) {
            int64_t due_ns = s->heap[k]->due_ns;

            if (due_ns >= from_ns && (uint64_t)(due_ns - from_ns) / (uint64_t)step_ns < n)
                counts[(due_ns - from_ns) / step_ns]++;
        }
        mutex_unlock(&s->mutex);
    }
}

size_t lease_index_ids(struct lease_index *ix, struct arena *a, enum lease_state state, size_t max,
                       str *ret_ids)
{
    size_t n = 0;

    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &ix->shards[i];

        mutex_lock(&s->mutex);
        for (size_t b = 0; b < s->n_buckets && s->n_state[state] > 0; b++)
            for (const struct record *r = s->buckets[b]; r && n < max; r = r->next)
                if (r->state == state)
                    ret_ids[n++] = record_id(a, r);
        mutex_unlock(&s->mutex);
    }
    return n;
}

size_t lease_index_count_path(struct lease_index *ix, str path, bool below)
{
    size_t n = 0;

    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &ix->shards[i];

        mutex_lock(&s->mutex);
        for (size_t k = 0; k < s->n_path_buckets; k++)
            for (const struct lease_path *p = s->paths[k]; p; p = p->next) {
                str text = {p->text, p->n};

                n += (below ? str_starts(text, path) : str_eq(text, path)) ? p->refs : 0;
            }
        mutex_unlock(&s->mutex);
    }
    return n;
}

size_t lease_index_total(struct lease_index *ix)
{
    size_t n = 0;

    for (size_t i = 0; i < SHARDS; i++) {
        mutex_lock(&ix->shards[i].mutex);
        n += ix->shards[i].n_records - ix->shards[i].n_state[LEASE_GONE];
        mutex_unlock(&ix->shards[i].mutex);
    }
    return n;
}
