/* route: a tree of segments. Matching tries children in order of precedence and goes back when a branch
 * fails; a template has at most REQUEST_PARAMS_MAX names, and the tree is the program's own, so the work is
 * bounded. */
#include "core/route.h"

#include <assert.h>

struct end {    /* {name...} with what follows it */
    str suffix; /* "", "/tune" */
    const struct route *route;
    struct end *next; /* longest suffix first */
};

struct node {
    str literal;
    struct node *next;         /* sibling literal */
    struct node *child;        /* literals below */
    struct node *name;         /* {name} below */
    struct end *rest;          /* {name...} below */
    const struct route *route; /* that ends here */
    bool is_name;
};

struct conflict {
    const struct route *a, *b;
    struct conflict *next;
};

struct route_table {
    struct arena *arena;
    struct node root;
    struct conflict *conflicts;
};

bool route_next_segment(str *template, struct route_segment *ret)
{
    str segment, after;

    if (template->n == 0)
        return false;
    str_cut(*template, '/', &segment, &after);
    *template = after;
    *ret = (struct route_segment){SEGMENT_LITERAL, segment};
    if (str_starts(segment, STR("{")) && str_ends(segment, STR("}"))) {
        ret->kind = SEGMENT_NAME;
        ret->text = str_slice(segment, 1, segment.n - 1);
    }
    if (ret->kind == SEGMENT_NAME && str_ends(ret->text, STR("..."))) {
        ret->kind = SEGMENT_REST;
        ret->text = str_slice(ret->text, 0, ret->text.n - 3);
    }
    return true;
}

static struct node *child(struct route_table *t, struct node *n, struct route_segment s)
{
    struct node **at = s.kind == SEGMENT_NAME ? &n->name : &n->child;

    if (s.kind == SEGMENT_LITERAL)
        while (*at && !str_eq((*at)->literal, s.text))
            at = &(*at)->next;
    if (!*at) {
        *at = ARENA_NEW(t->arena, struct node);
        (*at)->literal = s.text;
        (*at)->is_name = s.kind == SEGMENT_NAME;
    }
    return *at;
}

static void set_route(struct route_table *t, const struct route **slot, const struct route *r)
{
    if (!*slot) {
        *slot = r;
        return;
    }
    struct conflict *c = ARENA_NEW(t->arena, struct conflict);

    *c = (struct conflict){*slot, r, t->conflicts};
    t->conflicts = c;
}

static void add_rest(struct route_table *t, struct node *n, str suffix, const struct route *r)
{
    struct end **at = &n->rest;

    while (*at && (*at)->suffix.n >= suffix.n && !str_eq((*at)->suffix, suffix))
        at = &(*at)->next;
    if (!*at || !str_eq((*at)->suffix, suffix)) {
        struct end *e = ARENA_NEW(t->arena, struct end);

        *e = (struct end){.suffix = suffix, .next = *at};
        *at = e;
    }
    set_route(t, &(*at)->route, r);
}

static void check(const struct route *r)
{
    bool works = false;

    for (size_t op = 0; op < OP_COUNT_; op++)
        works = works || r->ops[op].fn;
    assert(works && "a route without operations");
    for (const struct field *f = r->fields; f && f->name; f++)
        assert(f->help && "a field without help");
}

static void add(struct route_table *t, const struct route *r)
{
    str left = str_from_cstr(r->path);
    struct node *n = &t->root;
    struct route_segment s = {0};
    size_t names = 0;

    check(r);
    while (route_next_segment(&left, &s)) {
        assert((s.kind != SEGMENT_LITERAL || (str_index(s.text, '{') == s.text.n && s.text.n)) &&
               "a bad path template");
        names += s.kind != SEGMENT_LITERAL;
        if (s.kind == SEGMENT_REST)
            break;
        n = child(t, n, s);
    }
    assert(names <= REQUEST_PARAMS_MAX);
    if (s.kind != SEGMENT_REST) {
        set_route(t, &n->route, r);
        return;
    }
    assert(str_index(left, '{') == left.n && "{name...} takes a literal end only");
    if (left.n) /* with its '/' again */
        left = (str){left.p - 1, left.n + 1};
    add_rest(t, n, left, r);
}

struct route_table *route_table_new(const struct route *const *tables, size_t n)
{
    struct arena *arena = arena_new(0);
    struct route_table *t = ARENA_NEW(arena, struct route_table);

    t->arena = arena;
    for (size_t i = 0; i < n; i++)
        for (const struct route *r = tables[i]; r && r->path; r++)
            add(t, r);
    return t;
}

void route_table_free(struct route_table *t)
{
    if (t)
        arena_free(t->arena);
}

static bool slash_is_free(const struct route *r)
{
    return r->ops[OP_LIST].fn || str_ends(str_from_cstr(r->path), STR("/"));
}

/* {name...} takes nothing too, unless its field is required. */
static bool rest_may_be_empty(const struct route *r)
{
    for (const struct field *f = r->fields; f && f->name; f++)
        if ((f->flags & FIELD_PATH) && (f->flags & FIELD_REQUIRED))
            return false;
    return true;
}

/* `left` is what follows the '/' after node n, if there was one. */
static const struct route *match(const struct node *n, str left, bool slash, str *params)
{
    const struct route *found = NULL;
    str segment, after;

    if (left.n == 0 && n->route && (!slash || (!n->is_name && slash_is_free(n->route))))
        return n->route;
    bool more = str_cut(left, '/', &segment, &after);

    for (const struct node *c = n->child; c && left.n; c = c->next)
        if (str_eq(c->literal, segment)) {
            found = match(c, after, more, params);
            if (found)
                return found;
        }
    if (n->name && segment.n) {
        params[0] = segment;
        found = match(n->name, after, more, params + 1);
        if (found)
            return found;
    }
    for (const struct end *e = n->rest; e && slash; e = e->next)
        if (e->suffix.n == 0 ? left.n > 0 || rest_may_be_empty(e->route)
                             : (left.n > e->suffix.n && str_ends(left, e->suffix))) {
            params[0] = str_slice(left, 0, left.n - e->suffix.n);
            return e->route;
        }
    return NULL;
}

const struct route *route_match(const struct route_table *t, str path, str params[REQUEST_PARAMS_MAX])
{
    const struct node *root = &t->root;

    if (path.n == 0 && root->route)
        return root->route;
    return match(root, path, true, params);
}

str route_table_conflicts(const struct route_table *t, struct arena *a)
{
    str text = {0};

    for (const struct conflict *c = t->conflicts; c; c = c->next)
        text = arena_fmt(a, "%.*s%s and %s\n", PSTR(text), c->a->path, c->b->path);
    return text;
}
