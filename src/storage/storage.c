#include "storage/storage.h"

#include "base/fault.h"

static const struct storage_ops *const types[] = {&storage_inmem, &storage_inmem_ha, &storage_file,
                                                  &storage_sqlite};

static const struct storage_ops *ops_of(str type)
{
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (str_eq(type, str_from_cstr(types[i]->type)))
            return types[i];
    return NULL;
}

bool storage_type_is_known(str type)
{
    return ops_of(type) != NULL;
}

bool storage_type_has_lock(str type)
{
    const struct storage_ops *ops = ops_of(type);
    return ops && ops->lock_acquire;
}

struct error *storage_open(struct arena *a, const struct config_block *config, struct storage **ret_s)
{
    const struct storage_ops *ops = ops_of(config->type);
    if (ops)
        return ops->open(a, config, ret_s);
    return error_new(a, ERR_BAD_REQUEST, "Unknown storage type %.*s", PSTR(config->type));
}

void storage_close(struct storage *s)
{
    if (s)
        s->ops->close(s);
}

static struct error *path_check(const struct storage *s, struct arena *a, str path)
{
    if (path.n == 0 || path.p[0] == '/')
        return error_new(a, ERR_INTERNAL, "\"%.*s\" is no path of an entry", PSTR(path));
    if (path.n > s->caps.key_bytes_max)
        return error_new(a, ERR_TOO_LARGE, "key of %zu bytes is too long: this storage takes %zu", path.n,
                         s->caps.key_bytes_max);
    return NULL;
}

struct error *storage_get(struct storage *s, struct arena *a, str path, bytes *ret_value)
{
    TRY(path_check(s, a, path));
    if (FAULT(FAULT_STORAGE_READ))
        return error_new(a, ERR_IO, "read %.*s: Input/output error", PSTR(path));
    return s->ops->get(s, a, path, ret_value);
}

struct error *storage_list(struct storage *s, struct arena *a, str prefix, str **ret_names, size_t *ret_n)
{
    if (prefix.n > 0 && (prefix.p[0] == '/' || !str_ends(prefix, STR("/"))))
        return error_new(a, ERR_INTERNAL, "\"%.*s\" is no prefix of a list", PSTR(prefix));
    if (FAULT(FAULT_STORAGE_READ))
        return error_new(a, ERR_IO, "list %.*s: Input/output error", PSTR(prefix));
    return s->ops->list(s, a, prefix, ret_names, ret_n);
}

static struct error *batch_check(const struct storage *s, struct arena *a, const struct storage_batch *batch)
{
    if (batch->n > s->caps.batch_max)
        return error_new(a, ERR_TOO_LARGE, "%zu entries are too many for one commit: this storage takes %u",
                         batch->n, s->caps.batch_max);
    if (batch->fence && !s->ops->lock_acquire)
        return error_new(a, ERR_INTERNAL, "storage %s cannot check a lock", s->ops->type);
    for (size_t i = 0; i < batch->n; i++) {
        const struct storage_put *put = &batch->puts[i];
        TRY(path_check(s, a, put->path));
        if (!put->deletes && put->value.n > s->caps.value_bytes_max)
            return error_new(a, ERR_TOO_LARGE, "put failed due to value being too large");
    }
    return NULL;
}

struct error *storage_commit(struct storage *s, struct arena *a, const struct storage_batch *batch)
{
    if (s->failed)
        return error_new(a, ERR_IO, "storage has failed and is not written to until it is opened again");
    TRY(batch_check(s, a, batch));
    if (FAULT(FAULT_STORAGE_FULL))
        return error_new(a, ERR_FULL, "write: No space left on device");
    struct error *e = s->ops->commit(s, a, batch);
    if (!e && FAULT(FAULT_STORAGE_FSYNC))
        e = error_new(a, ERR_IO, "fsync: Input/output error");
    if (e && e->kind == ERR_IO)
        s->failed = true;
    return e;
}
