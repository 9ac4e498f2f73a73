#include "core/cubbyhole/cubbyhole.h"
#include "core/lease/member.h"
#include "core/token/token_private.h"

/* Backends take a bounded number of entries in one transaction: a tree goes in steps, leaves first. */
enum { TOKEN_ENTRIES = 4 /* parent, accessor, lease, id */, MARK_ENTRIES = 2 };

struct revoke {
    struct request *rq;
    struct view tokens;
    unsigned left; /* entries that this step may still write */
};

struct level { /* of the walk down the tree */
    struct level *up;
    str hash;
    str *children; /* stored names */
    size_t n, i;
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
    TRY(cubbyhole_clear(r->rq, te, r->left - TOKEN_ENTRIES, &used, ret_done));
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
    if (!token_is_endless_root(te))
        TRY(lease_delete(r->rq, token_lease_id(a, te)));
    r->left -= MIN(r->left, TOKEN_ENTRIES - 1);
    return view_delete(&r->tokens, id_path(r, hash));
}

static struct error *level_new(struct revoke *r, str hash, struct level *up, struct level **ret)
{
    struct level *l = ARENA_NEW(r->rq->arena, struct level);

    l->up = up;
    l->hash = hash;
    TRY(list_children(r, hash, &l->children, &l->n));
    *ret = l;
    return NULL;
}

static bool is_above(const struct level *l, str hash)
{
    while (l && !str_eq(l->hash, hash))
        l = l->up;
    return l != NULL;
}

/* An index entry left over from a token that was made an orphan, or of a damaged store (a token below
 * itself). */
static struct error *is_stray(struct revoke *r, const struct level *top, str child, bool *ret)
{
    const struct token_entry *te;

    *ret = is_above(top, child);
    if (*ret)
        return NULL;
    TRY(token_load_hash(r->rq, child, &te));
    *ret = te && te->parent.n == 0;
    return NULL;
}

/* Deletes what is below `top` and it, depth first, as far as the step goes. */
static struct error *delete_tree(struct revoke *r, struct level *top, bool *ret_done)
{
    bool stray;

    while (top && r->left > 0) {
        if (top->i < top->n) {
            str child = top->children[top->i];

            TRY(is_stray(r, top, child, &stray));
            if (stray) {
                TRY(unlink_child(r, top->hash, child));
                top->i++;
            } else {
                TRY(level_new(r, child, top, &top));
            }
            continue;
        }
        TRY(delete_token(r, top->hash, top->up ? top->up->hash : (str){0}, ret_done));
        if (!*ret_done)
            return NULL;
        top = top->up;
        if (top)
            top->i++;
    }
    *ret_done = top == NULL;
    return NULL;
}

/* Makes its children orphans, then deletes it. */
static struct error *delete_alone(struct revoke *r, const struct level *top, bool *ret_done)
{
    *ret_done = false;
    for (size_t i = 0; i < top->n; i++) {
        struct json *child;

        if (r->left < 2)
            return NULL;
        TRY(view_get_json(&r->tokens, id_path(r, top->children[i]), &child));
        if (child) {
            json_set_str(r->rq->arena, child, STR("parent"), (str){0});
            TRY(view_put_json(&r->tokens, id_path(r, top->children[i]), child));
            r->left--;
        }
        TRY(unlink_child(r, top->hash, top->children[i]));
    }
    return delete_token(r, top->hash, (str){0}, ret_done);
}

static struct error *revoke_within(struct request *rq, str inner_id, bool orphans, unsigned *left,
                                   bool *ret_done)
{
    struct revoke r = {.rq = rq, .tokens = txn_view(rq->txn, SPACE_TOKEN), .left = *left};
    struct view core = txn_view(rq->txn, SPACE_CORE);
    const struct token_entry *te;
    struct level *top;

    *ret_done = true;
    TRY(token_load(rq, inner_id, &te));
    if (!te)
        return NULL;
    *ret_done = false;
    if (r.left <= TOKEN_ENTRIES + MARK_ENTRIES)
        return NULL;
    TRY(level_new(&r, str_from_cstr(te->hash), NULL, &top));
    bool marked = te->num_uses == -1 || top->n > 0;

    if (top->n > 0)
        TRY(mark(&r, te, orphans));
    TRY(orphans ? delete_alone(&r, top, ret_done) : delete_tree(&r, top, ret_done));
    if (!*ret_done && !marked)
        TRY(mark(&r, te, orphans)); /* a big cubbyhole */
    if (*ret_done && marked)
        TRY(view_delete(&core, pending_path(rq->arena, str_from_cstr(te->hash))));
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
