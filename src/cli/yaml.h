/* yaml: JSON values written as YAML 1.1 in block style, as the peers' command line does.
 *
 * Keys sorted; a sequence stands at the indent of its key; strings are quoted only where another reader would
 * not take them as that string (also y, n, yes, dates, base 60); text with line ends is a literal block.
 * Numbers that fit 64 bits are written as they are, others in their shortest floating form (1.50 is 1.5).
 * Only written, never read.
 */
#pragma once
#include "base/json.h"

void yaml_write(struct buf *out, const struct json *v); /* ends with a line end */
