#include "base/qr.h"

#include "base/library.h"

#include <png.h>
#include <qrencode.h>

static struct {
    __typeof__(QRcode_encodeData) *encode;
    __typeof__(QRcode_free) *free;
} qrencode;
static const struct library_symbol qrencode_symbols[] = {
    {"QRcode_encodeData", &qrencode.encode},
    {"QRcode_free", &qrencode.free},
};
static struct library qrencode_library = {"libqrencode.so.4", "libqrencode4", qrencode_symbols,
                                          COUNT_OF(qrencode_symbols), 0};

static struct {
    __typeof__(png_image_write_to_memory) *write;
} png;
static const struct library_symbol png_symbols[] = {{"png_image_write_to_memory", &png.write}};
static struct library png_library = {"libpng16.so.16", "libpng16-16", png_symbols, COUNT_OF(png_symbols), 0};

/* Each module is a square of whole points; what is left over is margin. */
static void draw(uint8_t *points, unsigned size, const QRcode *code)
{
    unsigned width = (unsigned)code->width, scale = size / width, margin = (size - scale * width) / 2;

    memset(points, 0xff, (size_t)size * size);
    for (unsigned y = 0; y < scale * width; y++)
        for (unsigned x = 0; x < scale * width; x++)
            if (code->data[y / scale * width + x / scale] & 1)
                points[(size_t)(margin + y) * size + margin + x] = 0;
}

static struct error *write_png(struct arena *a, const uint8_t *points, unsigned size, bytes *ret)
{
    png_image image = {
        .version = PNG_IMAGE_VERSION, .width = size, .height = size, .format = PNG_FORMAT_GRAY};
    png_alloc_size_t n = PNG_IMAGE_PNG_SIZE_MAX(image);
    uint8_t *out = arena_alloc(a, n);

    if (!png.write(&image, out, &n, 0, points, 0, NULL))
        return error_new(a, ERR_INTERNAL, "libpng could not write the picture: %s", image.message);
    *ret = (bytes){out, n};
    return NULL;
}

struct error *qr_png(struct arena *a, str text, unsigned size, bytes *ret)
{
    TRY(library_load(a, &qrencode_library));
    TRY(library_load(a, &png_library));
    QRcode *code = text.n <= INT32_MAX
                       ? qrencode.encode((int)text.n, (const unsigned char *)text.p, 0, QR_ECLEVEL_M)
                       : NULL;

    if (!code)
        return error_new(a, ERR_BAD_REQUEST, "the text is too long for a QR code: %zu bytes", text.n);
    unsigned width = (unsigned)code->width;
    uint8_t *points = size >= width && size <= QR_SIZE_MAX ? arena_alloc(a, (size_t)size * size) : NULL;

    if (points)
        draw(points, size, code);
    qrencode.free(code);
    if (!points)
        return error_new(a, ERR_BAD_REQUEST, "a QR code of this text takes %u points or more, and at most %d",
                         width, QR_SIZE_MAX);
    return write_png(a, points, size, ret);
}
