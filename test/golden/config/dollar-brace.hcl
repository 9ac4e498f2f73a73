storage "inmem" {}
cluster_name = "${a "b" {c}}"
