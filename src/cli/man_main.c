/* coffer-man: prints the manual page. Runs at build time only. */
#include "cli/man.h"

int main(void)
{
    struct arena *a = arena_new(0);
    struct buf page;
    buf_init(&page, a, MAN_BYTES_MAX);
    man_write(&page, a);
    bool ok = !page.full && fwrite(page.p, 1, page.n, stdout) == page.n && fflush(stdout) == 0;
    arena_free(a);
    return ok ? 0 : 1;
}
