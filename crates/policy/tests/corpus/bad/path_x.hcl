path = "x"
