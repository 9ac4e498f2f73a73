storage "inmem" {}
user_lockout "github" {}
