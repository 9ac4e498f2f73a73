storage "inmem" {}
log_level = "loud"
