storage "inmem" {}
listener "tcp" {
  tls_disable = true
  x_forwarded_for_authorized_addrs = "10.0.0.0/8, 192.0.2.1"
  x_forwarded_for_hop_skips = "1"
  x_forwarded_for_reject_not_present = "true"
}
