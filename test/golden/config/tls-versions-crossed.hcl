storage "inmem" {}
listener "tcp" {
  tls_min_version = "tls13"
  tls_max_version = "tls12"
}
