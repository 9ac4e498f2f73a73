storage "inmem" {}
ui = "1"
disable_mlock = 1
disable_cache = "F"
raw_storage_endpoint = ""
