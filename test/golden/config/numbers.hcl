storage "inmem" {}
cache_size = "0x10"
