/* cidr: is an address in a block? "10.0.0.0/8", "::1", "192.0.2.7"; an IPv4 address inside IPv6
 * (::ffff:a.b.c.d) counts as IPv4. */
#pragma once
#include "base/base.h"

bool cidr_is_valid(str block); /* an address or a block */
/* False also when either text is no address or block. */
bool cidr_contains(str block, str address);
