storage "inmem" {}
cluster_name = <<END
name
END
ui = true
