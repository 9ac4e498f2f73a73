storage "inmem" {}
listener "tcp" {
  tls_disable = true
  proxy_protocol_behavior = "allow_authorized"
  proxy_protocol_authorized_addrs = ["10.0.0.0/8", "::1"]
}
