/* cors: what browsers may ask for pages of other origins: the setting at sys/config/cors, held for the front.
 *
 * Stored: sys/config/cors, docs/formats/http.md section 5. Off until a store that has it
 * on is opened; stays as it was while sealed.
 * Threads: any; one lock inside.
 */
#pragma once
#include "core/core.h"

enum cors_verdict { CORS_OFF, CORS_ALLOWED, CORS_REFUSED };

/* ret_headers: request headers a browser may send, joined by ','; in `a`; only if allowed. */
enum cors_verdict core_cors(struct core *c, struct arena *a, str origin, str *ret_headers);
