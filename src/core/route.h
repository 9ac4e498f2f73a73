/* route: matching a path in an engine's table, parsing a request's fields, help and OpenAPI from that table.
 *
 * Templates: segments between '/': a literal, {name} (one segment, not empty), {name...} (the rest; it may be
 *   empty unless its field is required, or a literal end follows as in mounts/{path...}/tune). By segment a
 *   literal is tried first, then {name}, then {name...}; of two ends the longer one.
 *
 * Trailing '/': a template that ends in a literal matches with one and without one if it is written with one
 *   or has OP_LIST (lists get their '/' from the front); others match the bytes as they are.
 *
 * Threads: a table is immutable, any thread.
 */
#pragma once
#include "core/engine.h"

struct route_table; /* compiled from const struct route[]; immutable */
/* Compiles several tables into one (sys/ is made of many). Asserts that every field has help, every route an
 * operation. */
struct route_table *route_table_new(const struct route *const *tables, size_t n);
void route_table_free(struct route_table *t);

/* The route of a path inside the mount, its {name} values in order into `params` (slices of path). NULL:
 * none. */
const struct route *route_match(const struct route_table *t, str path, str params[REQUEST_PARAMS_MAX]);
/* Two routes of equal rank that match one path, as text; empty if there are none. For the test. */
str route_table_conflicts(const struct route_table *t, struct arena *a);

/* Parses path values, query and body into rq->fields by rq->route (and rq->params). The path's values win
 * over the body's. Errors: 400 "Field validation failed: error converting input X for field "f": …", without
 * the first words when the route has an existence check and the request writes, as the API does; "missing f"
 * for an absent FIELD_REQUIRED. */
struct error *fields_parse(struct request *rq) MUST_USE;
/* After the handler: what was sent for nothing, as the API's warnings, when there is an answer that can carry
 * them. */
void fields_warn(struct request *rq, struct response *rs);

/* Is this run a rehearsal (reads fill the cache, writes are dropped)? A handler that acts
 * outside its transaction, as opening an audit file, leaves that out then. */
bool request_is_rehearsal(const struct request *rq);

/* The answer to ?help=1: {"help": text, "see_also": …, "openapi": {…}}. route NULL: of the whole engine. */
struct error *route_help(struct request *rq, const struct engine *engine, const struct route *route,
                         struct response *rs) MUST_USE;
/* OpenAPI 3 path items of one engine's routes under a mount path ("secret/"), added to `paths`. */
void route_openapi(struct arena *a, struct json *paths, str mount_path, const struct engine *engine);

/* For route*.c and help.c: the next segment of a template, its kind, and what follows. */
struct route_segment {
    enum { SEGMENT_LITERAL, SEGMENT_NAME, SEGMENT_REST } kind;
    str text; /* the literal, or the name in the braces */
};
/* False at the end. A trailing '/' gives no segment. */
bool route_next_segment(str *template, struct route_segment *ret);
