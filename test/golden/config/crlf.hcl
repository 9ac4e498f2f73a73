storage "inmem" {}
ui = true
