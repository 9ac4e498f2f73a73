#include "api/front_private.h"
#include "base/ip_range.h"

static bool is_authorised(const struct config_listener *l, str address)
{
    struct ip_address ip;
    struct ip_range range;

    if (!ip_parse(address, &ip))
        return false;
    for (size_t i = 0; i < l->n_x_forwarded_for_addrs; i++)
        if (ip_range_parse(l->x_forwarded_for_addrs[i], &range) && ip_is_in(&ip, &range, 1))
            return true;
    return false;
}

struct error *forwarded_address(struct exchange *x, str *ret_address)
{
    const struct config_listener *l = x->listener;
    str all = exchange_header(x, STR("X-Forwarded-For"));

    *ret_address = x->remote_address;
    if (!l || l->n_x_forwarded_for_addrs == 0)
        return NULL;
    if (all.n == 0)
        return l->x_forwarded_for_reject_not_present
                   ? error_new(x->arena, ERR_BAD_REQUEST,
                               "missing x-forwarded-for header and configured to reject when not present")
                   : NULL;
    if (!is_authorised(l, x->remote_address))
        return l->x_forwarded_for_reject_not_authorized
                   ? error_new(x->arena, ERR_BAD_REQUEST,
                               "client address not authorized for x-forwarded-for and configured to reject "
                               "connection")
                   : NULL;
    int length = 1, at;

    for (size_t i = 0; i < all.n; i++)
        length += all.p[i] == ',';
    at = length - 1 - l->x_forwarded_for_hop_skips;
    if (at < 0)
        return error_new(x->arena, ERR_BAD_REQUEST,
                         "malformed x-forwarded-for configuration or request, hops to skip (%d) would skip "
                         "before earliest chain link (chain length %d)",
                         l->x_forwarded_for_hop_skips, length);
    for (str link, rest = all; at >= 0; at--) {
        str_cut(rest, ',', &link, &rest);
        *ret_address = str_trim(link);
    }
    return NULL;
}
