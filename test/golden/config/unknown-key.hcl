storage "inmem" {}
colour = "red"
