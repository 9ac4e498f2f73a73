storage "inmem" {}
listener { type = "tcp" tls_disable = true }
