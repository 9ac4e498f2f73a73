storage "inmem" {}
ha_storage "zoo" {
  address = "127.0.0.1:8500"
}
disable_mlock = true
