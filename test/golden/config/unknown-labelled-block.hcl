storage "inmem" {}
paint "red" { coats = 2 }
