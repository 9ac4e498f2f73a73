/* member: reading members of stored JSON objects as Vault's decoder does: names without regard to case,
 * absent or null is zero. Lifetime: results point into the tree, lists into the arena.
 */
#pragma once
#include "base/json.h"

str member_str(const struct json *object, const char *key);
int64_t member_int(const struct json *object, const char *key);
bool member_bool(const struct json *object, const char *key);
str *member_strs(struct arena *a, const struct json *object, const char *key, size_t *ret_n);
/* RFC 3339; absent or no time: TIME_ZERO_NS. */
int64_t member_time_ns(const struct json *object, const char *key);
/* The member if it is an object, else NULL. */
struct json *member_object(const struct json *object, const char *key);
