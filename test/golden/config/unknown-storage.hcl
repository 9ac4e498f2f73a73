storage "shoebox" {}
