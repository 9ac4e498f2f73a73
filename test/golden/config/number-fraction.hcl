storage "inmem" {}
cache_size = 1.5
