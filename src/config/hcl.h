/* hcl: HCL version 1 and its JSON form, as configuration files and policies use them. Source:
 * docs/formats/hcl.md.
 *
 * The tree keeps every item in order with its position; decoding rules (last wins, lists append, blocks
 * repeat) are the callers', or hcl_to_json()'s. Errors: ERR_BAD_REQUEST "At LINE:COL: MESSAGE" (JSON form:
 * "LINE:COL: MESSAGE"), worded as clients of the API know them. Columns count characters from 1. Limits: see
 * below; the caller's own may be lower. Lifetime: all in the arena; text must live as long.
 */
#pragma once
#include "base/json.h"

enum {
    HCL_TEXT_BYTES_MAX = 1024 * 1024,
    HCL_DEPTH_MAX = 64,
    HCL_JSON_KEYS_MAX = 16,
    HCL_MAP_KEYS_MAX = 1000
};

enum hcl_type { HCL_NUMBER, HCL_FLOAT, HCL_BOOL, HCL_STRING, HCL_HEREDOC, HCL_LIST, HCL_OBJECT, HCL_NULL };

struct hcl_pos {
    uint32_t line, col;
};

struct hcl_value {
    enum hcl_type type;
    struct hcl_pos pos;
    str text;                 /* NUMBER, FLOAT: as written; STRING, HEREDOC: the value; BOOL: true or false */
    struct hcl_value **items; /* LIST */
    struct hcl_item *first;   /* OBJECT: items in order */
    size_t n;
};

struct hcl_key {
    str text;
    struct hcl_pos pos;
    bool quoted;
};

struct hcl_item {
    struct hcl_key *keys; /* path "a" { … } has the keys `path` and `a` */
    size_t n_keys;
    bool assigned; /* with "=" */
    struct hcl_value *value;
    struct hcl_item *next;
};

/* HCL, or JSON when the first non-blank byte is '{'. ret_root is an OBJECT. In JSON, objects of objects and
 * lists of objects become labelled, repeated items, so that {"path":{"a":{…}}} and path "a" {…} give the same
 * tree (for at most HCL_JSON_KEYS_MAX keys; deeper objects stay objects). */
struct error *hcl_parse(struct arena *a, str text, struct hcl_value **ret_root) MUST_USE;

/* Text of a STRING, HEREDOC or NUMBER (as written). False: another type. */
bool hcl_str(const struct hcl_value *v, str *ret) MUST_USE;
/* A whole number with Go's prefixes (0x1F, 017, 0b1, 0o7) and sign. False: no number or out of range. */
bool hcl_int_from_str(str s, int64_t *ret) MUST_USE;
/* "*ast.LiteralType", "*ast.ListType", "*ast.ObjectType": how error texts name a value. */
const char *hcl_type_name(const struct hcl_value *v);
/* ERR_BAD_REQUEST "At LINE:COL: …". */
struct error *hcl_error(struct arena *a, struct hcl_pos pos, const char *fmt, ...) PRINTF(3, 4) MUST_USE COLD;

/* The generic reading of an OBJECT: a block or object is a list of one map, labels nest, a repeated block or
 * list is appended, a repeated scalar replaces. Numbers become decimal; null stays. Members keep the order of
 * first appearance. */
struct error *hcl_to_json(struct arena *a, const struct hcl_value *object, struct json **ret) MUST_USE;
