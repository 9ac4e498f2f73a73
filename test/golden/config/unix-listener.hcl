storage "inmem" {}
listener "unix" {
  address = "run.sock"
  socket_mode = "600"
}
