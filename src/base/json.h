/* json: a strict RFC 8259 parser into an arena, a tree, a writer that writes as Go's encoding/json does.
 *
 * Numbers are kept as their digits (12345678901234567890, 1.10, 1e3 come back as they went in).
 * Parser: duplicate members: the last value wins, in the first one's place; invalid UTF-8 becomes U+FFFD
 *   (one for each bad byte), as in Go; lone surrogates \uD800 become U+FFFD. Limits: depth, nodes, and the
 *   arena's own bound (arena_is_over). Errors: ERR_BAD_REQUEST with Go's texts for the common cases
 *   ("unexpected EOF", "invalid character 'x' looking for beginning of value" …), ERR_TOO_LARGE past a
 *   limit.
 * Writer: <, >, &, U+2028, U+2029 are escaped as \u003c …; control characters as \u00XX except \n \r \t (\b
 *   and \f are \u0008 and \u000c); object members sorted by key bytes unless the object is `ordered`. The
 *   tree itself is not changed: what is not sorted yet is sorted in a list of pointers, on the stack or
 *   (above 64 members) in the buffer's arena.
 * Lifetime: everything in the arena given; strings may point into the text parsed, so the text must live as
 *   long.
 */
#pragma once
#include "base/buf.h"
#include "base/error.h"

enum { JSON_DEPTH_MAX = 32, JSON_NODES_MAX = 1000000 };

enum json_type { JSON_NULL = 0, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_member;

struct json {
    enum json_type type;
    bool boolean;
    bool ordered;    /* objects: written in the order of insertion */
    bool sensitive;  /* never printed by log or error text */
    uint32_t n, cap; /* arrays, objects */
    union {
        str text; /* JSON_NUMBER: its digits; JSON_STRING: the unescaped text */
        struct json **items;
        struct json_member *members;
    };
};

struct json_member {
    str key;
    struct json *value;
};

struct json_limits {
    uint32_t depth_max, nodes_max;
};

/* Parses one document. `trailing_ok`: anything may follow the first value, as Go's Decoder does on request
 * bodies. */
struct error *json_parse(struct arena *a, str text, bool trailing_ok, struct json **ret_value) MUST_USE;
struct error *json_parse_limited(struct arena *a, str text, bool trailing_ok, struct json_limits limits,
                                 struct json **ret_value) MUST_USE;

struct json *json_null(struct arena *a);
struct json *json_bool(struct arena *a, bool v);
struct json *json_int(struct arena *a, int64_t v);
struct json *json_double(struct arena *a, double v);   /* finite; the fewest digits that say it */
struct json *json_number(struct arena *a, str digits); /* text must be a valid JSON number */
struct json *json_string(struct arena *a, str s);      /* not copied */
struct json *json_array(struct arena *a);
struct json *json_object(struct arena *a);         /* sorted when written */
struct json *json_object_ordered(struct arena *a); /* written in order of insertion */
struct json *json_strings(struct arena *a, const str *v, size_t n);

void json_append(struct arena *a, struct json *array, struct json *v);
/* Replaces an equal key; key not copied */
void json_set(struct arena *a, struct json *object, str key, struct json *v);
/* The caller knows the key to be new: no search */
void json_add(struct arena *a, struct json *object, str key, struct json *v);
/* After many json_add() of keys that may be equal: the last value wins, in the first one's place */
void json_unique(struct arena *a, struct json *object);
void json_set_str(struct arena *a, struct json *object, str key, str s);
void json_set_int(struct arena *a, struct json *object, str key, int64_t v);
void json_set_bool(struct arena *a, struct json *object, str key, bool v);
void json_unset(struct json *object, str key);
struct json *json_copy(struct arena *a, const struct json *v); /* deep, strings too */

/* Member by exact key; NULL if absent or `object` is NULL or no object. */
struct json *json_get(const struct json *object, str key);
/* As json_get, then without regard to ASCII case, as Go's decoder into structs does. */
struct json *json_get_nocase(const struct json *object, str key);
/* Typed reads for our own stored objects: absent, null or another type gives the zero value. */
str json_get_str(const struct json *object, str key);
int64_t json_get_int(const struct json *object, str key); /* "5" is taken too; fractions cut */
bool json_get_bool(const struct json *object, str key);
double json_get_double(const struct json *object, str key);

bool json_is_null(const struct json *v);                  /* NULL pointer or null */
bool json_eq(const struct json *x, const struct json *y); /* numbers by their text */

void json_write(struct buf *out, const struct json *v); /* compact */
/* As Go's MarshalIndent("", indent blanks) */
void json_write_indented(struct buf *out, const struct json *v, int indent);
void json_write_string(struct buf *out, str s); /* quotes and escapes */
/* Compact, in the arena, no limit but the arena's */
str json_text(struct arena *a, const struct json *v);
