storage "inmem" {}
telemetry {
  prometheus_retention_time = "30s"
  disable_hostname = true
  statsd_address = "127.0.0.1:8125"
  prefix_filter = ["+vault.token", "-vault.expire"]
}
