/* audit_devices: the device types of this program, for the list in audit_devices.c, and what their files
 * share. */
#pragma once
#include "core/audit/audit.h"

extern const struct audit_device_ops audit_file, audit_socket, audit_syslog;

/* The system's text for an error number as Go words it: "no such file or directory". */
str audit_errno_text(struct arena *a, int os_errno);
/* All entries in one piece; one alone is not copied. */
bytes audit_join(struct arena *a, const bytes *entries, size_t n);

/* The syslog device on other sockets than the system's: for tests. A path is tried for datagrams, then as
 * a stream. */
struct error *audit_syslog_open_at(struct arena *a, const struct json *options, const char *const *paths,
                                   size_t n, void **ret_device) MUST_USE;
