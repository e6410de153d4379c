name "x" {}
