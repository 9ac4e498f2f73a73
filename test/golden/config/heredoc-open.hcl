storage "inmem" {}
cluster_name = <<END
name
