storage "inmem" {}
seal "shamir" {}
seal "shamir" {}
