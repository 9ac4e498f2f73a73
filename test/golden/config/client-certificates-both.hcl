storage "inmem" {}
listener "tcp" {
  tls_require_and_verify_client_cert = true
  tls_disable_client_certs = true
}
