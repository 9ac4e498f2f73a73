storage "inmem" {}
api_addr = "http://{{ GetAllInterfaces | include \"flags\" \"loopback\" | include \"type\" \"ipv4\" | attr \"address\" }}:8200"
