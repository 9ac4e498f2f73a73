storage "inmem" {}
