/* hcl_private: what the scanner, the parser and the JSON form share. Nobody outside src/config/hcl*.c
 * includes it. */
#pragma once
#include "config/array.h"
#include "config/hcl.h"

enum token_type {
    T_ILLEGAL,
    T_EOF,
    T_COMMENT,
    T_IDENT,
    T_NUMBER,
    T_FLOAT,
    T_BOOL,
    T_NULL, /* JSON only */
    T_STRING,
    T_HEREDOC,
    T_LBRACK,
    T_LBRACE,
    T_COMMA,
    T_PERIOD,
    T_COLON, /* JSON only */
    T_RBRACK,
    T_RBRACE,
    T_ASSIGN,
    T_ADD,
    T_SUB,
};

struct token {
    enum token_type type;
    struct hcl_pos pos;
    str text; /* as written, with quotes, anchors and all */
};

struct place {
    size_t off;
    uint32_t line, col; /* of the character read last; col 0: it was the newline before this line */
};

/* Scanning goes on after an error; the last error counts, and it counts more than the parser's. */
struct scanner {
    str text; /* LF line ends only */
    bool json;
    struct place at, before; /* before: as it was before the last character */
    uint32_t line_cols;      /* columns of the line before, its newline included */
    const char *err;         /* NULL: none */
    struct hcl_pos err_pos;
};

struct token scanner_next(struct scanner *s); /* comments are skipped */
const char *token_name(enum token_type t);

/* A parser of either form: one token of look-ahead. */
struct hcl_parser {
    struct arena *arena;
    struct scanner scanner;
    struct token tok;
    bool unread;
    bool eof; /* a value or an item was expected and the text had ended: the item is dropped, the list ends */
    int depth;
};

struct token parser_scan(struct hcl_parser *p);
/* "At L:C: …", or "L:C: …" in the JSON form. */
struct error *parser_error(struct hcl_parser *p, struct hcl_pos pos, const char *fmt, ...) PRINTF(3, 4)
    MUST_USE COLD;
struct error *parser_enter(struct hcl_parser *p) MUST_USE; /* one level deeper; the caller counts back */
struct hcl_value *parser_value(struct hcl_parser *p, enum hcl_type type);
struct error *parser_literal(struct hcl_parser *p, struct hcl_value **ret)
    MUST_USE; /* of the current token */
void list_append(struct hcl_parser *p, struct hcl_value *list, struct hcl_value *v);

/* The value of a STRING token with its quotes. False: an escape no character belongs to. */
bool hcl_unquote(struct arena *a, str quoted, bool json, str *ret) MUST_USE;
str hcl_unindent(struct arena *a, str heredoc); /* value of a HEREDOC token */

struct error *hcl_json_parse(struct hcl_parser *p, struct hcl_value **ret_root) MUST_USE;
