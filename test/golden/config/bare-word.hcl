storage "inmem" {}
ui = yes
