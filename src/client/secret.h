/* secret: the API's answers brought into one form.
 *
 * A secret is an ordered JSON object with exactly the members that the peers' command line prints, in their
 * order: request_id, lease_id, lease_duration, renewable, data, warnings and, only if the answer has them,
 * auth and wrap_info. Absent values are null, "" or 0. Lifetime: the arena; values are shared with the
 * answer's tree.
 */
#pragma once
#include "base/json.h"

/* One member of an ordered object made by json_shape(). */
struct shape {
    const char *name;
    enum json_type zero;       /* what stands for an absent or null value: null, false, 0, "" , [] or {} */
    bool omit_empty;           /* left out when absent, null, false, 0, "", [] or {} */
    const struct shape *inner; /* NULL, or the shape of the object inside */
};

/* Members of `from` in the order of `rows` (which end with a NULL name); others are dropped. */
struct json *json_shape(struct arena *a, const struct shape *rows, const struct json *from);
/* The secret in the parsed body of an answer; NULL if there is none (no body, or nothing but "errors"). A
 * body without any of the known members is the data itself. */
struct json *secret_from_json(struct arena *a, struct json *body);
