/* audit_devices: the list of device types. */
#include "audit/audit_devices.h"

static const struct audit_device_ops *const devices[] = {&audit_file};

const struct audit_device_ops *audit_device_find(str type)
{
    for (size_t i = 0; i < COUNT_OF(devices); i++)
        if (str_eq(type, str_from_cstr(devices[i]->type)))
            return devices[i];
    return NULL;
}
