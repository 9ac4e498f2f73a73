ui = "true"
disable_mlock = 1
API_ADDR = "https://coffer.example.com:8200"
cluster_addr = "https://10.0.0.1:8201"
cluster_name = "blue"
pid_file = "/run/coffer.pid"
cache_size = "0x100"
cache_bytes = 33554432
max_lease_ttl = "10d"
default_lease_ttl = 3600
default_max_request_duration = "1m30s"
log_level = "debug"
log_format = "json"
raw_storage_endpoint = true
introspection_endpoint = "T"
disable_cache = 0
experiments = ["events.alpha1"]
plugin_directory = "/opt/plugins"
log_requests_level = "trace"

storage "DynamoDB" {
  table        = "vault"
  max_parallel = 128
  ha_enabled   = true
  tags         = ["a", 2]
  tags         = ["b"]
  retry { times = 3 }
  redirect_addr = "http://ignored:1"
  disable_clustering = "true"
}

ha_storage "consul" {
  path         = "vault/"
  cluster_addr = "https://ignored:1"
}

seal "awskms" {
  region     = "eu-west-1"
  kms_key_id = "alias/x"
  purpose    = "seal"
}
seal "shamir" {
  disabled = "true"
}

service_registration "kubernetes" {}
user_lockout "all" { lockout_threshold = 3 }
telemetry {
  disable_hostname = true
  prefix_filter    = ["+a"]
}

listener "TCP" {
  address                          = "[::]:8200"
  cluster_address                  = "127.0.0.1:8201"
  tls_cert_file                    = "/etc/c.pem"
  tls_key_file                     = "/etc/k.pem"
  tls_client_ca_file               = "/etc/ca.pem"
  tls_min_version                  = "tls13"
  tls_cipher_suites                = "TLS_AES_128_GCM_SHA256"
  tls_require_and_verify_client_cert = true
  max_request_size                 = -1
  max_request_duration             = 30
  http_read_timeout                = "1m"
  http_write_timeout               = "5s"
  proxy_protocol_behavior          = "deny_unauthorized"
  proxy_protocol_authorized_addrs  = "10.0.0.0/8, ::1"
  x_forwarded_for_authorized_addrs = ["192.168.0.1", "fd00::/8"]
  x_forwarded_for_hop_skips        = "2"
  x_forwarded_for_reject_not_present = "0"
  telemetry { unauthenticated_metrics_access = true }
  profiling { unauthenticated_pprof_access = "true" }
  inflight_requests_logging { unauthenticated_in_flight_requests_access = 1 }
  custom_response_headers {
    "404" = { "X-Code" = ["c"] }
    "default" = { "X-Both" = ["a", "b"], "X-Vault-No" = ["n"] }
    "4xx" { "X-Class" = ["d"] }
  }
}
listener "unix" {
  socket_mode  = "0660"
  socket_user  = "coffer"
  socket_group = 100
}
listener {
  type        = "tcp"
  tls_disable = "1"
}
