storage "inmem" {}
/* never
