storage "inmem" {}
listener "tcp" {
  tls_disable = true
  redact_version = true
  redact_addresses = true
  redact_cluster_name = true
}
