/* audit_jsonx: the entry's JSON as XML: one element per value, the members of the entry itself without one
 * around them. */
#include "core/audit/audit_private.h"

#include <stdlib.h>

enum { ENTRY_DEPTH_MAX = 2 * JSON_DEPTH_MAX, ENTRY_NODES_MAX = 2 * JSON_NODES_MAX };

static void put_text(struct buf *b, str s)
{
    for (size_t i = 0; i < s.n; i++)
        switch (s.p[i]) {
        case '&': buf_put_str(b, STR("&amp;")); break;
        case '<': buf_put_str(b, STR("&lt;")); break;
        case '>': buf_put_str(b, STR("&gt;")); break;
        case '"': buf_put_str(b, STR("&#34;")); break;
        case '\'': buf_put_str(b, STR("&#39;")); break;
        case '\t': buf_put_str(b, STR("&#x9;")); break;
        case '\n': buf_put_str(b, STR("&#xA;")); break;
        case '\r': buf_put_str(b, STR("&#xD;")); break;
        default:
            if ((unsigned char)s.p[i] < ' ')
                buf_put_str(b, STR("\xEF\xBF\xBD")); /* no character of XML */
            else
                buf_put_byte(b, (uint8_t)s.p[i]);
        }
}

static const char *element_of(enum json_type t)
{
    static const char *const names[] = {"null", "boolean", "number", "string", "array", "object"};

    return names[t];
}

static int by_key(const void *x, const void *y)
{
    const struct json_member *a = x, *b = y;

    return str_cmp(a->key, b->key);
}

static void put_element(struct buf *b, const struct json_member *m);

static void put_content(struct buf *b, const struct json *v)
{
    switch (v->type) {
    case JSON_OBJECT:
        if (v->n > 1)
            qsort(v->members, v->n, sizeof *v->members, by_key);
        for (uint32_t i = 0; i < v->n; i++)
            put_element(b, &v->members[i]);
        break;
    case JSON_ARRAY:
        for (uint32_t i = 0; i < v->n; i++)
            put_element(b, &(struct json_member){.value = v->items[i]});
        break;
    case JSON_BOOL: buf_put_str(b, v->boolean ? STR("true") : STR("false")); break;
    default: put_text(b, v->text);
    }
}

static void put_element(struct buf *b, const struct json_member *m)
{
    const char *name = element_of(m->value->type);

    buf_put_str(b, STR("<json:"));
    buf_put_str(b, str_from_cstr(name));
    if (m->key.p) {
        buf_put_str(b, STR(" name=\""));
        put_text(b, m->key);
        buf_put_byte(b, '"');
    }
    if (m->value->type == JSON_NULL) {
        buf_put_str(b, STR(" />"));
        return;
    }
    buf_put_byte(b, '>');
    put_content(b, m->value);
    buf_put_str(b, STR("</json:"));
    buf_put_str(b, str_from_cstr(name));
    buf_put_byte(b, '>');
}

void audit_put_jsonx(struct buf *out, struct arena *a, str entry)
{
    struct json_limits limits = {ENTRY_DEPTH_MAX, ENTRY_NODES_MAX};
    struct json *tree;

    if (json_parse_limited(a, entry, false, limits, &tree))
        out->full = true; /* not written: the device counts as failed */
    else
        put_content(out, tree);
}
