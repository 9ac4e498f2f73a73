/* render: values, durations and tables as text.
 *
 * Tables: columns joined by four blanks, every cell but the last of a row padded to the widest cell of its
 * column (width counted in bytes, padding in characters), an empty cell shows as "n/a", no blanks at line
 * ends. Lifetime: the arena.
 */
#pragma once
#include "base/json.h"

/* As Go's %v: a string as it is, `<nil>`, `[a b]`, `map[k:v k2:v2]` with sorted keys; numbers by their
 * digits. */
str value_text(struct arena *a, const struct json *v);
/* As value_text, but strings of an array in quotes: `["default" "p"]`; null is `[]`. */
str strings_quoted(struct arena *a, const struct json *v);
/* 0s, 1m30s, 1h, 768h: Go's form without trailing zero units. */
str duration_human(struct arena *a, int64_t seconds);
/* The value of a data member in a table: numbers of members that are durations by name (ttl, …_period) as
 * duration_human. */
str member_text(struct arena *a, str key, const struct json *v);
void strings_sort(str *v, size_t n); /* by bytes, in place */
/* The keys of an object in byte order. */
str *keys_sorted(struct arena *a, const struct json *object);

enum { TABLE_COLUMNS_MAX = 20 };
struct table {
    struct arena *arena;
    size_t columns, rows;
    str *cells;
};
void table_init(struct table *t, struct arena *a, size_t columns);
void table_row(struct table *t, const str *cells);    /* `columns` of them */
void table_pair(struct table *t, str key, str value); /* a row of a table of two columns */
/* With `header` the first row is one and gets a row of dashes below it. */
void table_write(struct buf *out, const struct table *t, bool header);

/* Text in lines of at most `width` characters, broken at blanks, each after `indent`. */
void wrapped_write(struct buf *out, str text, size_t width, const char *indent);
