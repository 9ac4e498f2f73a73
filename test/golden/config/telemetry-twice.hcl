storage "inmem" {}
telemetry {}
telemetry {}
