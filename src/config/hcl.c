/* The parser of HCL. It follows the grammar of docs/formats/hcl.md, section 2, token by token; errors are
 * worded and placed as the API's clients see them, which explains the odd ones. */
#include "config/hcl.h"

#include "config/hcl_private.h"

#include <stdarg.h>
#include <stdio.h>

enum { ERROR_TEXT_MAX = 512 };

struct error *hcl_error(struct arena *a, struct hcl_pos pos, const char *fmt, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return error_new(a, ERR_BAD_REQUEST, "At %u:%u: %s", pos.line, pos.col, text);
}

struct error *parser_error(struct hcl_parser *p, struct hcl_pos pos, const char *fmt, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return error_new(p->arena, ERR_BAD_REQUEST, "%s%u:%u: %s", p->scanner.json ? "" : "At ", pos.line,
                     pos.col, text);
}

struct token parser_scan(struct hcl_parser *p)
{
    if (!p->unread)
        p->tok = scanner_next(&p->scanner);
    p->unread = false;
    return p->tok;
}

struct error *parser_enter(struct hcl_parser *p)
{
    if (++p->depth > HCL_DEPTH_MAX)
        return parser_error(p, p->tok.pos, "nested deeper than %d levels", HCL_DEPTH_MAX);
    return NULL;
}

struct hcl_value *parser_value(struct hcl_parser *p, enum hcl_type type)
{
    struct hcl_value *v = ARENA_NEW(p->arena, struct hcl_value);
    v->type = type;
    v->pos = p->tok.pos;
    return v;
}

struct error *parser_literal(struct hcl_parser *p, struct hcl_value **ret)
{
    static const enum hcl_type types[] = {
        [T_NUMBER] = HCL_NUMBER, [T_FLOAT] = HCL_FLOAT,     [T_BOOL] = HCL_BOOL,
        [T_STRING] = HCL_STRING, [T_HEREDOC] = HCL_HEREDOC, [T_NULL] = HCL_NULL,
    };
    struct hcl_value *v = parser_value(p, types[p->tok.type]);
    v->text = p->tok.text;
    if (p->scanner.err)
        v->text = (str){0}; /* an ill-formed token has no value; the text is refused at the end */
    else if (v->type == HCL_HEREDOC)
        v->text = hcl_unindent(p->arena, p->tok.text);
    else if (v->type == HCL_STRING && !hcl_unquote(p->arena, p->tok.text, p->scanner.json, &v->text))
        return parser_error(p, p->tok.pos, "illegal char escape in %.*s", PSTR(p->tok.text));
    *ret = v;
    return NULL;
}

void list_append(struct hcl_parser *p, struct hcl_value *list, struct hcl_value *v)
{
    list->items = array_room(p->arena, list->items, list->n, sizeof *list->items);
    list->items[list->n++] = v;
}

static struct error *parse_object(struct hcl_parser *p, struct hcl_value **ret);

/* An error inside an object or list in a list. Being too deep is told once, not per level. */
static struct error *list_error(struct hcl_parser *p, struct token start, struct error *e)
{
    if (p->depth > HCL_DEPTH_MAX)
        return e;
    return parser_error(p, start.pos, "error while trying to parse %s within list: %.*s",
                        start.type == T_LBRACE ? "object" : "list", PSTR(e->text));
}

/* The current token is the opening bracket. */
static struct error *parse_list(struct hcl_parser *p, struct hcl_value **ret)
{
    TRY(parser_enter(p));
    struct hcl_value *list = parser_value(p, HCL_LIST);
    for (bool need_comma = false;;) {
        struct token tok = parser_scan(p);
        struct hcl_value *v = NULL;
        struct error *e = NULL;
        if (need_comma && tok.type != T_COMMA && tok.type != T_RBRACK)
            return parser_error(p, tok.pos, "error parsing list, expected comma or list end, got: %s",
                                token_name(tok.type));
        switch (tok.type) {
        case T_BOOL:
        case T_NUMBER:
        case T_FLOAT:
        case T_STRING:
        case T_HEREDOC: TRY(parser_literal(p, &v)); break;
        case T_COMMA: need_comma = false; continue;
        case T_LBRACE: e = parse_object(p, &v); break;
        case T_LBRACK: e = parse_list(p, &v); break;
        case T_RBRACK:
            p->depth--;
            *ret = list;
            return NULL;
        default:
            return parser_error(p, tok.pos, "unexpected token while parsing list: %s", token_name(tok.type));
        }
        if (e)
            return list_error(p, tok, e);
        list_append(p, list, v);
        need_comma = tok.type != T_LBRACK; /* none is asked for after a list in a list */
    }
}

/* What follows "=". At the end of the text: p->eof. */
static struct error *parse_value(struct hcl_parser *p, struct hcl_value **ret)
{
    struct token tok = parser_scan(p);
    switch (tok.type) {
    case T_NUMBER:
    case T_FLOAT:
    case T_BOOL:
    case T_STRING:
    case T_HEREDOC: return parser_literal(p, ret);
    case T_LBRACE: return parse_object(p, ret);
    case T_LBRACK: return parse_list(p, ret);
    case T_EOF: p->eof = true; return NULL;
    default:
        return parser_error(p, tok.pos, "Unknown token: %u:%u %s %.*s", tok.pos.line, tok.pos.col,
                            token_name(tok.type), PSTR(tok.text));
    }
}

static struct error *add_key(struct hcl_parser *p, struct hcl_item *item)
{
    struct hcl_key key = {.text = p->tok.text, .pos = p->tok.pos, .quoted = p->tok.type == T_STRING};
    if (key.quoted && !p->scanner.err && !hcl_unquote(p->arena, p->tok.text, p->scanner.json, &key.text))
        return parser_error(p, key.pos, "illegal char escape in %.*s", PSTR(p->tok.text));
    item->keys = array_room(p->arena, item->keys, item->n_keys, sizeof key);
    item->keys[item->n_keys++] = key;
    return NULL;
}

/* "key 'a "b"' expected …". */
static struct error *key_without_value(struct hcl_parser *p, const struct hcl_item *item)
{
    struct buf keys;
    buf_init(&keys, p->arena, ERROR_TEXT_MAX);
    for (size_t i = 0; i < item->n_keys; i++) {
        const struct hcl_key *k = &item->keys[i];
        buf_put_fmt(&keys, k->quoted ? "%s\"%.*s\"" : "%s%.*s", i > 0 ? " " : "", PSTR(k->text));
    }
    return parser_error(p, p->tok.pos, "key '%.*s' expected start of object ('{') or assignment ('=')",
                        PSTR(buf_str(&keys)));
}

/* The keys up to "=" or "{", which is then the current token. At the end of the text without a key: p->eof.
 */
static struct error *parse_keys(struct hcl_parser *p, struct hcl_item *item)
{
    for (;;) {
        struct token tok = parser_scan(p);
        switch (tok.type) {
        case T_IDENT:
        case T_STRING: TRY(add_key(p, item)); continue;
        case T_EOF: p->eof = item->n_keys == 0; return p->eof ? NULL : key_without_value(p, item);
        case T_ASSIGN:
            if (item->n_keys == 0)
                return parser_error(p, tok.pos, "no object keys found!");
            if (item->n_keys > 1)
                return parser_error(p, tok.pos, "nested object expected: LBRACE got: ASSIGN");
            item->assigned = true;
            return NULL;
        case T_LBRACE:
            return item->n_keys ? NULL : parser_error(p, tok.pos, "expected: IDENT | STRING got: LBRACE");
        case T_RBRACE:
            if (item->n_keys == 0)
                break;
            p->tok.type = T_EOF; /* the brace does not close the object (see parse_object) */
            return key_without_value(p, item);
        case T_ILLEGAL: return parser_error(p, tok.pos, "illegal character");
        default: break;
        }
        return parser_error(p, tok.pos, "expected: IDENT | STRING | ASSIGN | LBRACE got: %s",
                            token_name(tok.type));
    }
}

static struct error *parse_items(struct hcl_parser *p, struct hcl_value *object, bool braces)
{
    struct hcl_item **tail = &object->first;
    for (;;) {
        if (braces) {
            struct token tok = parser_scan(p);
            p->unread = true;
            if (tok.type == T_RBRACE)
                return NULL;
        }
        struct hcl_item *item = ARENA_NEW(p->arena, struct hcl_item);
        TRY(parse_keys(p, item));
        if (!p->eof && item->assigned)
            TRY(parse_value(p, &item->value));
        else if (!p->eof)
            TRY(parse_object(p, &item->value));
        if (p->eof) {
            p->eof = false;
            return NULL;
        }
        *tail = item;
        tail = &item->next;
        object->n++;
        if (parser_scan(p).type != T_COMMA)
            p->unread = true;
    }
}

/* The current token is the opening brace. An error met at a closing brace is forgotten when another one
 * follows: texts with `k = } }` are stored as policies and go on being accepted, without k. */
static struct error *parse_object(struct hcl_parser *p, struct hcl_value **ret)
{
    TRY(parser_enter(p));
    struct hcl_value *object = parser_value(p, HCL_OBJECT);
    int depth = p->depth;
    struct error *e = parse_items(p, object, true);
    if (e && p->tok.type != T_RBRACE)
        return e;
    p->depth = depth - 1;
    struct token tok = parser_scan(p);
    if (tok.type != T_RBRACE)
        return parser_error(p, tok.pos, "object expected closing RBRACE got: %s", token_name(tok.type));
    *ret = object;
    return NULL;
}

/* With "\n" for "\r\n". */
static str unix_lines(struct arena *a, str text)
{
    if (str_find(text, STR("\r\n")) == text.n)
        return text;
    char *out = arena_alloc(a, text.n);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] != '\r' || i + 1 == text.n || text.p[i + 1] != '\n')
            out[n++] = text.p[i];
    return (str){out, n};
}

struct error *hcl_parse(struct arena *a, str text, struct hcl_value **ret_root)
{
    if (text.n > HCL_TEXT_BYTES_MAX)
        return error_new(a, ERR_BAD_REQUEST, "text of %zu bytes is longer than %d", text.n,
                         HCL_TEXT_BYTES_MAX);
    struct hcl_parser p = {.arena = a, .scanner = {.at = {.line = 1}}};
    p.scanner.json = str_starts(str_trim(text), STR("{"));
    p.scanner.text = p.scanner.json ? text : unix_lines(a, text);
    struct hcl_value *root = NULL;
    struct error *e;
    if (p.scanner.json) {
        e = hcl_json_parse(&p, &root);
    } else {
        p.tok.pos = (struct hcl_pos){1, 1};
        root = parser_value(&p, HCL_OBJECT);
        e = parse_items(&p, root, false);
    }
    if (p.scanner.err)
        return parser_error(&p, p.scanner.err_pos, "%s", p.scanner.err);
    if (e)
        return e;
    *ret_root = root;
    return NULL;
}
