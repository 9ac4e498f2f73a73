#include "cli/policy_format.h"

#include "base/buf.h"
#include "config/hcl.h"

enum { POLICY_BYTES_MAX = 4 * 1024 * 1024, POLICY_DEPTH_MAX = 64 };

static bool is_capability(str s)
{
    static const char *const names[] = {"create", "read", "update", "delete", "list",
                                        "sudo",   "deny", "patch",  "root"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_eq(s, str_from_cstr(names[i])))
            return true;
    return false;
}

static bool is_path_key(str s)
{
    static const char *const names[] = {
        "capabilities",        "policy",           "allowed_parameters", "denied_parameters",
        "required_parameters", "min_wrapping_ttl", "max_wrapping_ttl",   "mfa_methods",
        "control_group",       "comment"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_eq(s, str_from_cstr(names[i])))
            return true;
    return false;
}

static struct error *path_check(struct arena *a, const struct hcl_item *path)
{
    str name = path->keys[1].text;
    for (const struct hcl_item *i = path->value->first; i; i = i->next) {
        if (!is_path_key(i->keys[0].text))
            return error_new(a, ERR_BAD_REQUEST,
                             "failed to parse policy: path \"%.*s\": invalid key \"%.*s\" on line %u",
                             PSTR(name), PSTR(i->keys[0].text), i->keys[0].pos.line);
        if (!str_eq(i->keys[0].text, STR("capabilities")) || i->value->type != HCL_LIST)
            continue;
        for (size_t j = 0; j < i->value->n; j++) {
            const struct hcl_value *v = i->value->items[j];
            if (v->type != HCL_STRING || !is_capability(v->text))
                return error_new(a, ERR_BAD_REQUEST,
                                 "failed to parse policy: path \"%.*s\": invalid capability \"%.*s\"",
                                 PSTR(name), PSTR(v->text));
        }
    }
    return NULL;
}

struct error *policy_check(struct arena *a, str text)
{
    struct hcl_value *root;
    struct error *bad = hcl_parse(a, text, &root);
    if (bad)
        return error_wrap(a, bad, "failed to parse policy: %.*s", PSTR(bad->text));
    for (const struct hcl_item *i = root->first; i; i = i->next) {
        str key = i->keys[0].text;
        if (!str_eq(key, STR("path")) && !str_eq(key, STR("name")))
            return error_new(a, ERR_BAD_REQUEST, "failed to parse policy: invalid key \"%.*s\" on line %u",
                             PSTR(key), i->keys[0].pos.line);
        if (str_eq(key, STR("path")) && i->n_keys == 2 && i->value->type == HCL_OBJECT)
            TRY(path_check(a, i));
    }
    return NULL;
}

enum token_type { T_END, T_WORD, T_COMMENT, T_PUNCTUATION, T_HEREDOC };

struct token {
    enum token_type type;
    str text;
    uint32_t line, last_line;
};

struct scanner {
    str rest;
    uint32_t line;
    struct token now;
};

static size_t string_length(str s)
{
    size_t depth = 0; /* of ${ } */
    for (size_t i = 1; i < s.n; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == '$' && i + 1 < s.n && s.p[i + 1] == '{')
            depth++;
        else if (s.p[i] == '}' && depth)
            depth--;
        else if (s.p[i] == '"' && !depth)
            return i + 1;
    }
    return s.n;
}

/* <<NAME … NAME with its last line, which is not followed by anything. */
static size_t heredoc_length(str s)
{
    size_t head = str_index(s, '\n');
    str name = str_trim(str_slice(s, str_starts(s, STR("<<-")) ? 3 : 2, head));
    for (size_t at = head + 1; at < s.n;) {
        str line = str_from(s, at);
        line.n = str_index(line, '\n');
        at += line.n;
        if (str_eq(str_trim(line), name))
            return at;
        at++;
    }
    return s.n;
}

static size_t token_length(str s, enum token_type *ret_type)
{
    *ret_type = T_COMMENT;
    if (s.p[0] == '#' || str_starts(s, STR("//")))
        return str_index(s, '\n');
    if (str_starts(s, STR("/*")))
        return MIN(s.n, 2 + str_find(str_from(s, 2), STR("*/")) + 2);
    *ret_type = T_HEREDOC;
    if (str_starts(s, STR("<<")))
        return heredoc_length(s);
    *ret_type = T_PUNCTUATION;
    if (strchr("{}[]=,", s.p[0]) && s.p[0])
        return 1;
    *ret_type = T_WORD;
    if (s.p[0] == '"')
        return string_length(s);
    size_t n = 1;
    while (n < s.n && s.p[n] && !strchr(" \t\r\n{}[]=,\"#/", s.p[n]))
        n++;
    return n;
}

static void next(struct scanner *s)
{
    while (s->rest.n && strchr(" \t\r\n", s->rest.p[0]) && s->rest.p[0]) {
        s->line += s->rest.p[0] == '\n';
        s->rest = str_from(s->rest, 1);
    }
    s->now = (struct token){.line = s->line, .last_line = s->line};
    if (!s->rest.n)
        return;
    size_t n = token_length(s->rest, &s->now.type);
    s->now.text = str_slice(s->rest, 0, n);
    s->rest = str_from(s->rest, n);
    for (size_t i = 0; i < n; i++)
        s->line += s->now.text.p[i] == '\n';
    s->now.last_line = s->line;
    if (s->now.type == T_COMMENT)
        s->now.text = str_trim(s->now.text);
}

static bool is_now(const struct scanner *s, char c)
{
    return s->now.type == T_PUNCTUATION && s->now.text.p[0] == c;
}

/* One entry of a block, printed except for its indent and the blanks before "=". */
struct entry {
    struct entry *next;
    str comments; /* lines above it; alone (key empty) if a blank line followed */
    str key, value;
    str comment; /* behind it */
    bool assigned, multiline;
    uint32_t line, last_line;
};

static str body_format(struct scanner *s, struct arena *a, unsigned level);

static str indented(struct arena *a, unsigned level, str text)
{
    return arena_fmt(a, "%*s%.*s", (int)level * 2, "", PSTR(text));
}

static str list_format(struct scanner *s, struct arena *a, unsigned level, bool *ret_multiline)
{
    struct buf one;
    struct buf many;
    buf_init(&one, a, POLICY_BYTES_MAX);
    buf_init(&many, a, POLICY_BYTES_MAX);
    uint32_t line = s->now.line;
    bool multiline = false;
    for (next(s); s->now.type != T_END && !is_now(s, ']'); next(s)) {
        if (is_now(s, ','))
            continue;
        bool is_comment = s->now.type == T_COMMENT;
        multiline = multiline || is_comment || s->now.line != line;
        buf_put_fmt(&one, "%s%.*s", one.n ? ", " : "", PSTR(s->now.text));
        buf_put_fmt(&many, "%.*s%s\n", PSTR(indented(a, level + 1, s->now.text)), is_comment ? "" : ",");
    }
    *ret_multiline = multiline;
    if (!multiline)
        return arena_fmt(a, "[%.*s]", PSTR(buf_str(&one)));
    return arena_fmt(a, "[\n%.*s%.*s", PSTR(buf_str(&many)), PSTR(indented(a, level, STR("]"))));
}

static void value_read(struct scanner *s, struct arena *a, unsigned level, struct entry *e)
{
    if (is_now(s, '{') && level < POLICY_DEPTH_MAX) {
        next(s);
        str body = body_format(s, a, level + 1);
        e->multiline = body.n > 0;
        e->value =
            body.n ? arena_fmt(a, "{\n%.*s%.*s", PSTR(body), PSTR(indented(a, level, STR("}")))) : STR("{}");
        e->last_line = s->now.line;
        next(s);
    } else if (is_now(s, '[')) {
        e->value = list_format(s, a, level, &e->multiline);
        e->last_line = s->now.line;
        next(s);
    } else {
        e->value = s->now.text;
        e->multiline = s->now.type == T_HEREDOC;
        e->last_line = s->now.last_line;
        next(s);
    }
}

static struct entry *entry_read(struct scanner *s, struct arena *a, unsigned level)
{
    struct entry *e = ARENA_NEW(a, struct entry);
    e->line = e->last_line = s->now.line;
    while (s->now.type == T_COMMENT) {
        uint32_t last = s->now.last_line;
        e->comments = arena_fmt(a, "%.*s%.*s\n", PSTR(e->comments), PSTR(indented(a, level, s->now.text)));
        e->last_line = last;
        next(s);
        if (s->now.line > last + 1 || s->now.type == T_END || is_now(s, '}'))
            return e;
    }
    while (s->now.type == T_WORD) {
        e->key = e->key.n ? arena_fmt(a, "%.*s %.*s", PSTR(e->key), PSTR(s->now.text)) : s->now.text;
        next(s);
    }
    e->assigned = is_now(s, '=');
    if (e->assigned)
        next(s);
    value_read(s, a, level, e);
    if (is_now(s, ','))
        next(s);
    if (s->now.type == T_COMMENT && s->now.line == e->last_line) {
        e->comment = s->now.text;
        next(s);
    }
    return e;
}

/* Whether y continues the run of lines that x belongs to. */
static bool is_run(const struct entry *x, const struct entry *y)
{
    return x->key.n && y && y->key.n && !x->multiline && !y->multiline && y->line == x->last_line + 1;
}

static void entry_write(struct buf *b, struct arena *a, const struct entry *e, unsigned level, size_t width)
{
    buf_put_str(b, e->comments);
    if (!e->key.n)
        return;
    buf_put_str(b, indented(a, level, e->key));
    buf_put_fmt(b, "%*s", (int)(e->assigned ? width - e->key.n : 0), "");
    buf_put_fmt(b, "%s%.*s", e->assigned ? " = " : " ", PSTR(e->value));
    if (e->comment.n)
        buf_put_fmt(b, " %.*s", PSTR(e->comment));
    buf_put_byte(b, '\n');
}

/* Entries up to the closing brace or the end, which is left to the caller. */
static str body_format(struct scanner *s, struct arena *a, unsigned level)
{
    struct entry *first = NULL;
    struct entry **last = &first;
    while (s->now.type != T_END && !is_now(s, '}')) {
        *last = entry_read(s, a, level);
        last = &(*last)->next;
    }
    struct buf b;
    buf_init(&b, a, POLICY_BYTES_MAX);
    for (const struct entry *e = first; e;) {
        size_t width = e->key.n;
        const struct entry *end = e;
        while (is_run(end, end->next)) {
            end = end->next;
            width = MAX(width, end->key.n);
        }
        for (end = end->next; e != end; e = e->next)
            entry_write(&b, a, e, level, width);
        if (e)
            buf_put_byte(&b, '\n');
    }
    return buf_str(&b);
}

/* Both say the same to whoever parses them: what this form has no place for is refused, not lost. */
static struct error *same_check(struct arena *a, str text, str formatted)
{
    struct hcl_value *root;
    struct json *before, *after;
    TRY(hcl_parse(a, text, &root));
    TRY(hcl_to_json(a, root, &before));
    struct error *e = hcl_parse(a, formatted, &root);
    if (e || hcl_to_json(a, root, &after) || !json_eq(before, after))
        return error_new(a, ERR_BAD_REQUEST, "Error printing result: the policy would not be the same");
    return NULL;
}

struct error *policy_format(struct arena *a, str text, str *ret_text)
{
    struct scanner s = {.rest = text, .line = 1};
    if (str_starts(str_trim(text), STR("{")))
        return error_new(a, ERR_BAD_REQUEST, "Error printing result: the policy is JSON, not HCL");
    next(&s);
    str out = body_format(&s, a, 0);
    if (s.now.type != T_END)
        return error_new(a, ERR_BAD_REQUEST, "failed to parse policy: unexpected \"%.*s\" on line %u",
                         PSTR(s.now.text), s.now.line);
    TRY(same_check(a, text, out));
    *ret_text = out;
    return NULL;
}
