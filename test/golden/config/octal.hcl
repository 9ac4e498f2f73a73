storage "inmem" {}
cache_size = 08
