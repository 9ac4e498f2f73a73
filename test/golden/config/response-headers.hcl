storage "inmem" {}
listener "tcp" {
  tls_disable = true
  custom_response_headers {
    "default" = { "X-One" = ["a", "b"] }
    "2xx" = { "X-Two" = ["c"] }
    "404" = { "X-Three" = ["d"] }
  }
}
