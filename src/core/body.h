/* body: bodies as Go decodes them into a struct: names in any case, a wrong type is an error, unknown members
 * are not. For the routes about shares, which have no field parsing (ROUTE_RAW_BODY, or sealed ones).
 *
 * Errors: ERR_BAD_REQUEST, the API's texts. Lifetime: values point into the body.
 */
#pragma once
#include "base/json.h"

/* Absent or null: *ret == NULL. */
struct error *body_typed(struct arena *a, const struct json *body, const char *name, enum json_type type,
                         const struct json **ret) MUST_USE;
struct error *body_int(struct arena *a, const struct json *body, const char *name, int64_t *ret) MUST_USE;
struct error *body_str(struct arena *a, const struct json *body, const char *name, str *ret) MUST_USE;
struct error *body_bool(struct arena *a, const struct json *body, const char *name, bool *ret) MUST_USE;
/* An array of strings; absent: n == 0 and *ret == NULL. */
struct error *body_strings(struct arena *a, const struct json *body, const char *name,
                           const struct json **ret) MUST_USE;

/* A share of a key, hex or base64. */
struct error *share_parse(struct arena *a, str text, bytes *ret) MUST_USE;
struct error *share_check(struct arena *a, bytes share) MUST_USE; /* its length */
