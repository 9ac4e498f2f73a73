storage "inmem" {}
ui = "yes"
