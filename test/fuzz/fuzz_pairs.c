/* K=V arguments, one a line: an object or an error, and the object can be written. Files are not read. */
#include "cli/pairs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARGS_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    str args[ARGS_MAX];
    size_t n = 0;
    for (str arg, rest = {(const char *)data, size}; rest.n && n < ARGS_MAX;) {
        str_cut(rest, '\n', &arg, &rest);
        if (!str_starts(arg, STR("@")) && str_find(arg, STR("=@")) == arg.n)
            args[n++] = arg;
    }
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct json *object = NULL;
    struct error *e = pairs_parse(a, fd, args, n, &object);
    close(fd);
    if (!e != (object != NULL) || (e && e->kind != ERR_BAD_REQUEST && e->kind != ERR_TOO_LARGE))
        abort();
    if (object)
        (void)json_text(a, object);
    arena_free(a);
    return 0;
}
