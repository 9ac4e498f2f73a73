storage "inmem" {}
listener "quic" {}
