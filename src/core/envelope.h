/* envelope: an answer as the API's JSON object, as clients get it and as a wrapped answer is kept.
 *
 * Shape: {"request_id","lease_id","renewable","lease_duration","data","wrap_info","warnings","auth"}, in this
 * order.
 */
#pragma once
#include "base/buf.h"
#include "core/engine.h"

/* The members, without the braces. An answer that was wrapped shows nothing but wrap_info. */
void envelope_write(struct buf *b, str request_id, const struct response *rs);
bool response_has_body(const struct response *rs);
