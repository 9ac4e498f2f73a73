storage "inmem" {}
log_format = "xml"
