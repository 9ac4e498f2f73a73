/* audit_devices: the device types of this program, for the list in audit_devices.c. */
#pragma once
#include "core/audit/audit.h"

extern const struct audit_device_ops audit_file;
