storage "inmem" {}
ha_storage "file" {
  path = "/nonexistent"
}
disable_mlock = true
