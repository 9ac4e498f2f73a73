# one
// two
/* three
   lines */
storage "inmem" {}
ui = true # end
