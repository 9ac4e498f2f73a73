/* The JSON form of HCL: RFC 8259 with HCL's numbers and commas that may trail, or be doubled in lists. Vault
 * also takes documents that are cut off or go on after their end; here they are refused: half a policy must
 * not count as one. */
#include "config/hcl_private.h"

static struct error *parse_json_object(struct hcl_parser *p, struct hcl_value **ret);

static struct error *unexpected(struct hcl_parser *p, const char *what)
{
    return parser_error(p, p->tok.pos, "%s: %s", what, token_name(p->tok.type));
}

static struct error *parse_json_list(struct hcl_parser *p, struct hcl_value **ret);

/* The current token starts the value. */
static struct error *parse_json_value(struct hcl_parser *p, const char *what, struct hcl_value **ret)
{
    switch (p->tok.type) {
    case T_NUMBER:
    case T_FLOAT:
    case T_BOOL:
    case T_NULL:
    case T_STRING: return parser_literal(p, ret);
    case T_LBRACE: return parse_json_object(p, ret);
    case T_LBRACK: return parse_json_list(p, ret);
    default: return unexpected(p, what);
    }
}

static struct error *parse_json_list(struct hcl_parser *p, struct hcl_value **ret)
{
    TRY(parser_enter(p));
    struct hcl_value *list = parser_value(p, HCL_LIST);
    while (parser_scan(p).type != T_RBRACK) {
        if (p->tok.type == T_COMMA)
            continue;
        struct hcl_value *v;
        TRY(parse_json_value(p, "unexpected token while parsing list", &v));
        list_append(p, list, v);
    }
    p->depth--;
    *ret = list;
    return NULL;
}

/* One member. At a closing brace: NULL in ret_item. */
static struct error *parse_member(struct hcl_parser *p, struct hcl_item **ret_item)
{
    *ret_item = NULL;
    if (parser_scan(p).type == T_RBRACE)
        return NULL;
    if (p->tok.type != T_STRING)
        return unexpected(p, "expected: STRING got");
    struct hcl_item *item = ARENA_NEW(p->arena, struct hcl_item);
    struct hcl_value *name;
    TRY(parser_literal(p, &name));
    item->keys = ARENA_NEW(p->arena, struct hcl_key);
    *item->keys = (struct hcl_key){.text = name->text, .pos = name->pos, .quoted = true};
    item->n_keys = 1;
    item->assigned = true;
    if (parser_scan(p).type != T_COLON)
        return unexpected(p, "expected: COLON got");
    parser_scan(p);
    TRY(parse_json_value(p, "Expected object value, got unknown token", &item->value));
    *ret_item = item;
    return NULL;
}

/* The current token is the opening brace. */
static struct error *parse_json_object(struct hcl_parser *p, struct hcl_value **ret)
{
    TRY(parser_enter(p));
    struct hcl_value *object = parser_value(p, HCL_OBJECT);
    struct hcl_item **tail = &object->first;
    do {
        struct hcl_item *item;
        TRY(parse_member(p, &item));
        if (!item)
            break;
        *tail = item;
        tail = &item->next;
        object->n++;
    } while (parser_scan(p).type == T_COMMA);
    if (p->tok.type != T_RBRACE)
        return unexpected(p, "object expected closing RBRACE got");
    p->depth--;
    *ret = object;
    return NULL;
}

static bool all_objects(const struct hcl_value *v)
{
    if (v->n == 0)
        return false;
    for (size_t i = 0; v->type == HCL_LIST && i < v->n; i++)
        if (v->items[i]->type != HCL_OBJECT)
            return false;
    for (const struct hcl_item *m = v->first; v->type == HCL_OBJECT && m; m = m->next)
        if (m->value->type != HCL_OBJECT)
            return false;
    return v->type == HCL_LIST || v->type == HCL_OBJECT;
}

static struct hcl_item *item_with(struct arena *a, const struct hcl_item *of, const struct hcl_key *more,
                                  struct hcl_value *value)
{
    struct hcl_item *item = ARENA_NEW(a, struct hcl_item);
    *item =
        (struct hcl_item){.keys = of->keys, .n_keys = of->n_keys, .assigned = of->assigned, .value = value};
    if (more) {
        item->keys = ARENA_ARRAY(a, struct hcl_key, of->n_keys + 1);
        memcpy(item->keys, of->keys, of->n_keys * sizeof *of->keys);
        item->keys[item->n_keys++] = *more;
    }
    return item;
}

/* Appends `item` to *tail: an object of objects as one item per member with its name as a label, a list of
 * objects as one item per element. Returns the new tail. */
static struct hcl_item **flatten_item(struct arena *a, struct hcl_item *item, struct hcl_item **tail,
                                      size_t *n)
{
    struct hcl_value *v = item->value;
    if (!all_objects(v) || item->n_keys >= HCL_JSON_KEYS_MAX) {
        item->next = NULL;
        *tail = item;
        ++*n;
        return &item->next;
    }
    for (size_t i = 0; v->type == HCL_LIST && i < v->n; i++)
        tail = flatten_item(a, item_with(a, item, NULL, v->items[i]), tail, n);
    for (struct hcl_item *m = v->first, *after; v->type == HCL_OBJECT && m; m = after) {
        after = m->next;
        tail = flatten_item(a, item_with(a, item, m->keys, m->value), tail, n);
    }
    return tail;
}

static void flatten(struct arena *a, struct hcl_value *v)
{
    for (size_t i = 0; v->type == HCL_LIST && i < v->n; i++)
        flatten(a, v->items[i]);
    if (v->type != HCL_OBJECT)
        return;
    struct hcl_item *item = v->first, **tail = &v->first, *after;
    v->n = 0;
    for (; item; item = after) {
        after = item->next;
        tail = flatten_item(a, item, tail, &v->n);
    }
    *tail = NULL;
    for (item = v->first; item; item = item->next)
        flatten(a, item->value);
}

struct error *hcl_json_parse(struct hcl_parser *p, struct hcl_value **ret_root)
{
    parser_scan(p);
    TRY(parse_json_object(p, ret_root));
    if (parser_scan(p).type != T_EOF)
        return unexpected(p, "expected: EOF got");
    if (!p->scanner.err)
        flatten(p->arena, *ret_root);
    return NULL;
}
