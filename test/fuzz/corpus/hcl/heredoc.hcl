a = <<-EOF
    x
   y
  EOF
b = <<EOF
  x
 EOF
