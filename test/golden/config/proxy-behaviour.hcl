storage "inmem" {}
listener "tcp" {
  tls_disable = true
  proxy_protocol_behavior = "sometimes"
}
