/* audit_socket: entries sent to a TCP, UDP or unix socket.
 *
 * Options: address (host:port or path), socket_type (tcp, udp, unix; tcp), write_timeout (a duration, 2s;
 * also for connecting; at most SOCKET_WAIT_MAX_NS, because requests wait for it).
 */
#include "audit/audit_devices.h"
#include "audit/audit_peer.h"
#include "base/clock.h"
#include "base/fault.h"

#define SOCKET_WAIT_NS     (2 * NS_PER_S)
#define SOCKET_WAIT_MAX_NS (10 * NS_PER_S)

static struct error *socket_open(struct arena *a, const struct json *options, void **ret_device)
{
    str address = json_get_str(options, STR("address")), type = json_get_str(options, STR("socket_type"));
    const struct json *timeout = json_get(options, STR("write_timeout"));
    int64_t wait_ns = SOCKET_WAIT_NS;

    if (address.n == 0)
        return error_new(a, ERR_BAD_REQUEST, "address is required");
    if (timeout)
        TRY(duration_parse(a, json_get_str(options, STR("write_timeout")), &wait_ns));
    if (wait_ns <= 0 || wait_ns > SOCKET_WAIT_MAX_NS)
        wait_ns = SOCKET_WAIT_MAX_NS;
    struct peer_endpoint to = {type.n ? arena_cstr(a, type) : "tcp", arena_cstr(a, address)};

    if (!to.network || !to.address)
        return error_new(a, ERR_BAD_REQUEST, "address and socket_type must not hold a NUL byte");
    *ret_device = peer_new(&to, 1, wait_ns);
    return NULL;
}

static struct error *socket_write(void *device, struct arena *a, const bytes *entries, size_t n)
{
    if (FAULT(FAULT_AUDIT_WRITE))
        return error_new(a, ERR_INTERNAL, "write socket: injected fault");
    return peer_write(device, a, entries, n);
}

static void socket_close(void *device)
{
    peer_free(device);
}

const struct audit_device_ops audit_socket = {
    .type = "socket", .open = socket_open, .write = socket_write, .close = socket_close};
