/* http_header: one field of a request or an answer. The slices live as long as the message they came with. */
#pragma once
#include "base/base.h"

struct http_header {
    str name; /* as sent; compare without regard to case */
    str value;
};
