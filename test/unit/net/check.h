/* check: cmocka and what its header needs before it. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* clang-format off: it needs the ones above */
#include <cmocka.h>
/* clang-format on */
