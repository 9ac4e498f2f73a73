/* audit_devices: the list of device types. */
#include "audit/audit_devices.h"

static const struct audit_device_ops *const devices[] = {&audit_file, &audit_socket, &audit_syslog};

const struct audit_device_ops *audit_device_find(str type)
{
    for (size_t i = 0; i < COUNT_OF(devices); i++)
        if (str_eq(type, str_from_cstr(devices[i]->type)))
            return devices[i];
    return NULL;
}

str audit_errno_text(struct arena *a, int os_errno)
{
    const struct error *e = error_errno(a, os_errno, "%s", "");

    return arena_lower(a, str_trim(str_from(e->text, str_index(e->text, ':') + 1)));
}

bytes audit_join(struct arena *a, const bytes *entries, size_t n)
{
    size_t total = 0, at = 0;

    if (n == 1)
        return entries[0];
    for (size_t i = 0; i < n; i++)
        total += entries[i].n;
    uint8_t *all = arena_alloc(a, total);

    for (size_t i = 0; i < n; i++) {
        memcpy(all + at, entries[i].p, entries[i].n);
        at += entries[i].n;
    }
    return (bytes){all, total};
}
