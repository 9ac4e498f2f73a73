storage "inmem" {}
max_lease_ttl = "10d"
default_lease_ttl = "1h30m"
default_max_request_duration = 45
