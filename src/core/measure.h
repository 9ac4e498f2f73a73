/* measure: series of a mount, found in an array of it: a request takes no lock to count.
 *
 * Names and labels: docs/formats/metrics.md. Threads: any; of the request.
 */
#pragma once
#include "core/engine.h"

enum { TTL_CLASSES = 10 };
enum mount_metric {
    MOUNT_ROUTE, /* and operation: route.OP.PATH */
    MOUNT_TOKEN_CREATION =
        MOUNT_ROUTE + OP_COUNT_, /* and class of ttl, those of batch tokens after the others */
    MOUNT_ENTITY_CREATION = MOUNT_TOKEN_CREATION + 2 * TTL_CLASSES,
    MOUNT_METRIC_COUNT_
};

/* "1m", "10m" … "30d", "+Inf": the least that is not less than the ttl; 0 is without an end. */
unsigned ttl_class(int64_t ttl_ns);
str ttl_class_label(unsigned class);

/* A token was made by the request's mount, for its caller or a login. */
void measure_token_creation(struct request *rq, int token_type, int64_t ttl_ns);
/* A login, or a token with an entity's alias, made an entity. */
void measure_entity_creation(struct request *rq);
