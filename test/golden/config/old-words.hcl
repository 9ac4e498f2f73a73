backend "inmem" {}
listener "tcp" { tls_disable = true }
kms "shamir" {}
