/* config_private: configuration keys as rows, and what the files src/config/config*.c share. */
#pragma once
#include "config/array.h"
#include "config/config.h"
#include "config/hcl.h"

enum row_kind {
    ROW_IGNORED, /* known, of no use to this program, or read elsewhere */
    ROW_STR,
    ROW_BOOL,     /* bool: also 0, 1 and Go's bool words */
    ROW_INT,      /* int64_t: also as text */
    ROW_COUNT,    /* int, not negative */
    ROW_DURATION, /* int64_t, nanoseconds */
    ROW_LIST,     /* str * and size_t: a list, or text with commas */
    ROW_TLS,      /* int: tls10 … tls13 as 10 … 13 */
    ROW_BLOCK,    /* a block whose keys are rows of the same struct */
};

enum row_merge {
    MERGE_LAST,
    MERGE_ANY,
    MERGE_MAX
}; /* of several files: the last given, any true, the greatest */

struct row {
    const char *name;
    enum row_kind kind;
    size_t offset;
    size_t count_offset; /* ROW_LIST */
    enum row_merge merge;
    const struct row *block; /* ROW_BLOCK */
};

enum { ROWS_MAX = 64 };

struct reader { /* of one file */
    struct arena *arena;
    str file_name;
    struct config *config;
};

void config_warn(struct arena *a, struct config *c, str text);

/* Fills `base` from an OBJECT's items by `rows` (ends at a NULL name; names match in any case). Unknown keys
 * without a label become warnings. ret_given (may be NULL): bit i is set when row i was there. */
struct error *rows_read(struct reader *r, const struct row *rows, const struct hcl_value *object, void *base,
                        uint64_t *ret_given) MUST_USE;
/* Gives every empty text and zero number of `base` the value it has in `defaults`. */
void rows_default(const struct row *rows, void *base, const void *defaults);
void rows_merge(const struct row *rows, void *base, const void *from, uint64_t from_given);

/* Is this item `name` (in any case)? */
bool item_is(const struct hcl_item *item, str name);
struct error *bool_from_value(struct arena *a, const struct hcl_value *v, bool *ret) MUST_USE;
/* Fills in the templates of an address, once; errors name the key. */
struct error *address_fill(struct arena *a, const char *key, str *address) MUST_USE;

/* All `listener` blocks of a file, appended to the configuration. */
struct error *listeners_read(struct reader *r, const struct hcl_value *root) MUST_USE;

/* All `user_lockout` blocks of a file, appended to the configuration. */
struct error *lockouts_read(struct reader *r, const struct hcl_value *root) MUST_USE;

/* A file's text. */
struct error *config_read_file(struct arena *a, str path, str *ret_text) MUST_USE;
/* The configuration files behind `path`: itself, or a directory's *.hcl and *.json in the order of the
 * directory. */
struct error *config_find_files(struct arena *a, str path, str **ret_files, size_t *ret_n, bool *ret_is_dir)
    MUST_USE;
