storage "inmem" {}
telemetry {
  colour = 1
}
