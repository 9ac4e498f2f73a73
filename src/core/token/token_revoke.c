#include "core/cubbyhole/cubbyhole.h"
#include "core/lease/member.h"
#include "core/lease/walk.h"
#include "core/token/token_private.h"

/* Backends take a bounded number of entries in one transaction: a tree goes in steps, leaves first. */
enum {
    TOKEN_ENTRIES = 4 /* parent, accessor, lease, id */,
    MARK_ENTRIES = 2,
    STEP_LISTS = 256,
    CYCLE_DEPTH = 1024 /* below it only every so many levels look for a cycle: a deep tree stays cheap */
};

struct revoke {
    struct request *rq;
    struct view tokens;
    unsigned left;  /* entries that this step may still write */
    unsigned lists; /* folders listed */
    struct walk
        *walk; /* folders: a token and the names of its children; the bottom one holds the token itself */
    size_t at; /* in its top level */
    bool wrote, full;
};

static str id_path(struct revoke *r, str hash)
{
    return arena_join(r->rq->arena, STR("id/"), hash);
}

static str pending_path(struct arena *a, str hash)
{
    return arena_join(a, STR("coffer-pending/"), hash);
}

static struct error *list_children(struct revoke *r, str hash, str **ret_names, size_t *ret_n)
{
    r->lists++;
    return view_list(&r->tokens, arena_fmt(r->rq->arena, "parent/%.*s/", PSTR(hash)), ret_names, ret_n);
}

static struct error *unlink_child(struct revoke *r, str parent, str child)
{
    r->left -= MIN(r->left, 1);
    return view_delete(&r->tokens, arena_fmt(r->rq->arena, "parent/%.*s/%.*s", PSTR(parent), PSTR(child)));
}

/* Dead from now on, and remembered over a restart. */
static struct error *mark(struct revoke *r, const struct token_entry *te, bool orphans)
{
    struct arena *a = r->rq->arena;
    struct view core = txn_view(r->rq->txn, SPACE_CORE);
    struct json *pending = json_object(a), *stored;
    str hash = str_from_cstr(te->hash);
    bool has = false;

    if (te->num_uses == -1) /* by an earlier step, or by its last use */
        TRY(view_has(&core, pending_path(a, hash), &has));
    if (has)
        return NULL;
    json_set_str(a, pending, STR("what"), STR("token-revoke"));
    json_set_str(a, pending, STR("where"), te->id);
    json_set_bool(a, pending, STR("orphans"), orphans);
    TRY(view_put_json(&core, pending_path(a, hash), pending));
    TRY(view_get_json(&r->tokens, id_path(r, hash), &stored));
    json_set_int(a, stored, STR("num_uses"), -1);
    TRY(view_put_json(&r->tokens, id_path(r, hash), stored));
    r->left -= MIN(r->left, MARK_ENTRIES);
    return NULL;
}

/* Deletes one token that has no children. ret_done false: the step has no room left for it. */
static struct error *delete_token(struct revoke *r, str hash, str parent_hash, bool *ret_done)
{
    struct arena *a = r->rq->arena;
    const struct token_entry *te;
    unsigned used;
    char name[TOKEN_HASH_MAX + 1];

    *ret_done = false;
    if (r->left <= TOKEN_ENTRIES)
        return NULL;
    TRY(token_load_hash(r->rq, hash, &te));
    if (!te) { /* cut short before, or never there */
        *ret_done = true;
        return parent_hash.n ? unlink_child(r, parent_hash, hash) : NULL;
    }
    /* first: without it the token is dead, whatever is left, unless it is an endless root's */
    TRY(lease_delete(r->rq, token_lease_id(a, te)));
    unsigned for_leases = r->left - TOKEN_ENTRIES;

    TRY(lease_expire_of_token(r->rq, hash, &for_leases, ret_done));
    r->left = for_leases + TOKEN_ENTRIES;
    if (!*ret_done)
        return NULL;
    TRY(cubbyhole_clear(r->rq, te, for_leases, &used, ret_done));
    if (!*ret_done)
        return NULL;
    r->left -= used;
    if (te->parent.n) {
        token_hash(active_tokens(r->rq->active), te->parent, name);
        TRY(unlink_child(r, str_from_cstr(name), hash));
    }
    if (te->accessor.n) {
        token_hash(active_tokens(r->rq->active), te->accessor, name);
        TRY(view_delete(&r->tokens, arena_fmt(a, "accessor/%s", name)));
    }
    r->left -= MIN(r->left, TOKEN_ENTRIES - 1);
    return view_delete(&r->tokens, id_path(r, hash));
}

/* Walked into already, or has some to walk into. */
static struct error *token_has_children(struct revoke *r, const struct token_entry *te, bool *ret)
{
    str *names;
    size_t n = 1;

    if (walk_depth(r->walk) == 1)
        TRY(list_children(r, str_from_cstr(te->hash), &names, &n));
    *ret = n > 0;
    return NULL;
}

/* An index entry left over from a token that was made an orphan, or of a damaged store (a token below
 * itself). */
static struct error *is_stray(struct revoke *r, str child, bool *ret)
{
    const struct token_entry *te;
    size_t depth = walk_depth(r->walk);

    *ret = (depth < CYCLE_DEPTH || depth % CYCLE_DEPTH == 0) && walk_is_inside(r->walk, child);
    if (*ret || depth == 1)
        return NULL;
    TRY(token_load_hash(r->rq, child, &te));
    *ret = te && te->parent.n == 0;
    return NULL;
}

static struct error *delete_named(struct revoke *r, str hash, size_t next_at)
{
    unsigned before = r->left;
    bool done;

    TRY(delete_token(r, hash, walk_folder(r->walk), &done));
    r->wrote = r->wrote || r->left < before;
    r->full = !done;
    if (done)
        r->at = next_at;
    return NULL;
}

/* The next name of the top level: without children it is deleted, else they are next. */
static struct error *visit(struct revoke *r, str hash, size_t next_at)
{
    str *names;
    size_t n;
    bool stray;

    TRY(is_stray(r, hash, &stray));
    if (stray) {
        r->wrote = true;
        r->at = next_at;
        return unlink_child(r, walk_folder(r->walk), hash);
    }
    TRY(list_children(r, hash, &names, &n));
    if (n == 0)
        return delete_named(r, hash, next_at);
    if (walk_depth(r->walk) == WALK_DEPTH_MAX)
        return fail(r->rq, ERR_INTERNAL, "tokens are nested too deep");
    r->full = r->wrote; /* a step writes in one level */
    if (!r->full) {
        walk_push(r->walk, hash, names, n);
        r->at = 0;
    }
    return NULL;
}

/* The names of the top level are used up: are there more? ret_done: it was the bottom one. */
static struct error *look_again(struct revoke *r, bool *ret_done)
{
    str *names;
    size_t n;

    *ret_done = walk_depth(r->walk) == 1;
    if (*ret_done)
        return NULL;
    r->full = r->wrote;
    if (r->full)
        return NULL;
    r->at = 0;
    TRY(list_children(r, walk_folder(r->walk), &names, &n));
    if (n > 0)
        walk_refill(r->walk, names, n, false);
    else
        walk_pop(r->walk); /* and now the token itself */
    return NULL;
}

/* Deletes a token and what is below it, depth first, as far as the step goes. */
static struct error *delete_tree(struct revoke *r, bool *ret_done)
{
    str hash;

    while (!r->full && !*ret_done) {
        size_t next_at = r->at;
        bool more = walk_next(r->walk, &next_at, &hash);

        if (more && (r->left == 0 || r->lists >= STEP_LISTS))
            return NULL;
        TRY(more ? visit(r, hash, next_at) : look_again(r, ret_done));
    }
    return NULL;
}

static struct error *make_orphan(struct revoke *r, str child)
{
    struct json *stored;

    TRY(view_get_json(&r->tokens, id_path(r, child), &stored));
    if (stored) {
        json_set_str(r->rq->arena, stored, STR("parent"), (str){0});
        TRY(view_put_json(&r->tokens, id_path(r, child), stored));
        r->left--;
    }
    return unlink_child(r, walk_folder(r->walk), child);
}

/* Makes its children orphans, then deletes it: when a look in the same step shows that it has none. */
static struct error *delete_alone(struct revoke *r, str hash, bool *ret_done)
{
    str *names, child;
    size_t n;

    if (walk_depth(r->walk) == 1)
        walk_push(r->walk, hash, NULL, 0);
    while (r->left > TOKEN_ENTRIES && r->lists < STEP_LISTS) {
        size_t next_at = r->at;

        if (walk_next(r->walk, &next_at, &child)) {
            TRY(make_orphan(r, child));
            r->wrote = true;
            r->at = next_at;
            continue;
        }
        if (r->wrote)
            return NULL;
        TRY(list_children(r, hash, &names, &n));
        if (n == 0)
            return delete_token(r, hash, (str){0}, ret_done);
        walk_refill(r->walk, names, n, false);
        r->at = 0;
    }
    return NULL;
}

static void walk_begin(struct revoke *r, const struct token_entry *te, bool orphans)
{
    str hash = str_from_cstr(te->hash);
    bool is_new;

    r->walk =
        walk_of(r->rq, WALK_TOKENS, arena_fmt(r->rq->arena, "%s%s", te->hash, orphans ? "!" : ""), &is_new);
    if (is_new)
        walk_push(r->walk, (str){0}, &hash, 1);
}

static struct error *revoke_within(struct request *rq, str inner_id, bool orphans, unsigned *left,
                                   bool *ret_done)
{
    struct revoke r = {.rq = rq, .tokens = txn_view(rq->txn, SPACE_TOKEN), .left = *left};
    struct view core = txn_view(rq->txn, SPACE_CORE);
    int64_t begun_ns = clock_mono_ns(clock_real());
    const struct token_entry *te;
    bool has_children;

    *ret_done = true;
    TRY(token_load(rq, inner_id, &te));
    if (!te)
        return NULL;
    *ret_done = false;
    if (r.left <= TOKEN_ENTRIES + MARK_ENTRIES)
        return NULL;
    walk_begin(&r, te, orphans);
    str hash = str_from_cstr(te->hash);

    TRY(token_has_children(&r, te, &has_children));
    bool needs_mark = has_children || token_is_endless_root(te); /* losing its lease does not end it */
    bool marked = te->num_uses == -1 || needs_mark;

    if (needs_mark)
        TRY(mark(&r, te, orphans));
    TRY(orphans ? delete_alone(&r, hash, ret_done) : delete_tree(&r, ret_done));
    if (!*ret_done && !marked)
        TRY(mark(&r, te, orphans)); /* a big cubbyhole, many leases */
    if (*ret_done && marked)
        TRY(view_delete(&core, pending_path(rq->arena, hash)));
    if (*ret_done) {
        walk_end(rq, WALK_TOKENS);
        txn_time(rq->txn, orphans ? METRIC_TOKEN_REVOKE : METRIC_TOKEN_REVOKE_TREE, begun_ns);
    } else if (r.wrote) {
        walk_advance(rq, r.walk, r.at);
    }
    *left = r.left;
    return NULL;
}

static struct error *revoke_step(struct request *rq, str inner_id, bool orphans, bool *ret_done)
{
    unsigned left = TOKEN_STEP_ENTRIES;

    return revoke_within(rq, inner_id, orphans, &left, ret_done);
}

struct error *token_revoke_within(struct request *rq, str inner_id, unsigned *left, bool *ret_done)
{
    return revoke_within(rq, inner_id, false, left, ret_done);
}

struct error *token_revoke_step(struct request *rq, str inner_id, bool *ret_done)
{
    return revoke_step(rq, inner_id, false, ret_done);
}

struct error *token_revoke_orphan_step(struct request *rq, str inner_id, bool *ret_done)
{
    return revoke_step(rq, inner_id, true, ret_done);
}

struct error *token_resume(struct request *rq, const struct json *pending, bool *ret_done)
{
    str inner = member_str(pending, "where");
    char hash[TOKEN_HASH_MAX + 1];
    struct view core = txn_view(rq->txn, SPACE_CORE);

    TRY(revoke_step(rq, inner, member_bool(pending, "orphans"), ret_done));
    if (!*ret_done)
        return NULL;
    token_hash(active_tokens(rq->active), inner, hash);
    return view_delete(&core, pending_path(rq->arena, str_from_cstr(hash)));
}
