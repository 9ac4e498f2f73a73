storage "inmem" {}
plugin_directory = "/nowhere"
log_level = "Debug"
log_format = "json"
disable_indexing = true
cluster_cipher_suites = "x"
