storage "inmem" {}
listener "tcp" {
  tls_disable = true
  custom_response_headers {
    "2xx" = { "X-One" = "a" }
  }
}
