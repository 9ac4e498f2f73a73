/* memo: results of what takes long, kept for the runs to come of the same request. */
#include "base/log.h"
#include "base/secure.h"
#include "core/call.h"

#include <stdlib.h>

static struct memo *find(const struct call_state *cs, memo_fn *compute, size_t x_n, const uint8_t *digest)
{
    struct memo *m = cs->memos;

    while (m && !(m->compute == compute && m->x_n == x_n && memcmp(m->digest, digest, SHA256_BYTES) == 0))
        m = m->next;
    return m;
}

static struct memo *memo_new(memo_fn *compute, size_t x_n, const uint8_t *digest, bytes value)
{
    struct memo *m = calloc(1, sizeof(*m) + value.n);

    if (!m)
        die("out of memory");
    m->compute = compute;
    m->x_n = x_n;
    memcpy(m->digest, digest, sizeof(m->digest));
    m->n = value.n;
    if (value.n)
        memcpy(m->value, value.p, value.n);
    return m;
}

struct error *request_memo(struct request *rq, memo_fn *compute, bytes x, bytes y, bytes *ret)
{
    struct call_state *cs = CONTAINER_OF(rq->txn, struct call_state, txn);
    uint8_t digest[SHA256_BYTES];

    if (rq->txn->stop != TXN_GO)
        return error_would_block();
    sha256(digest, x, y);
    struct memo *m = find(cs, compute, x.n, digest);

    if (!m) {
        if (!rq->txn->slow_ok) {
            rq->txn->stop = TXN_WANTS_SLOW;
            return error_would_block();
        }
        m = memo_new(compute, x.n, digest, compute(rq, x, y));
        m->next = cs->memos;
        cs->memos = m;
    }
    *ret = arena_bytes(rq->arena, (bytes){m->value, m->n});
    return NULL;
}

void memos_free(void *call_state)
{
    struct call_state *cs = call_state;

    for (struct memo *m = cs->memos, *next; m; m = next) {
        next = m->next;
        wipe(m, sizeof(*m) + m->n);
        free(m);
    }
    cs->memos = NULL;
}
