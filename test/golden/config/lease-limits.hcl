storage "inmem" {}
max_lease_ttl = "1h"
