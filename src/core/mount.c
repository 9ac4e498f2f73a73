#include "core/mount.h"

#include "core/active_private.h"

/* Order of a mount's path against `path`, or against `path` followed by '/'. */
static int compare(str mount_path, str path, bool slash)
{
    size_t n = MIN(mount_path.n, path.n);
    int c = n ? memcmp(mount_path.p, path.p, n) : 0;

    if (c)
        return c;
    if (mount_path.n <= path.n)
        return mount_path.n == path.n && !slash ? 0 : -1;
    if (!slash)
        return 1;
    c = (unsigned char)mount_path.p[path.n] - '/';
    return c ? c : mount_path.n > path.n + 1;
}

static const struct mount *find(const struct mount_table *t, str path, bool slash)
{
    size_t low = 0, high = t->n;

    while (low < high) {
        size_t mid = (low + high) / 2;
        int c = compare(t->mounts[mid].path, path, slash);

        if (c == 0)
            return &t->mounts[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

const struct mount *mount_find(const struct mount_table *t, str path)
{
    const struct mount *m;

    if (path.n > 0 && path.p[path.n - 1] != '/' && (m = find(t, path, true)) != NULL)
        return m;
    for (size_t end = path.n; end > 0; end--)
        if (path.p[end - 1] == '/' && (m = find(t, str_slice(path, 0, end), false)) != NULL)
            return m;
    return NULL;
}

/* From now on their ends are times, as they are kept: nanoseconds up to the year 2262. */
static const int64_t ttl_ns_max = INT64_C(200) * 365 * 86400 * NS_PER_S;

int64_t mount_default_ttl_ns(const struct request *rq, const struct mount *m)
{
    return m && m->default_lease_ttl_ns ? m->default_lease_ttl_ns : active_default_ttl_ns(rq->active);
}

int64_t mount_max_ttl_ns(const struct request *rq, const struct mount *m)
{
    return MIN(m && m->max_lease_ttl_ns ? m->max_lease_ttl_ns : active_max_ttl_ns(rq->active), ttl_ns_max);
}
