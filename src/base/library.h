/* library: shared libraries loaded at first use, by the one file that uses each
 * (docs/decisions/libraries.md).
 *
 *   static struct { CURL *(*easy_init)(void); … } curl;
 *   static const struct library_symbol curl_symbols[] = {{"curl_easy_init", &curl.easy_init}, …};
 *   TRY(library_load(a, &curl_library));       // once is enough; later calls cost one atomic load
 */
#pragma once
#include "base/error.h"

struct library_symbol {
    const char *name;
    void *slot; /* address of the function pointer */
};
struct library {
    const char *soname;  /* "libcurl.so.4" */
    const char *package; /* Debian package named in the error: "libcurl4" */
    const struct library_symbol *symbols;
    size_t n;
    _Atomic(int) state;
};
/* ERR_INTERNAL: "libcurl.so.4 is not installed (Debian package libcurl4)". Threads: any. */
struct error *library_load(struct arena *a, struct library *l) MUST_USE;
