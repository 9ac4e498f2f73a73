/* hcl_dump: a tree of hcl.h as one line of text, for tests. */
#pragma once
#include "config/hcl.h"

#include <stdio.h>

static inline void dump_text(struct buf *b, str s)
{
    buf_put_byte(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (c < ' ' || c > '~' || c == '"' || c == '\\')
            buf_put_fmt(b, "\\x%02x", c);
        else
            buf_put_byte(b, c);
    }
    buf_put_byte(b, '"');
}

static inline void dump_pos(struct buf *b, struct hcl_pos pos, bool places)
{
    if (places)
        buf_put_fmt(b, "@%u:%u", pos.line, pos.col);
}

static inline void dump_items(struct buf *b, const struct hcl_value *object, bool places);

static inline void dump_value(struct buf *b, const struct hcl_value *v, bool places)
{
    switch (v->type) {
    case HCL_NUMBER:
    case HCL_BOOL: buf_put_str(b, v->text); break;
    case HCL_FLOAT: buf_put_fmt(b, "float(%.*s)", PSTR(v->text)); break;
    case HCL_STRING: dump_text(b, v->text); break;
    case HCL_HEREDOC:
        buf_put_str(b, STR("heredoc"));
        dump_text(b, v->text);
        break;
    case HCL_NULL: buf_put_str(b, STR("null")); break;
    case HCL_LIST:
        buf_put_byte(b, '[');
        for (size_t i = 0; i < v->n; i++) {
            if (i > 0)
                buf_put_byte(b, ',');
            dump_value(b, v->items[i], places);
        }
        buf_put_byte(b, ']');
        break;
    case HCL_OBJECT:
        buf_put_byte(b, '{');
        dump_items(b, v, places);
        buf_put_byte(b, '}');
        break;
    }
    dump_pos(b, v->pos, places);
}

static inline void dump_items(struct buf *b, const struct hcl_value *object, bool places)
{
    for (const struct hcl_item *i = object->first; i; i = i->next) {
        for (size_t k = 0; k < i->n_keys; k++) {
            if (k > 0)
                buf_put_byte(b, ' ');
            if (i->keys[k].quoted)
                dump_text(b, i->keys[k].text);
            else
                buf_put_str(b, i->keys[k].text);
            dump_pos(b, i->keys[k].pos, places);
        }
        buf_put_str(b, i->assigned ? STR("=") : STR(" "));
        dump_value(b, i->value, places);
        if (i->next)
            buf_put_byte(b, ' ');
    }
}

/* The tree, or the error's text after "! ". */
static inline str hcl_dump(struct arena *a, str text, bool places)
{
    struct hcl_value *root;
    struct error *e = hcl_parse(a, text, &root);
    if (e)
        return arena_fmt(a, "! %.*s", PSTR(e->text));
    struct buf b;
    buf_init(&b, a, SIZE_MAX / 2);
    dump_items(&b, root, places);
    return buf_str(&b);
}
