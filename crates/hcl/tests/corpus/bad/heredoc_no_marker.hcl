name = <<
x

