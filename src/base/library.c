#include "base/library.h"

#include "base/mutex.h"

#include <dlfcn.h>
#include <stdatomic.h>

enum { NOT_LOADED = 0, LOADED };

/* One library at a time: two threads never fill the same table. */
static struct mutex loading = {PTHREAD_MUTEX_INITIALIZER};

static struct error *load_locked(struct arena *a, struct library *l)
{
    void *handle = dlopen(l->soname, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return error_new(a, ERR_INTERNAL, "%s is not installed (Debian package %s)", l->soname, l->package);
    for (size_t i = 0; i < l->n; i++) {
        void *symbol = dlsym(handle, l->symbols[i].name);
        if (!symbol) {
            dlclose(handle);
            return error_new(a, ERR_INTERNAL, "%s has no function %s: another version than Debian package %s",
                             l->soname, l->symbols[i].name, l->package);
        }
        memcpy(l->symbols[i].slot, &symbol, sizeof(symbol));
    }
    return NULL;
}

struct error *library_load(struct arena *a, struct library *l)
{
    struct error *e = NULL;
    /* Acquires what the store below releases: the filled table. */
    if (atomic_load_explicit(&l->state, memory_order_acquire) == LOADED)
        return NULL;
    mutex_lock(&loading);
    if (atomic_load_explicit(&l->state, memory_order_relaxed) != LOADED && !(e = load_locked(a, l)))
        atomic_store_explicit(&l->state, LOADED, memory_order_release);
    mutex_unlock(&loading);
    return e;
}
