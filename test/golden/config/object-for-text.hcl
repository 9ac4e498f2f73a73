storage "inmem" {}
api_addr { a = 1 }
