#include "net/peer_count.h"

#include "base/log.h"
#include "base/mutex.h"

#include <stdlib.h>

enum { PEER_BUCKETS = 1024 };

struct peer {
    struct peer *next;
    struct ip_address ip;
    unsigned n;
};

struct peer_count {
    struct mutex lock;
    unsigned max;
    struct peer *buckets[PEER_BUCKETS]; /* lock: lock */
};

struct peer_count *peer_count_new(unsigned max)
{
    struct peer_count *p = calloc(1, sizeof *p);
    if (!p)
        die("out of memory");
    mutex_init(&p->lock);
    p->max = max;
    return p;
}

void peer_count_free(struct peer_count *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < PEER_BUCKETS; i++)
        while (p->buckets[i]) {
            struct peer *peer = p->buckets[i];
            p->buckets[i] = peer->next;
            free(peer);
        }
    mutex_done(&p->lock);
    free(p);
}

/* The link that points to the address's entry, or the end of its chain. */
static struct peer **peer_find(struct peer_count *p, const struct ip_address *ip)
{
    struct peer **link = &p->buckets[str_hash((str){(const char *)ip->p, sizeof ip->p}) % PEER_BUCKETS];
    while (*link && memcmp((*link)->ip.p, ip->p, sizeof ip->p) != 0)
        link = &(*link)->next;
    return link;
}

bool peer_count_add(struct peer_count *p, const struct ip_address *ip)
{
    mutex_lock(&p->lock);
    struct peer **link = peer_find(p, ip);
    if (!*link) {
        *link = calloc(1, sizeof **link);
        if (!*link)
            die("out of memory");
        (*link)->ip = *ip;
    }
    bool fits = (*link)->n < p->max;
    (*link)->n += fits;
    mutex_unlock(&p->lock);
    return fits;
}

void peer_count_remove(struct peer_count *p, const struct ip_address *ip)
{
    mutex_lock(&p->lock);
    struct peer **link = peer_find(p, ip);
    struct peer *peer = *link;
    if (peer && --peer->n == 0) {
        *link = peer->next;
        free(peer);
    }
    mutex_unlock(&p->lock);
}
