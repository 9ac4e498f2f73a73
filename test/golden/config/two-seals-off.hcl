storage "inmem" {}
seal "shamir" { disabled = true }
seal "shamir" { disabled = "true" }
