/* base: the words every file of the program uses: attributes, slices, TRY.
 *
 * `str` is text and `bytes` is octets: pointer and length by value, never NUL-terminated by contract, NUL
 * bytes allowed inside. A slice owns nothing; whoever hands it out says how long it lives (an arena, a
 * snapshot, the process). The empty slice may have p == NULL. Print a str with "%.*s", PSTR(s).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MUST_USE     __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define COLD         __attribute__((cold))
#define NORETURN     __attribute__((noreturn))
#define CLEANUP(fn)  __attribute__((cleanup(fn)))
#define UNUSED       __attribute__((unused))
#if defined(__clang__)
#define CAPABILITY(x) __attribute__((capability(x)))
#define ACQUIRES(...) __attribute__((acquire_capability(__VA_ARGS__)))
#define RELEASES(...) __attribute__((release_capability(__VA_ARGS__)))
#define REQUIRES(...) __attribute__((requires_capability(__VA_ARGS__)))
#define UNCHECKED     __attribute__((no_thread_safety_analysis))
#else
#define CAPABILITY(x)
#define ACQUIRES(...)
#define RELEASES(...)
#define REQUIRES(...)
#define UNCHECKED
#endif

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)   ((a) < (b) ? (a) : (b))
#define MAX(a, b)   ((a) > (b) ? (a) : (b))

/* Hands the value of pointer variable `p` out and leaves NULL behind, so that its CLEANUP does nothing. */
#define TAKE(p)                                                                                              \
    __extension__({                                                                                          \
        __typeof__(p) take_ = (p);                                                                           \
        (p) = NULL;                                                                                          \
        take_;                                                                                               \
    })

/* The struct of type `type` whose member `member` is at `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

struct arena;
struct error;
struct json;

/* Passes an error on: evaluates `expr` once; returns from the calling function when it is not NULL. */
#define TRY(expr)                                                                                            \
    do {                                                                                                     \
        struct error *try_ = (expr);                                                                         \
        if (try_)                                                                                            \
            return try_;                                                                                     \
    } while (0)

typedef struct str {
    const char *p;
    size_t n;
} str;

typedef struct bytes {
    const uint8_t *p;
    size_t n;
} bytes;

#define STR(lit) ((str){"" lit, sizeof(lit) - 1}) /* of a string literal */
#define PSTR(s)  (int)(s).n, (s).n ? (s).p : ""

static inline str str_from_cstr(const char *s)
{
    return s ? (str){s, strlen(s)} : (str){0};
}

static inline bytes bytes_from_str(str s)
{
    return (bytes){(const uint8_t *)s.p, s.n};
}

static inline str str_from_bytes(bytes b)
{
    return (str){(const char *)b.p, b.n};
}

static inline bool str_eq(str a, str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_starts(str s, str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool str_ends(str s, str suffix)
{
    return s.n >= suffix.n && (suffix.n == 0 || memcmp(s.p + (s.n - suffix.n), suffix.p, suffix.n) == 0);
}

/* The part from `from` up to and not including `to`; both are cut to the length. */
static inline str str_slice(str s, size_t from, size_t to)
{
    to = MIN(to, s.n);
    from = MIN(from, to);
    return (str){s.n ? s.p + from : s.p, to - from};
}

/* The rest of s from byte `from`. */
static inline str str_from(str s, size_t from)
{
    return str_slice(s, from, s.n);
}

int str_cmp(str a, str b);        /* by bytes, a shorter prefix first: <0, 0, >0 */
bool str_eq_nocase(str a, str b); /* ASCII letters alike */
size_t str_index(str s, char c);  /* position of the first c; s.n if there is none */
size_t str_rindex(str s, char c); /* position of the last c; s.n if there is none */
/* Position of the first needle; s.n if there is none (and needle is not empty) */
size_t str_find(str s, str needle);
str str_trim(str s); /* without ASCII white space at both ends */
/* Cuts s at the first `c`: before and after it. False (and before = s, after empty) if there is none. */
bool str_cut(str s, char c, str *ret_before, str *ret_after);
/* Keyed at random per process: never stored, and nobody outside can aim at a bucket */
uint64_t str_hash(str s);
/* Length of the UTF-8 character that s begins with (no overlong forms, no surrogates); 0 if it begins with
 * none. */
size_t str_utf8_len(str s);

/* Decimal numbers, whole string, no blanks, no sign for u64. False: not a number or out of range; output
 * untouched. */
bool str_parse_u64(str s, uint64_t *ret_value) MUST_USE;
bool str_parse_i64(str s, int64_t *ret_value) MUST_USE;
/* Decimal digits with sign, point and exponent; neither infinite nor more than 64 characters. */
bool str_parse_double(str s, double *ret_value) MUST_USE;
