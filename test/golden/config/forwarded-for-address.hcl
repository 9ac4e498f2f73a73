storage "inmem" {}
listener "tcp" {
  tls_disable = true
  x_forwarded_for_authorized_addrs = ["ten"]
}
