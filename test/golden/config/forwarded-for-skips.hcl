storage "inmem" {}
listener "tcp" {
  tls_disable = true
  x_forwarded_for_hop_skips = -1
}
