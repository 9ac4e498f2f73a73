storage "inmem" {}
api_addr = "http://127.0.0.1:1"
api_addr = "http://127.0.0.1:2"
