/* peer_count: how many connections each address has open. Threads: any, one lock inside. */
#pragma once
#include "base/ip_range.h"

struct peer_count;
struct peer_count *peer_count_new(unsigned max);
void peer_count_free(struct peer_count *p); /* NULL is fine */
bool peer_count_add(struct peer_count *p, const struct ip_address *ip)
    MUST_USE; /* false: the address has its maximum */
void peer_count_remove(struct peer_count *p, const struct ip_address *ip);
