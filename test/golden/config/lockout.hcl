storage "inmem" {}
user_lockout "all" {
  lockout_threshold = 3
  lockout_duration = "5m"
}
user_lockout "approle" { disable_lockout = true }
