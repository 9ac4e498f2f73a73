STORAGE "InMem" {}
Listener "TCP" { TLS_Disable = true }
Cluster_Name = "c"
