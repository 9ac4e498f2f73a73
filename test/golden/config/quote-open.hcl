storage "inmem" {}
api_addr = "http
