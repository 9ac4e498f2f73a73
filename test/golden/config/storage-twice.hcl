storage "inmem" {}
storage "inmem" {}
