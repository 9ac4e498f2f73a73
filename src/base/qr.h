/* qr: a text as a picture that a camera reads: a QR code in a PNG (libqrencode and libpng).
 *
 * Threads: any. Takes a few milliseconds: not for a loop or the lane.
 * Errors:  ERR_BAD_REQUEST when the text is too long for a code, or the picture too small for its points;
 *          ERR_INTERNAL when a library is not installed.
 */
#pragma once
#include "base/arena.h"
#include "base/error.h"

enum { QR_SIZE_MAX = 4096 };

/* A PNG of size * size points (1..QR_SIZE_MAX). */
struct error *qr_png(struct arena *a, str text, unsigned size, bytes *ret) MUST_USE;
