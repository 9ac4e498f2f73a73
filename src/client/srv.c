#include "client/srv.h"

#include <arpa/nameser.h>
#include <resolv.h>

enum { RECORDS_MAX = 256 };

struct record {
    unsigned priority, weight, port;
    str target;
};

static unsigned be16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

/* A host name of letters, digits, '-', '_' and '.': what else a name may hold has no place in an address. */
static bool is_host(str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != '.')
            return false;
    }
    return s.n > 0;
}

/* What stands at *p, moved behind the name there; NULL: the answer is cut short. */
static const uint8_t *name_skip(bytes m, const uint8_t *p)
{
    int n = dn_skipname(p, m.p + m.n);
    return n < 0 ? NULL : p + n;
}

/* One resource record at `p` (RFC 1035, 4.1.3): name, type, class, TTL, length, data. NULL: no more can be
 * read. */
static const uint8_t *record_read(struct arena *a, bytes m, const uint8_t *p, struct record *ret,
                                  size_t *io_n)
{
    enum { HEAD_BYTES = 10, FIXED_BYTES = 6 }; /* FIXED: priority, weight, port before the target */
    const uint8_t *end = m.p + m.n;
    char name[NS_MAXDNAME];
    p = name_skip(m, p);
    if (!p || end - p < HEAD_BYTES || end - p - HEAD_BYTES < (ptrdiff_t)be16(p + 8))
        return NULL;
    const uint8_t *data = p + HEAD_BYTES;
    const uint8_t *next = data + be16(p + 8);
    if (be16(p) != ns_t_srv || be16(p + 2) != ns_c_in || next - data <= FIXED_BYTES ||
        dn_expand(m.p, end, data + FIXED_BYTES, name, sizeof(name)) < 0)
        return next;
    *ret = (struct record){be16(data), be16(data + 2), be16(data + 4), arena_str(a, str_from_cstr(name))};
    *io_n += is_host(ret->target);
    return next;
}

static const struct record *draw(const struct record *v, size_t n, struct rng *rng)
{
    unsigned lowest = UINT32_MAX;
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        lowest = MIN(lowest, v[i].priority);
    for (size_t i = 0; i < n; i++)
        sum += v[i].priority == lowest ? v[i].weight + 1 : 0;
    uint32_t at = (uint32_t)rng_below(rng, sum);
    for (size_t i = 0; i < n; i++) {
        if (v[i].priority != lowest)
            continue;
        if (at <= v[i].weight)
            return &v[i];
        at -= v[i].weight + 1;
    }
    return NULL;
}

str srv_from_answer(struct arena *a, bytes answer, struct rng *rng)
{
    enum { HEADER_BYTES = 12, QUESTION_TAIL_BYTES = 4 };
    struct record records[RECORDS_MAX];
    size_t n = 0;
    if (answer.n < HEADER_BYTES || answer.n > SRV_ANSWER_BYTES_MAX)
        return (str){0};
    const uint8_t *p = answer.p + HEADER_BYTES;
    for (unsigned i = be16(answer.p + 4); i > 0 && p; i--) {
        p = name_skip(answer, p);
        p = p && answer.p + answer.n - p >= QUESTION_TAIL_BYTES ? p + QUESTION_TAIL_BYTES : NULL;
    }
    for (unsigned i = be16(answer.p + 6); i > 0 && p && n < RECORDS_MAX; i--)
        p = record_read(a, answer, p, &records[n], &n);
    const struct record *r = n ? draw(records, n, rng) : NULL;
    return r ? arena_fmt(a, "%.*s:%u", PSTR(r->target), r->port) : (str){0};
}

str srv_lookup(struct arena *a, str host)
{
    struct __res_state state = {0};
    char *name = arena_cstr(a, arena_join(a, STR("_http._tcp."), host));
    uint8_t *answer = arena_alloc(a, SRV_ANSWER_BYTES_MAX);
    if (!name || res_ninit(&state) != 0)
        return (str){0};
    int n = res_nsearch(&state, name, ns_c_in, ns_t_srv, answer, SRV_ANSWER_BYTES_MAX);
    res_nclose(&state);
    return n > 0 ? srv_from_answer(a, (bytes){answer, MIN((size_t)n, SRV_ANSWER_BYTES_MAX)}, rng_system())
                 : (str){0};
}
