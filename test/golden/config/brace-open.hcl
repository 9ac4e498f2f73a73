storage "inmem" {
