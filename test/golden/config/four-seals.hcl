storage "inmem" {}
seal "a" {}
seal "b" {}
seal "c" {}
seal "d" {}
