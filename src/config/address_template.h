/* address_template: addresses of the configuration that are found out at start: "{{ GetPrivateIP }}:8200",
 * "{{ GetAllInterfaces | include \"name\" \"eth0\" | attr \"address\" }}". The language and its words are
 * go-sockaddr's, as operators know them; docs/formats/config.md lists what is there.
 *
 * Errors: ERR_BAD_REQUEST for a template that cannot be read, an unknown word, an argument out of its rule.
 */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "base/ip_range.h"

struct interface_address { /* one for each address of each interface */
    str name;
    struct ip_address ip;
    unsigned bits;   /* of the network, counted in 128: 96 and more for IPv4 */
    unsigned flags;  /* IFF_* of net/if.h */
    bool is_default; /* the interface has the default route */
};

/* What this machine has, in the kernel's order. */
struct error *interface_addresses(struct arena *a, struct interface_address **ret, size_t *ret_n) MUST_USE;

bool address_is_template(str text);
/* The text with its templates filled in from the addresses given. */
struct error *address_template(struct arena *a, str text, const struct interface_address *all, size_t n,
                               str *ret) MUST_USE;
