storage "inmem" {}
api_addr = "http://{{ GetMyIP }}:8200"
