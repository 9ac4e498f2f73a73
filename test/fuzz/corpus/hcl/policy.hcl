path "secret/*" {
  capabilities = ["read", "list"]
  allowed_parameters = { "a" = ["b", 1], "*" = [] }
  min_wrapping_ttl = "1s"
}
