storage "inmem" {}
listener "tcp" {
  tls_disable = true
  custom_response_headers {
    "700" = { "X-One" = ["a"] }
  }
}
